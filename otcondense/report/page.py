"""Renders a template to one HTML file that needs no network and no other file."""

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

from otcondense.counts import counted
from otcondense.datasets.names import ORDER_OF_CLASSES
from otcondense.durations import duration
from otcondense.shares import percent

REPORT = "otcondense.report"
BEFORE_SIGN = re.compile(r"(?<=[0-9]) (?=%)")
NO_BREAK = "\u00a0"
"""The space at which browsers break no line."""


def render_page(package: str, template: str, context: Mapping[str, Any]) -> str:
    """Return a page in the style of the report.

    Everything in `context` is escaped. The policy of the page forbids it to load anything and to
    run any scripts but its own two.

    Args:
        package: package of the template, which may import the macros of the report.
        template: its name, such as report.html.j2.
        context: its variables, in addition to `style`, `scripts` and `policy`.
    """
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
    from plotly.offline import get_plotlyjs

    loader = ChoiceLoader([PackageLoader(each, "") for each in dict.fromkeys([package, REPORT])])
    environment = Environment(
        loader=loader,
        autoescape=True,
        finalize=unbroken,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(duration=duration)
    environment.globals.update(counted=counted, percent=percent, order_of_classes=ORDER_OF_CLASSES)
    scripts = {"plotly": get_plotlyjs(), "draw": _resource("draw_plots.js.j2")}
    page: str = environment.get_template(template).render(
        **context,
        style=_resource("style.css"),
        scripts=scripts,
        policy=_policy(list(scripts.values())),
    )
    return page


def unbroken(value: Any) -> Any:
    """Return a text of a page whose percentages are not broken at the end of a line.

    It is the `finalize` of templates; markup is made of texts that went through it.
    """
    if isinstance(value, str) and not hasattr(value, "__html__"):
        return BEFORE_SIGN.sub(NO_BREAK, value)
    return value


def _policy(scripts: Sequence[str]) -> str:
    """Allow only the page's own scripts by their hashes, inline styles and inline images."""
    hashes = " ".join(f"'sha256-{_base64_digest(script)}'" for script in scripts)
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _base64_digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")


def _resource(name: str) -> str:
    return files(REPORT).joinpath(name).read_text(encoding="utf-8")
