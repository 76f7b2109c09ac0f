"""What each row of the tables of README.md says, and which figures it shows."""

from benchmarks.rows.data import DECODING, EXTRACTION, LISTING, READING
from benchmarks.rows.gpu import GPU
from benchmarks.rows.models import ENSEMBLES, EVALUATION, SAMPLING, SAVING, TRAINING
from benchmarks.rows.row import Row
from benchmarks.rows.running import LOAD, MANY_CLASSES, PAGE, REHEARSAL, SCHEDULING
from benchmarks.rows.scale import SCALE
from benchmarks.rows.selection import GAINS, GROUPS, LARGE_CLASS, SELECTION
from benchmarks.rows.streams import COPIES, STREAMING

__all__ = ["SECTIONS", "Row"]

SECTIONS: dict[str, dict[str, tuple[Row, ...]]] = {
    "Selection": {
        "selection": SELECTION,
        "gains": GAINS,
        "large_class": LARGE_CLASS,
        "groups": GROUPS,
        "copies": COPIES,
    },
    "Streams": {"streaming": STREAMING},
    "Reading images and features": {
        "decoding": DECODING,
        "listing": LISTING,
        "reading": READING,
        "extraction": EXTRACTION,
    },
    "Training, sampling and metrics": {
        "training": TRAINING,
        "sampling": SAMPLING,
        "ensembles": ENSEMBLES,
        "saving": SAVING,
        "evaluation": EVALUATION,
    },
    "Scheduling, load and the page": {
        "scheduling": SCHEDULING,
        "load": LOAD,
        "page": PAGE,
        "many_classes": MANY_CLASSES,
        "cluster_rehearsal": REHEARSAL,
    },
    "Features without labels": {"scale": SCALE},
    "One GPU": {"gpu_all": GPU},
}
"""The tables, in their order: rows by benchmark under the title of a table."""
