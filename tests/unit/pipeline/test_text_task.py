"""Text embeddings in a task write the bytes of this process, and never replace a GPU."""

from pathlib import Path

import pytest
import torch

from otcondense.errors import InputError
from otcondense.representations import TextConfig, TextModel
from otcondense.representations.tables import has_text, write_text
from otcondense.store import Store
from pipeline.failures import raise_packed
from pipeline.text_task import TextJob, embed
from tests.generators.weights import write_t5

CLASSES = {0: "n1", 1: "n2"}


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> TextConfig:
    folder = write_t5(tmp_path_factory.mktemp("t5"), ("n1", "n2"))
    return TextConfig(model=folder, max_tokens=4, device="auto")


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU rounds differently")
def test_a_task_writes_the_bytes_of_this_process(config: TextConfig, tmp_path: Path) -> None:
    here, there = Store(str(tmp_path / "here")), Store(str(tmp_path / "there"))
    write_text(here, "text.parquet", CLASSES, config, TextModel(config))
    raise_packed(embed(TextJob(there.root, "text.parquet", CLASSES, config)))
    assert there.read_bytes("text.parquet") == here.read_bytes("text.parquet")
    assert has_text(there, "text.parquet", CLASSES, config, TextModel(config))
    assert not has_text(there, "text.parquet", {0: "n3"}, config, TextModel(config))


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a process without a GPU")
def test_a_task_with_a_gpu_that_torch_cannot_use_says_so(
    config: TextConfig, tmp_path: Path
) -> None:
    job = TextJob(str(tmp_path), "text.parquet", CLASSES, config, assigned=True)
    with pytest.raises(InputError, match="the cluster gave this worker a GPU"):
        raise_packed(embed(job))
    assert not list(tmp_path.iterdir())
