"""Rows about streams and copies."""

from collections.abc import Iterator

from benchmarks.rows.row import Row, names_of

SETS = {"made_up": "2,000 made-up images", "digits": "digits"}
SHARES = {"1pct": "1 %", "5pct": "5 %"}
ORDERS = ("random", "by_class", "by_distance", "reversed")
OFFLINE = "choice from all images"


def _streaming() -> Iterator[Row]:
    for name, words in SETS.items():
        for share, percent in SHARES.items():
            key = f"{name}_{share}"
            objectives = names_of(f"{key}_{{}}_objective", ORDERS)
            what = f"objective of {percent} of {words} from a stream, in four orders"
            unit = "of the offline one"
            yield Row(what, objectives, unit, "uniform draws", f"{key}_draws_objective")
            sample = "choice from a sample of 400"
            yield Row(what, objectives, unit, sample, f"{key}_sample_objective")
            yield Row(
                "its coverage",
                names_of(f"{key}_{{}}_coverage", ORDERS),
                "",
                OFFLINE,
                f"{key}_offline_coverage",
            )
            yield Row(
                "coverage of uniform draws",
                f"{key}_draws_coverage",
                "",
                sample,
                f"{key}_sample_coverage",
            )
    yield Row("worst of these objectives", "worst_objective", "of the offline one")
    yield Row(
        "CPU time of an image of a stream of 20,000",
        "milliseconds_an_image_10n",
        "ms",
        "of 2,000",
        "milliseconds_an_image_n",
    )
    yield Row(
        "memory of a stream of 20,000",
        "mebibytes_10n",
        "MiB",
        "of 2,000",
        "mebibytes_n",
        "memory_ratio",
        "times as much",
    )


STREAMING = tuple(_streaming())
COPIES = (
    Row(
        "of 10 choices, those that copies take, with duplicates=merge",
        "choices_taken_merge",
        "",
        "duplicates=keep",
        "choices_taken_keep",
    ),
    Row(
        "find the copies of 1,300 images, CPU time",
        "seconds_1300",
        "s",
        "one matrix product",
        ratio="product_ratio_1300",
        ratio_unit="times its time",
    ),
    Row(
        "find the copies of 20,000 images, CPU time",
        "seconds_20000",
        "s",
        "one matrix product",
        ratio="product_ratio_20000",
        ratio_unit="times its time",
    ),
)
