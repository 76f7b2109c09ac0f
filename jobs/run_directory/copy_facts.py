"""The copies of all classes in words."""

from collections.abc import Iterable

from otcondense.store import ClassSelection

DONE = {"merge": "merged into one candidate each", "drop": "dropped", "keep": "not looked for"}
"""What was done about copies, by policy."""


def copy_facts(classes: Iterable[ClassSelection]) -> dict[str, str]:
    """Return the copies of all classes as facts; nothing if there was nothing to find."""
    found = [each.summary.copies for each in classes]
    facts = {}
    policies = [each.policy for each in found if each.policy != "keep"]
    if policies:
        exact, near = sum(each.exact for each in found), sum(each.near for each in found)
        facts["copies"] = f"{exact:,} exact, {near:,} near; {DONE[policies[0]]}"
    held_out = sum(each.held_out for each in found)
    if held_out:
        facts["also held out"] = f"{held_out:,}, left out"
    return facts
