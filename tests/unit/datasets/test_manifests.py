"""CSV and JSONL files that list images."""

import json
from pathlib import Path

import pytest

from otcondense.datasets import SourceConfig, read_image_bytes, scan_images
from otcondense.errors import InputError
from tests.generators.containers import png


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for number, name in enumerate(("a/1.png", "a/2, x.png", 'b/say "3".png')):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(png(number))
    return tmp_path


def listed(root: Path, text: str, name: str = "m.csv", **settings: object) -> dict[str, str]:
    (root / name).write_text(text, encoding="utf-8")
    source = SourceConfig(path=str(root / name), kind="manifest", **settings)
    found = scan_images(source)
    for record in found.records:
        if "gone" not in record.path:
            assert read_image_bytes(record.path).startswith(b"\x89PNG")
    return {record.image_id: record.class_name for record in found.records}


FORMS = {
    "quotes": 'path,label\na/1.png,x\n"a/2, x.png",y\n"b/say ""3"".png",y\n',
    "other columns": 'id,label,path\n1,x,a/1.png\n2,y,"a/2, x.png"\n3,y,"b/say ""3"".png"\n',
    "semicolons": 'path;label\na/1.png;x\na/2, x.png;y\n"b/say ""3"".png";y\n',
    "Windows": '\ufeffpath,label\r\na/1.png,x\r\n"a/2, x.png",y\r\n"b/say ""3"".png",y\r\n\r\n',
    "name of Hugging Face": 'file_name,label\na/1.png,x\n"a/2, x.png",y\n"b/say ""3"".png",y\n',
    "default name": 'image,label\n./a/1.png,x\n"a/2, x.png",y\n"b/say ""3"".png",y',
}
EXPECTED = {"a/1.png": "x", "a/2, x.png": "y", 'b/say "3".png': "y"}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_csv_is_read(root: Path, form: str) -> None:
    assert listed(root, FORMS[form]) == EXPECTED


def test_tabs_and_absolute_paths(root: Path) -> None:
    text = f'path\tlabel\n{root}/a/1.png\tx\na/2, x.png\ty\n"b/say ""3"".png"\ty\n'
    assert listed(root, text, "m.tsv") == EXPECTED


def test_lines_of_json(root: Path) -> None:
    rows = [{"path": path, "label": label, "more": [1]} for path, label in EXPECTED.items()]
    assert listed(root, "\n\n".join(map(json.dumps, rows)), "m.jsonl") == EXPECTED


def test_columns_and_ids_are_chosen(root: Path) -> None:
    text = "file,species,key\na/1.png,cat,k1\nb/gone.png,cat,k2\n"
    columns = {"image_column": "file", "label_column": "species", "id_column": "key"}
    assert listed(root, text, **columns) == {"k1": "cat", "k2": "cat"}


def test_a_folder_of_manifests_beside_its_images(root: Path) -> None:
    (root / "one.csv").write_text("path,label\na/1.png,x\n")
    (root / "two.jsonl").write_text('{"path": "a/2, x.png", "label": "y"}')
    listing = scan_images(SourceConfig(path=str(root), kind="manifest"))
    assert [record.image_id for record in listing.records] == ["a/1.png", "a/2, x.png"]
    assert list(listing.ignored) == ['b/say "3".png']


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (("0", "2", "10"), ["0", "2", "10"]),
        (("0", "2", "cat"), ["0", "2", "cat"]),
        (("007", "2", "10"), ["2", "007", "10"]),
    ],
)
def test_whole_numbers_are_class_indices(root: Path, labels: tuple[str, ...], names: list) -> None:
    rows = zip(("a/1.png", '"a/2, x.png"', '"b/say ""3"".png"'), labels, strict=True)
    (root / "m.csv").write_text("path,label\n" + "".join(f"{p},{label}\n" for p, label in rows))
    listing = scan_images(SourceConfig(path=str(root / "m.csv"), kind="manifest"))
    assert listing.names == names
    indices = [listing.index_of(name) for name in names]
    assert indices == ([0, 2, 10] if labels == ("0", "2", "10") else [0, 1, 2])


def test_rows_in_many_parts_are_one_listing(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("otcondense.datasets.manifest_files.PART", 2)
    rows = [f"gone/{number:03d}.png,{number % 3}" for number in range(11)]
    found = listed(root, "path,label\n" + "\n".join(rows))
    assert {name: int(label) for name, label in found.items()} == {
        f"gone/{number:03d}.png": number % 3 for number in range(11)
    }


@pytest.mark.parametrize(
    ("text", "name", "message"),
    [
        ("path,lable\na,b\n", "m.csv", "no column 'label'; set source.label_column .* as lable"),
        ("path,path,label\n", "m.csv", "two columns 'path'"),
        ("", "m.csv", "no column 'path'"),
        ("path,label\n", "m.csv", "must hold labelled images, found none"),
        ("path,label\na/1.png\n", "m.csv", "line 2 of .* must have 2 values .* found 1"),
        ('path,label\n"a/1.png,x\n', "m.csv", "line 2 of .* cannot be read"),
        ("path,label\na/1.png,\n", "m.csv", r"found None for a/1\.png"),
        ("path,label\n../x.png,x\n", "m.csv", "relative path below"),
        ("path,label\n/etc/passwd,x\n", "m.csv", "relative path below"),
        ("path,label\na/1.png,x\na/1.png,y\n", "m.csv", "id of its own, found 1 more than once"),
        ("path,label\n" + "x" * 5000 + ",y\n", "m.csv", "values of at most 4096 bytes"),
        ("x" * 2**21, "m.csv", "line 1 of .* must have at most 1048576 bytes"),
        ('{"path": "a/1.png", "label": 1}\n[1]', "m.jsonl", "line 2 of .* must be an object"),
        ('{"path": "a/1.png", "label": 1}\n{', "m.jsonl", "line 2 of .* cannot be read as JSON"),
        ('{"path": "a/1.png", "label": [1]}', "m.jsonl", "whole numbers or all be text"),
        ('{"path": "a/1.png", "label": 1.5}', "m.jsonl", r"found 1\.5 for a/1\.png"),
        ('{"path": null, "label": 1}', "m.jsonl", "neither bytes nor a path"),
    ],
)
def test_a_bad_manifest_is_refused_by_name(root: Path, text: str, name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        listed(root, text, name)


def test_another_encoding_is_refused(root: Path) -> None:
    (root / "m.csv").write_bytes("path,label\nü.png,x\n".encode("latin-1"))
    with pytest.raises(InputError, match="another encoding in line 2"):
        scan_images(SourceConfig(path=str(root / "m.csv"), kind="manifest"))


def test_a_row_without_an_id_is_refused(root: Path) -> None:
    text = "path,label,key\na/1.png,x,1\nb/x.png,x,\n"
    with pytest.raises(InputError, match="must have an id in 'key', found 1 without"):
        listed(root, text, id_column="key")
