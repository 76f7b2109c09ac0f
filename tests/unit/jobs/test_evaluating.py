"""Classes of held-out images, by the numbers that the source gives them."""

from pathlib import Path

from PIL import Image

from jobs.judging.run_images import HeldOutImages
from jobs.run_directory.config import RunConfig
from jobs.run_directory.run import Run


def test_classes_keep_the_numbers_of_the_source(tmp_path: Path) -> None:
    (tmp_path / "names").write_text("a\nb\nc\n")
    for split, names in (("train", "bc"), ("held_out", "bcd")):
        for name in names:
            (tmp_path / split / name).mkdir(parents=True)
            Image.new("L", (4, 4)).save(tmp_path / split / name / "0.png")
    source = {"path": str(tmp_path / "train"), "class_names": str(tmp_path / "names")}
    run = Run(
        RunConfig.model_validate(
            {
                "run": str(tmp_path / "run"),
                "source": source,
                "held_out": {"path": str(tmp_path / "held_out")},
            }
        )
    )
    images = HeldOutImages(run)
    # The list of names has classes that are not in this part of the data set.
    assert images.class_names == {1: "b", 2: "c"}
    assert images.classes.tolist() == [1, 2, -1]
