"""Files of prompts: what is read, and what is refused with a sentence."""

from pathlib import Path

import numpy as np
import pytest

from otcondense.diffusion import SamplerConfig
from otcondense.diffusion import prompts as module
from otcondense.diffusion.prompts import (
    Prompt,
    PromptTable,
    has_prompts,
    prompts_mark,
    read_prompt_table,
    read_prompts,
    write_prompts,
)
from otcondense.errors import InputError
from otcondense.store import Store

ONE = {"digit": 3}
TWO = {"cat": 0, "dog": 4}


def read(root: Path, content: bytes, name: str = "p.txt", classes: dict[str, int] = ONE) -> object:
    file = root / name
    file.write_bytes(content)
    return read_prompts(str(file), classes)


@pytest.mark.parametrize("ending", [b"", b"\n", b"\r\n"])
def test_a_line_is_a_prompt(ending: bytes, tmp_path: Path) -> None:
    content = "a red shoe\n  ein Schühchen \n".encode() + b"last\xe2\x80\xa8line" + ending
    texts = ["a red shoe", "ein Schühchen", "last\u2028line"]
    assert read(tmp_path, content) == [Prompt(text, 3) for text in texts]


def test_a_line_of_json_names_its_class(tmp_path: Path) -> None:
    lines = b'{"prompt": "a cat", "class_name": "cat"}\n{"class_name": "dog", "prompt": " d "}\n'
    assert read(tmp_path, lines, "p.jsonl", TWO) == [Prompt("a cat", 0), Prompt("d", 4)]
    assert read(tmp_path, b'{"prompt": "one"}', "p.jsonl") == [Prompt("one", 3)]


@pytest.mark.parametrize(
    ("content", "name", "classes", "message"),
    [
        (b"", "p.txt", ONE, r"found nothing in .*p\.txt; write a prompt"),
        (b"\n", "p.txt", ONE, r"found nothing in .*p\.txt; write a prompt"),
        (b"a\n \nb\n", "p.txt", ONE, r"line 2 of .* must hold a prompt, found an empty one"),
        (b"a" * 10_001, "p.txt", ONE, "must have at most 10,000 characters, found 10,001"),
        (b"a\nb\nc\nd\n", "p.txt", ONE, "must have at most 3 prompts, found 4; split it"),
        (b"\xff\xfe", "p.txt", ONE, r"in UTF-8, found another encoding in .* \(at byte 0\)"),
        (b"a\x00b", "p.txt", ONE, "must be plain text, found"),
        (b"a cat", "p.txt", TWO, "a model of 2 classes needs the class of each prompt"),
        (b'{"prompt": ', "p.jsonl", ONE, r"line 1 of .* cannot be read as JSON"),
        (b'["a"]', "p.jsonl", ONE, "must be an object such as"),
        (b'{"prompt": 3}', "p.jsonl", ONE, "must be an object such as"),
        (b'{"prompt": "a", "seed": 1}', "p.jsonl", ONE, "keys prompt and class_name alone"),
        (b'{"prompt": "a"}', "p.jsonl", TWO, "must have a class_name .* such as cat, found None"),
        (b'{"prompt": "a", "class_name": "cta"}', "p.jsonl", TWO, "found 'cta'.*cat"),
    ],
)
def test_what_cannot_be_used_is_named(
    content: bytes,
    name: str,
    classes: dict[str, int],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MOST_PROMPTS", 3)
    with pytest.raises(InputError, match=message):
        read(tmp_path, content, name, classes)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"sampling\.prompts must be .*, found nothing at"):
        read_prompts(str(tmp_path / "p.txt"), ONE)


def test_stored_prompts_are_known_by_their_fingerprint(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    embeddings = np.arange(12, dtype=np.float16).reshape(2, 3, 2)
    write_prompts(store, "p", PromptTable(["a", "b"], np.array([0, 4]), embeddings, "mark"))
    assert has_prompts(store, "p", "mark", 2)
    assert not has_prompts(store, "p", "mark", 3)
    assert not has_prompts(store, "p", "other", 2)
    found = read_prompt_table(store, "p")
    assert (found.texts, found.class_index.tolist(), found.mark) == (["a", "b"], [0, 4], "mark")
    np.testing.assert_array_equal(found.embeddings, embeddings)
    with pytest.raises(InputError, match="is missing or damaged; run `otcondense sample` again"):
        read_prompt_table(store, "q")


def test_the_fingerprint_knows_texts_classes_and_the_model() -> None:
    marks = {
        prompts_mark([Prompt("a", 0)], {"model": "t5"}, "w"),
        prompts_mark([Prompt("b", 0)], {"model": "t5"}, "w"),
        prompts_mark([Prompt("a", 1)], {"model": "t5"}, "w"),
        prompts_mark([Prompt("a", 0)], {"model": "bert"}, "w"),
        prompts_mark([Prompt("a", 0)], {"model": "t5"}, "v"),
    }
    assert len(marks) == 5


@pytest.mark.parametrize(
    ("count", "each", "samples", "used"), [(10, 1, 4, 4), (10, 3, 4, 2), (2, 1, 50, 2)]
)
def test_prompts_without_an_image_are_not_embedded(
    count: int, each: int, samples: int, used: int
) -> None:
    config = SamplerConfig(num_samples=samples, samples_per_prompt=each)
    assert config.used_prompts(count) == used


def test_samplers_without_prompts_keep_their_identity() -> None:
    assert not {"prompts", "samples_per_prompt"} & SamplerConfig().identity().keys()
    assert SamplerConfig(prompts="a/b.txt").identity() == SamplerConfig(prompts="b.txt").identity()
