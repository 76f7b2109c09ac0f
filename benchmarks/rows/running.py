"""Rows about scheduling, load and the page."""

from benchmarks.rows.row import Row, names_of

PIECES = ("features", "latents", "training", "sampling", "evaluation")
"""Stages that use GPUs, in the names of figures."""


SCHEDULING = (
    Row(
        "cost of Ray and files for each class of 0.7 s of work",
        "overhead_ms_per_class",
        "ms",
    ),
    Row(
        "64 workers, replayed from measured times",
        versus="perfect scaling",
        ratio="replayed_efficiency_64",
        ratio_unit="of it",
    ),
    Row(
        "two workers, real", versus="perfect scaling", ratio="real_efficiency_2", ratio_unit="of it"
    ),
    Row("reports of progress, of the work", "reports_percent_of_work", "%"),
    Row("files of progress, of the driver's time", "progress_percent_of_driver", "%"),
)
LOAD = (
    Row(
        "10,000 classes of 50 images through the pool, two actors, each",
        "small_milliseconds_a_class",
        "ms",
        "the selections alone, one process",
        "small_selection_alone_milliseconds_a_class",
    ),
    Row(
        "200 viewers of a page, 99 of 100 answers within",
        "viewers_p99_seconds",
        "s",
        "one viewer, median",
        "viewer_alone_median_seconds",
    ),
    Row("write the report of 1,000 classes", "report_seconds", "s"),
    Row("open it in Chromium", "report_opens_in_chromium_seconds", "s"),
)
PAGE = (
    Row(
        "first view of 1,000 classes, 1.28 million images",
        "first_view_seconds",
        "s",
        "reading the footers of all selections",
        "footers_seconds",
    ),
    Row("view of one class", "class_view_seconds", "s"),
)
MANY_CLASSES = (
    Row(
        "first view of 100,000 classes",
        "first_view_seconds",
        "s",
        "all classes sent to the browser",
        "everything_seconds",
        "less_time",
        "times faster",
    ),
    Row("its data", "overview_kib", "KiB"),
    Row("its data once more", "overview_again_seconds", "s"),
    Row("500 of them in another order", "window_seconds", "s"),
    Row("write the progress of all of them, about once in a minute", "all_units_seconds", "s"),
    Row("write what has changed, each second", "news_seconds", "s"),
    Row("change one in the driver", "change_ms", "ms"),
    Row("`otcondense status`", "status_seconds", "s"),
    Row("its lines", "status_lines"),
)
REHEARSAL = (
    Row(
        "GPUs at work in each of five stages, of 16 claimed",
        names_of("{}_gpus", PIECES),
    ),
    Row(
        "workers that saw a GPU of another",
        names_of("{}_wrong_devices", (*PIECES, "selection")),
    ),
    Row(
        "time in which a GPU was idle",
        versus="a run of the forecast length",
        ratio="idle_share",
        ratio_unit="of it",
    ),
)
