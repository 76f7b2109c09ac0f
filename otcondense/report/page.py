"""From a template to one HTML file that needs nothing else: no network, no other file."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

from otcondense.durations import duration

REPORT = "otcondense.report"


def render_page(package: str, template: str, context: Mapping[str, Any]) -> str:
    """Return a page in the report's style.

    Everything in `context` is escaped; the page's own policy forbids it to load anything or to run any script but its own two.

    Args:
        package: where the template is; it may import the report's macros.
        template: its name, such as report.html.j2.
        context: what it shows, beside `style`, `scripts` and `policy`.
    """
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
    from plotly.offline import get_plotlyjs

    loader = ChoiceLoader([PackageLoader(each, "") for each in dict.fromkeys([package, REPORT])])
    environment = Environment(
        loader=loader,
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(duration=duration)
    scripts = {"plotly": get_plotlyjs(), "draw": _resource("draw_plots.js.j2")}
    page: str = environment.get_template(template).render(
        **context,
        style=_resource("style.css"),
        scripts=scripts,
        policy=_policy(list(scripts.values())),
    )
    return page


def _policy(scripts: Sequence[str]) -> str:
    """Allow the page's own scripts by their hashes, inline styles and inline images; nothing else, from nowhere else."""
    hashes = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(each.encode()).digest()).decode('ascii')}'"
        for each in scripts
    )
    return f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"


def _resource(name: str) -> str:
    return files(REPORT).joinpath(name).read_text(encoding="utf-8")
