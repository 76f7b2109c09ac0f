"""The tutorials run, and become pages."""

from pathlib import Path

import pytest

from website.notebooks import Cell, as_markdown, read_notebook, run_notebook

TUTORIALS = sorted(Path("docs/tutorials").glob("*.ipynb"))


QUICK = pytest.param(Path("docs/tutorials/one-class.ipynb"), marks=pytest.mark.ci)
"""The tutorial that CI runs; the others take 15 to 30 s each."""
OTHERS = [path for path in TUTORIALS if path not in QUICK.values]


@pytest.mark.slow
@pytest.mark.parametrize("path", [QUICK, *OTHERS], ids=lambda path: path.stem)
def test_a_tutorial_runs_and_shows_what_it_draws(path, tmp_path) -> None:
    cells = read_notebook(path)
    outputs = run_notebook(cells, tmp_path)
    page = as_markdown(path, cells, outputs)
    assert page.count("<img src=") >= sum("plt.subplots" in cell.text for cell in cells) > 0


@pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.stem)
def test_a_tutorial_is_kept_without_outputs(path) -> None:
    text = path.read_text()
    assert '"outputs": []' in text
    assert text.count('"outputs": []') == text.count('"execution_count": null')
    assert "data:image" not in text


def code(*texts):
    return [Cell("code", text) for text in texts]


def test_cells_share_their_names_and_show_their_last_value(tmp_path) -> None:
    first, second = run_notebook(code("x = 2\nprint('<x>')", "y = x + 1\ny"), tmp_path)
    assert (first.printed, first.shown) == ("<x>\n", [])
    assert second.shown == ["<pre><code>3</code></pre>"]


def test_files_are_written_in_the_given_folder(tmp_path) -> None:
    run_notebook(code("from pathlib import Path\nPath('a.txt').write_text('b')"), tmp_path)
    assert (tmp_path / "a.txt").read_text() == "b"


def test_the_same_figure_has_the_same_bytes(tmp_path) -> None:
    drawing = code("from matplotlib import pyplot as plt\nplt.subplots()[1].plot([1, 2]);")
    [first], [second] = run_notebook(drawing, tmp_path), run_notebook(drawing, tmp_path)
    assert first.shown == second.shown
    assert len(first.shown) == 1


def test_text_is_escaped_and_html_of_a_value_is_kept(tmp_path) -> None:
    own = "class Own:\n    def _repr_html_(self):\n        return '<b>own</b>'\nOwn()"
    cells = code("print('<i>')", own)
    page = as_markdown(Path("a.ipynb"), cells, run_notebook(cells, tmp_path))
    assert "&lt;i&gt;" in page
    assert '<div class="shown"><b>own</b></div>' in page


def test_an_error_in_a_cell_names_it(tmp_path) -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        run_notebook(code("1 / 1", "1 / 0"), tmp_path)
    assert any(entry.path == "<cell 1>" for entry in caught.traceback)
