"""A site that fetches anything from elsewhere is not built."""

import pytest

from website.privacy import ForeignContentError, check_site


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.html", '<script async src="https://example.org/a.js"></script>'),
        ("a.html", "<script src=//example.org/a.js></script>"),
        ("a.html", '<link rel="stylesheet" href="https://example.org/a.css">'),
        ("a.html", '<img alt="" src="http://example.org/a.png">'),
        ("a.html", "<object data='https://example.org/a.svg'></object>"),
        ("a.css", "@font-face { src: url(https://example.org/a.woff2) }"),
        ("a.css", "@import 'https://example.org/a.css';"),
    ],
)
def test_what_a_browser_would_fetch_from_elsewhere_is_found(tmp_path, name, text) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / name).write_text(text)
    with pytest.raises(ForeignContentError, match=f"deep/{name}"):
        check_site(tmp_path)


def test_links_and_own_files_are_allowed(tmp_path) -> None:
    page = '<a href="https://example.org">x</a><img src="../a.png"><script src="a.js"></script>'
    (tmp_path / "a.html").write_text(page + '<img src="data:image/png;base64,AA==">')
    (tmp_path / "a.css").write_text("b { background: url(a.png) }")
    check_site(tmp_path)
