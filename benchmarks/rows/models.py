"""Rows about training, sampling and metrics."""

from benchmarks.rows.row import Row, names_of

PER_MODEL = "one model after another"


TRAINING = tuple(
    Row(
        f"train the demo's {name}",
        f"{kind}_demo_here_steps_per_s",
        "steps/s",
        "a plain port of the public loop",
        f"{kind}_demo_plain_steps_per_s",
        f"{kind}_demo_ratio",
        "times its rate",
    )
    for name, kind in (("DiT", "dit"), ("SiT", "sit"))
)
SAMPLING = (
    Row(
        "sample from the demo's SiT",
        "demo_here_images_per_s",
        "images/s",
        "a plain port of the public loop",
        "demo_plain_images_per_s",
        "demo_ratio",
        "times its rate",
    ),
    Row(
        "the same, guided in an interval only",
        "demo_interval_images_per_s",
        "images/s",
        "a plain port of the public loop",
        "demo_plain_images_per_s",
        "demo_interval_ratio",
        "times its rate",
    ),
)
ENSEMBLES = (
    Row(
        "train 3, 8 or 24 small models at once, CPU time",
        versus=PER_MODEL,
        ratio=names_of(
            "cpu_ratio_{}",
            ("3_models_batch_32", "8_models_batch_32", "8_models_batch_64", "24_models_batch_32"),
        ),
        ratio_unit="times faster",
    ),
)
SAVING = (
    Row(
        "training stands still for a checkpoint of 526 MB",
        "stall_s",
        "s",
        "a save that it waits for",
        "blocking_s",
        "stall_share",
        "of its time",
    ),
)
EVALUATION = (
    Row(
        "FID of 20,000 images from cached features",
        "fid_seconds_20k",
        "s",
        "torch-fidelity",
        "torch_fidelity_fid_seconds",
        "fid_ratio",
        "times faster",
    ),
    Row("difference of the two FIDs", "fid_difference", "", "torch-fidelity"),
    Row(
        "precision and recall of 20,000",
        "precision_recall_seconds_20k",
        "s",
        "torch-fidelity",
        "torch_fidelity_precision_recall_seconds",
        "precision_recall_ratio",
        "times faster",
    ),
    Row("FID of 50,000", "fid_seconds_50k", "s"),
    Row("precision and recall of 50,000", "precision_recall_seconds_50k", "s"),
    Row("density and coverage of 50,000", "density_coverage_seconds_50k", "s"),
    Row("peak memory", "peak_memory_gb", "GB"),
)
