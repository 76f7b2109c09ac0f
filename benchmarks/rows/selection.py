"""Rows about the selection."""

from benchmarks.rows.row import Row

PLAIN_EVALUATION = "the paper's evaluation, written plainly, extrapolated"
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
GAINS = tuple(
    Row(
        f"gain of each of {budget} of 1,300 images, 384 features",
        versus="the whole selection, without a bound",
        ratio=f"gain_share_k{budget}",
        ratio_unit="of its time",
    )
    for budget in (10, 50, 100)
)
