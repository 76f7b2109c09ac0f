"""The pages of the reference, made from the code: commands, settings, configurations, API."""

import ast
import contextlib
import importlib
import io
import itertools
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from jobs.command.fields import FieldText, describe_groups
from jobs.command.verbs import GROUPS, Verb

HELP_WIDTH = 84
"""Columns of the text of `--help`."""
CONFIGS = "jobs/configs"
RESULTS = "benchmarks/results"

PACKAGES = {
    "selection": "Selectors: fit one class, or all classes.",
    "grouping": "Groups of bounded size from features, with or without labels.",
    "streaming": "A subset of a stream, in one pass.",
    "ot": "One-sided partial optimal transport: cost, problem, solvers.",
    "encoders": "Networks that give features, logits and confidences.",
    "datasets": "Sources of images, their listing and decoding.",
    "representations": "Latents, tokens and text, with their tables.",
    "evaluation": "Metrics of subsets and samples.",
    "diffusion": "DiT and SiT: models, training, sampling.",
    "training_data": "Subsets for training loops of your own.",
    "checkpoints": "Conversion from and to public checkpoints.",
    "report": "Figures, tables and the report.",
    "store": "Files of a run: schemas, digests, reading and writing.",
}
"""The public packages of `otcondense`, with what they are for."""

FIRST = ("GeometryAwareSelector", "ClassSelector", "Selector")
"""Names at the top of their page."""


@dataclass(frozen=True)
class PublicName:
    """A public name of a package."""

    name: str
    module: str
    """Where it is defined."""


def reference_pages(root: Path) -> dict[str, str]:
    """Return the text of every page of the reference, by its place on the site."""
    pages = {
        "reference/commands.md": commands_page(),
        "reference/settings.md": settings_page(),
        "reference/configurations.md": configurations_page(root),
        "reference/raw-figures.md": raw_figures_page(root),
        "reference/api/index.md": api_index(),
    }
    for package, purpose in PACKAGES.items():
        names = public_names(root / "otcondense" / package / "__init__.pyi", package)
        pages[f"reference/api/{package}.md"] = api_page(package, purpose, names)
    return pages


def commands_page() -> str:
    """Return every command with the text of its `--help`."""
    lines = [
        "# Commands",
        "",
        "Every command is `otcondense VERB`. This page is their `--help`.",
        "",
    ]
    for group, verbs in GROUPS.items():
        lines += [f"## {group}", ""]
        for verb in verbs:
            lines += [f"### {verb.name}", "", f"{verb.summary}.", ""]
            lines += ["```text", help_of(verb).rstrip(), "```", ""]
    return "\n".join(lines)


def help_of(verb: Verb, *actions: str) -> str:
    """Return what `otcondense VERB ACTION --help` prints; most verbs have no actions."""
    printed = io.StringIO()
    size = mock.patch.dict(os.environ, COLUMNS=str(HELP_WIDTH))
    out = contextlib.redirect_stdout(printed)
    verb_module = importlib.import_module(f"jobs.{verb.name}.__main__")
    with size, out, contextlib.suppress(SystemExit):
        verb_module.main([*actions, "--help"])
    return printed.getvalue()


def settings_page() -> str:
    """Return a table for each group of settings."""
    lines = ["# Settings", ""]
    lines += [
        "Settings of a run: keys of a configuration file, or `key=value` on the command line.",
        "",
    ]
    lines += ["`KEY.*` is a group; groups that occur several times are listed once.", ""]
    fields = sorted(describe_groups(), key=_group)
    for group, members in itertools.groupby(fields, key=_group):
        lines += [f"## {group or 'General'}", "", "| key | default | meaning |", "|---|---|---|"]
        lines += [_setting(member) for member in members]
        lines.append("")
    return "\n".join(lines)


def _group(setting: FieldText) -> str:
    return setting.name.partition(".")[0] if "." in setting.name else ""


def _setting(setting: FieldText) -> str:
    meaning = _cell(setting.meaning)
    default = f"`{_cell(setting.default)}`" if setting.default else ""
    return f"| `{setting.name}` | {default} | {meaning} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def configurations_page(root: Path) -> str:
    """Return the shipped configuration files, as they stand."""
    lines = ["# Shipped configurations", "", "Name one with `--config NAME`.", ""]
    for path in sorted((root / CONFIGS).rglob("*.yaml")):
        name = path.relative_to(root / CONFIGS).with_suffix("").as_posix()
        lines += [f"## {name}", "", "```yaml", path.read_text(encoding="utf-8").rstrip(), "```", ""]
    return "\n".join(lines)


def raw_figures_page(root: Path) -> str:
    """Return links to the files with all figures of the benchmarks."""
    lines = ["# Raw figures", "", "The last line of each benchmark, as JSON.", ""]
    for path in sorted((root / RESULTS).glob("*.json")):
        lines.append(f"- [{path.stem}](../../{RESULTS}/{path.name})")
    return "\n".join([*lines, ""])


def public_names(stub: Path, package: str) -> list[PublicName]:
    """Return the names that a package exports, from its stub."""
    found = []
    for node in ast.parse(stub.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom) and node.module:
            module = f"otcondense.{package}.{node.module}"
            found += [PublicName(each.asname or each.name, module) for each in node.names]
    return found


def api_index() -> str:
    """Return the list of the public packages."""
    lines = ["# Python interface", "", "| package | what it holds |", "|---|---|"]
    for package, purpose in PACKAGES.items():
        lines.append(f"| [`otcondense.{package}`]({package}.md) | {purpose} |")
    return "\n".join([*lines, ""])


def api_page(package: str, purpose: str, names: list[PublicName]) -> str:
    """Return the page of a package, with a directive of mkdocstrings for each name."""
    lines = [f"# otcondense.{package}", "", purpose, ""]
    lines += [
        "```python",
        f"from otcondense.{package} import {names[0].name}  # and so on",
        "```",
        "",
    ]
    return "\n".join([*lines, *_directives(names)])


def _directives(names: list[PublicName]) -> Iterator[str]:
    for each in sorted(names, key=_order):
        yield f"::: {each.module}.{each.name}"
        yield ""


def _order(name: PublicName) -> tuple[bool, bool, str]:
    """Sort what people look for first, then classes, then functions."""
    return name.name not in FIRST, not name.name[0].isupper(), name.name.lower()
