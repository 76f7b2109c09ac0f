"""Rows about runs of a hundred thousand to ten million rows of features without labels."""

from collections.abc import Iterator

from benchmarks.rows.row import Row, names_of

SIZES = ("100000", "1000000", "10000000")
WORDS = {
    "100000": "100,000 rows",
    "1000000": "1 million rows",
    "10000000": "10 million rows",
}
STAGES = {
    "list": "list the source",
    "import": "import the features",
    "group": "group them",
    "manifest": "check all selections, write the manifest",
    "again": "the same with nothing to do",
    "verify": "verify every file",
    "status": "`otcondense status`",
    "page": "first answer of the page",
}


def _rows() -> Iterator[Row]:
    for stage, words in STAGES.items():
        for size in SIZES:
            yield Row(f"{words}, {WORDS[size]}", f"{size}_{stage}_seconds", "s")
        yield Row(
            f"{words}: exponent of the time",
            ratio=f"slope_{stage}_seconds",
            ratio_unit="(1 is linear)",
        )
    yield Row(
        "select all groups on one core, from 50 of them (extrapolated)",
        names_of("{}_select_all_cpu_seconds", SIZES),
        "s",
    )
    yield Row("read the answer of the page", names_of("{}_page_answer_seconds", SIZES), "s")
    for stage in ("import", "group", "manifest", "verify"):
        yield Row(f"memory to {stage}", names_of(f"{{}}_{stage}_peak_mib", SIZES), "MiB")


SCALE = tuple(_rows())
