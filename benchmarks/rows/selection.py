"""Rows about the selection."""

from collections.abc import Iterator

from benchmarks.rows.row import Row

PLAIN_EVALUATION = "the paper's evaluation, written plainly, extrapolated"
EXACT = "exact search, 400 s at most"
AUTHORS_SEARCH = "subset of the published search"


def _selection(budget: int) -> tuple[Row, ...]:
    k = f"k{budget}"
    return (
        Row(
            f"choose {budget} of 1,300 images, with the proof",
            f"seconds_{k}",
            "s",
            PLAIN_EVALUATION,
            f"yardstick_seconds_{k}",
            f"times_faster_{k}",
            "times faster",
        ),
        Row(f"lower bound of {budget}, in addition", f"lower_bound_seconds_{k}", "s"),
        Row(f"distance of {budget} from that bound, at most", f"gap_percent_{k}", "%"),
        Row(
            f"objective of {budget} (lower is better)",
            f"objective_ours_{k}",
            "",
            AUTHORS_SEARCH,
            f"objective_authors_{k}",
        ),
        Row(f"peak memory of the process, {budget} images", f"peak_memory_gb_{k}", "GB"),
    )


SELECTION = (
    *_selection(10),
    *_selection(50),
    *_selection(100),
    Row(
        "choice of 10, 50 and 100 proven: no single swap helps (1 is yes)",
        "proven_k10 proven_k50 proven_k100",
    ),
    Row(
        "classes with an objective no worse than that of the published search",
        ratio="quality_not_worse_share",
        ratio_unit="of the classes",
    ),
    Row("the same classes: proven", ratio="quality_proven_share", ratio_unit="of the classes"),
)
LARGE_CLASS = (
    Row(
        "choose 10 of 20,000 images, with the proof",
        "proof_seconds",
        "s",
        "forecast",
        "forecast_seconds",
    ),
    Row("the same with the lower bound, CPU time", "cpu_seconds", "s"),
    Row("its peak memory", "peak_memory_gb", "GB", "forecast", "forecast_memory_gb"),
    Row("its objective", "objective", "", "mean of random subsets", "random_objective"),
    Row("its objective", "objective", "", "k-medoids", "k_medoids_objective"),
    Row("its gap to the lower bound", ratio="gap", ratio_unit="of the objective"),
    Row("classes with a proof, of one", "proven"),
    Row("relative difference to the objective with a matrix of costs", "difference_to_matrix"),
    Row("relative difference to POT's lazy optimum", "difference_to_lazy"),
    Row(
        "choose 10 of 4,000 without a matrix of costs, CPU time",
        "rows_cpu_seconds",
        "s",
        "with the matrix",
        "matrix_cpu_seconds",
    ),
)
GROUP_CASES = {
    "2000x64": (500, 1000),
    "2000x256": (500, 1000),
    "8000x64": (1000, 2000, 4000),
    "8000x256": (1000, 2000, 4000),
}
"""Made-up classes, and the largest groups of each."""


def _groups() -> Iterator[Row]:
    for case, sizes in GROUP_CASES.items():
        images, width = case.split("x")
        chosen = f"1 % of {int(images):,} images with {width} features"
        for most in sizes:
            name = f"{case}_groups_of_{most}"
            for words, key in (("", name), (", polished", f"{name}_polished")):
                yield Row(
                    f"objective: {chosen} from groups of at most {most:,}{words}",
                    key,
                    "of the exact search's",
                    "random subset",
                    f"{case}_random",
                )
                yield Row("its time", f"{key}_seconds", "s", EXACT, f"{case}_exact_seconds")
    for count in ("20000", "200000"):
        chosen = f"choose 1 % of {int(count):,} images from groups of at most 2,000"
        yield Row(f"{chosen}, with all bounds", f"seconds_{count}", "s")
        yield Row("its peak memory", f"peak_memory_gb_{count}", "GB")
    yield Row("exponent of that time", ratio="slope", ratio_unit="(1 is linear)")


GROUPS = tuple(_groups())
GAINS = tuple(
    Row(
        f"gain of each of {budget} of 1,300 images, 384 features",
        versus="the whole selection, without a bound",
        ratio=f"gain_share_k{budget}",
        ratio_unit="of its time",
    )
    for budget in (10, 50, 100)
)
