"""Notebooks without Jupyter: run their cells, and show them as a page.

The notebooks are committed without outputs, which would differ from machine to machine. The site
runs them when it is built (set OTCONDENSE_NOTEBOOKS=skip to show the code alone), and the tests run
them too. Their cells are plain Python: no magic, no shell.
"""

import ast
import base64
import contextlib
import hashlib
import html
import io
import json
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / "build" / "notebooks"
"""Pages of notebooks that were run, named by their content: a served site is built often."""
SWITCH = "OTCONDENSE_NOTEBOOKS"


@dataclass(frozen=True)
class Cell:
    """One cell: Markdown or Python."""

    kind: Literal["markdown", "code"]
    text: str


@dataclass
class Output:
    """What a cell showed."""

    printed: str = ""
    shown: list[str] = field(default_factory=list)
    """HTML of its last value and of its figures."""


def read_notebook(path: Path) -> list[Cell]:
    """Return the cells of an .ipynb file."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return [Cell(each["cell_type"], "".join(each["source"])) for each in cells]


def run_notebook(cells: list[Cell], folder: Path) -> list[Output]:
    """Run all cells in one namespace, in a folder, and return what each showed.

    Raises: what a cell raises, with its number.
    """
    namespace: dict[str, Any] = {"__name__": "__main__"}
    with contextlib.chdir(folder), _figures_for_pages():
        return [_run(number, cell, namespace) for number, cell in enumerate(cells)]


def notebook_page(path: Path) -> str:
    """Return the page of a notebook: its text and code, with outputs unless they are skipped."""
    cells = read_notebook(path)
    if os.environ.get(SWITCH) == "skip":
        return as_markdown(path, cells, [Output() for _ in cells])
    stored = CACHE / f"{path.stem}-{_digest(path)}.md"
    if not stored.exists():
        with tempfile.TemporaryDirectory() as folder:
            outputs = run_notebook(cells, Path(folder))
        CACHE.mkdir(parents=True, exist_ok=True)
        stored.write_text(as_markdown(path, cells, outputs), encoding="utf-8")
    return stored.read_text(encoding="utf-8")


def as_markdown(path: Path, cells: list[Cell], outputs: list[Output]) -> str:
    """Return the page of a notebook: Markdown with the outputs as HTML."""
    parts = []
    for cell, output in zip(cells, outputs, strict=True):
        if cell.kind == "markdown":
            parts.append(cell.text)
        else:
            parts.append(f"```python\n{cell.text}\n```")
            parts += _shown(output)
    parts.append(f'<p class="download"><a href="{path.name}" download>{path.name}</a></p>')
    return "\n\n".join([*parts, ""])


def _shown(output: Output) -> Iterator[str]:
    if output.printed:
        yield f'<pre class="printed"><code>{html.escape(output.printed.rstrip())}</code></pre>'
    for each in output.shown:
        yield f'<div class="shown">{each}</div>'


def _run(number: int, cell: Cell, namespace: dict[str, Any]) -> Output:
    if cell.kind == "markdown":
        return Output()
    output, printed = Output(), io.StringIO()
    name = f"<cell {number}>"
    tree = ast.parse(cell.text, name)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    with contextlib.redirect_stdout(printed):
        exec(compile(tree, name, "exec"), namespace)  # noqa: S102 (our own notebooks)
        if isinstance(last, ast.Expr):
            expression = ast.Expression(last.value)
            value = eval(compile(expression, name, "eval"), namespace)  # noqa: S307 (the same)
            output.shown += [] if cell.text.endswith(";") else _value(value)
    output.shown += _figures()
    output.printed = printed.getvalue()
    return output


def _value(value: Any) -> Iterator[str]:
    """Yield a value as Jupyter shows it: its own HTML, else its text."""
    if value is None:
        return
    own = getattr(value, "_repr_html_", None)
    text = own() if callable(own) else None
    yield text or f"<pre><code>{html.escape(repr(value))}</code></pre>"


@contextlib.contextmanager
def _figures_for_pages() -> Iterator[None]:
    """Draw without a screen, and with the same bytes each time."""
    import matplotlib as mpl
    from matplotlib import pyplot as plt

    mpl.use("agg")
    try:
        with mpl.rc_context({"svg.hashsalt": "otcondense", "figure.dpi": 80}):
            yield
    finally:
        plt.close("all")  # also those of a cell that failed


def _figures() -> Iterator[str]:
    """Yield every open figure as a picture, and close it."""
    from matplotlib import pyplot as plt

    for number in plt.get_fignums():
        figure, drawn = plt.figure(number), io.BytesIO()
        figure.savefig(drawn, format="svg", bbox_inches="tight", metadata={"Date": None})
        data = base64.b64encode(drawn.getvalue()).decode("ascii")
        words = html.escape(figure.get_suptitle() or "Figure")
        yield f'<img src="data:image/svg+xml;base64,{data}" alt="{words}">'
        plt.close(figure)


def _digest(path: Path) -> str:
    """Return a name for the notebook and the code of the library that it runs."""
    digest = hashlib.sha256(path.read_bytes())
    for source in sorted((ROOT / "otcondense").rglob("*.py")):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:12]
