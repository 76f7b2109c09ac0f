"""What mkdocs calls while it builds the site (`hooks` in mkdocs.yml)."""

from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from website.links import DOCS, FILES, PLACES, Links
from website.maths import with_maths
from website.notebooks import notebook_page
from website.privacy import check_site
from website.reference import reference_pages

ROOT = Path(__file__).resolve().parent.parent
LINKS = Links(ROOT)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages whose text is elsewhere or made, and the files that pages link to."""
    for place, origin in PLACES.items():
        text = (ROOT / origin).read_text(encoding="utf-8")
        files.append(File.generated(config, place, content=text))
    reference = reference_pages(ROOT)
    LINKS.made = frozenset(reference)
    for place, text in reference.items():
        files.append(File.generated(config, place, content=text))
    for path in sorted((ROOT / DOCS / "tutorials").glob("*.ipynb")):
        place = f"tutorials/{path.stem}.md"
        files.append(File.generated(config, place, content=notebook_page(path)))
    for page in files.documentation_pages():
        LINKS.translate(page.content_string, page.src_uri)
    for needed in sorted(LINKS.needed):
        inside = str(ROOT / needed)
        files.append(File.generated(config, f"{FILES}/{needed}", abs_src_path=inside))
    return files


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """Return the text of a page with links for the site."""
    return LINKS.translate(markdown, page.file.src_uri)


def on_page_content(html: str, **_: object) -> str:
    """Return the HTML of a page with its formulas."""
    return with_maths(html)


def on_post_page(output: str, **_: object) -> str:
    """Return a page whose search has a name for screen readers, which the theme forgets."""
    return output.replace('role="dialog">', 'role="dialog" aria-label="Search">')


def on_post_build(config: MkDocsConfig) -> None:
    """Refuse a site that fetches anything from elsewhere."""
    check_site(Path(config.site_dir))
