"""A verb imports its own folder and the shared ones; pyproject.toml has the other contracts."""

from pathlib import Path

import grimp
import pytest

SHARED = frozenset(
    {
        "answers",
        "cluster",
        "command",
        "forecasts",
        "judging",
        "representations",
        "requirements",
        "run_directory",
        "thumbnails",
        "trackers",
        "work_units",
    }
)
"""Folders of code that several verbs use."""
ABOVE_VERBS = frozenset({"compare", "run", "sweep", "trials"})
"""These run the stages of other verbs."""
VERBS = frozenset(path.parent.name for path in Path("jobs").glob("*/__main__.py"))


@pytest.fixture(scope="module")
def imports() -> dict[str, set[str]]:
    """The folders of `jobs/` that each of them imports."""
    graph = grimp.build_graph("jobs", cache_dir=None)
    found: dict[str, set[str]] = {}
    for module in graph.modules:
        importer = folder_of(module)
        targets = graph.find_modules_directly_imported_by(module)
        found.setdefault(importer, set()).update(folder_of(each) for each in targets)
    return {importer: targets - {importer, "", "__main__"} for importer, targets in found.items()}


def folder_of(module: str) -> str:
    return f"{module}..".split(".")[1]


def test_every_folder_is_a_verb_or_shared(imports: dict[str, set[str]]) -> None:
    assert set(imports) - {"", "__main__"} == VERBS | SHARED | ABOVE_VERBS


@pytest.mark.parametrize("folder", sorted((VERBS | SHARED) - ABOVE_VERBS))
def test_a_folder_imports_no_verb_but_its_own(imports: dict[str, set[str]], folder: str) -> None:
    assert imports[folder] <= SHARED
