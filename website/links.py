"""Links that work in the repository and on the site.

Pages are written for the repository: their links are paths from file to file. On the site, some of
these files lie elsewhere, and others are no pages. So each link is resolved in the repository and
written again for the site.
"""

import posixpath
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

LINK = re.compile(
    r"(?P<code>```.*?```|`[^`\n]*`)|(?P<start>\]\()(?P<target>[^)\s]+)(?P<end>\))", re.DOTALL
)
"""A link or picture in Markdown; what looks like one in code is matched as code."""
OUTSIDE = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)
"""The start of an address."""
DOCS = "docs"
FILES = "files"
"""Folder of the site for files of the repository that are no pages."""

PLACES = {
    "index.md": "README.md",
    "benchmarks.md": "benchmarks/README.md",
    "clusters.md": "cluster/README.md",
    "changes.md": "CHANGELOG.md",
    "contributing.md": "CONTRIBUTING.md",
    "conduct.md": "CODE_OF_CONDUCT.md",
}
"""Pages of the site whose text lies outside `docs`, by their place on the site."""
FOLDERS = {
    "jobs/configs": "reference/configurations.md",
    "benchmarks/results": "reference/raw-figures.md",
}
"""Pages of the site that show a folder of the repository."""


class BrokenLinkError(ValueError):
    """A link leads to nothing in the repository."""


@dataclass
class Links:
    """Translates links of pages; remembers the files that they need on the site."""

    root: Path
    """Of the repository."""
    made: frozenset[str] = frozenset()
    """Places of pages that are no files, since they are made from the code."""
    needed: set[str] = field(default_factory=set)
    """Files outside `docs`, relative to the root, that pages link to."""

    def translate(self, text: str, page: str) -> str:
        """Return the text of a page with its links as the site needs them.

        Args:
            text: Markdown.
            page: place of the page on the site.

        Raises: BrokenLinkError with the page and the link.
        """
        return LINK.sub(self._replacement(page), text)

    def _replacement(self, page: str) -> Callable[[re.Match[str]], str]:
        def replace(match: re.Match[str]) -> str:
            target = match["target"]
            if match["code"] or OUTSIDE.match(target) or target.startswith("#"):
                return match[0]
            path, hash_, anchor = target.partition("#")
            place = self._place(posixpath.join(posixpath.dirname(origin_of(page)), path), page)
            here = posixpath.dirname(page) or "."
            return f"{match['start']}{posixpath.relpath(place, here)}{hash_}{anchor}{match['end']}"

        return replace

    def _place(self, joined: str, page: str) -> str:
        """Return the place on the site of a file or folder of the repository."""
        path = posixpath.normpath(joined)
        if path.removeprefix(f"{DOCS}/") in self.made:
            return path.removeprefix(f"{DOCS}/")
        if path.startswith("..") or not (self.root / path).exists():
            raise BrokenLinkError(f"{origin_of(page)}: there is no {path}")
        if path in FOLDERS:
            return FOLDERS[path]
        if (self.root / path).is_dir():
            path = self._index_of(path)
        for place, origin in PLACES.items():
            if origin == path:
                return place
        if path.startswith(f"{DOCS}/"):
            inner = path.removeprefix(f"{DOCS}/")
            return inner.removesuffix(".ipynb") + ".md" if inner.endswith(".ipynb") else inner
        self.needed.add(path)
        return f"{FILES}/{path}"

    def _index_of(self, folder: str) -> str:
        """Return the page of a folder, or else its first file."""
        readme = f"{folder}/README.md"
        if (self.root / readme).exists():
            return readme
        return f"{folder}/{min(each.name for each in (self.root / folder).iterdir())}"


def origin_of(page: str) -> str:
    """Return the file of the repository that a page of the site shows."""
    return PLACES.get(page, f"{DOCS}/{page}")


def links_in(text: str) -> Iterator[str]:
    """Yield the targets of all links and pictures in Markdown."""
    for match in LINK.finditer(text):
        if match["target"]:
            yield match["target"]
