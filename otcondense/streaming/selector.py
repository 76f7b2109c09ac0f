"""The public estimator: a subset of a stream, in one pass."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Int64
from numpy.typing import ArrayLike
from pydantic import ValidationError

from otcondense.datasets.names import order_classes
from otcondense.errors import InputError
from otcondense.near_names import did_you_mean
from otcondense.streaming.batches import check_new, check_same, narrow_features, texts_of
from otcondense.streaming.choice import StreamChoice
from otcondense.streaming.class_stream import ClassStream
from otcondense.streaming.config import StreamConfig
from otcondense.streaming.rows import StreamRows
from otcondense.streaming.state import StreamState, Totals, pack, unpack
from otcondense.wrong_values import described

ONE_CLASS = "all"
"""Name of the class of images without labels."""


class StreamSelector:
    """Keeps a subset of all images that have arrived, one batch after another.

    Each image is seen once. In memory are, for each class, two samples of the stream, the subset
    and at most one block of new images, so that memory does not grow with the stream. Results can
    be asked for at any time. They depend on the images and the order of their arrival, and neither
    on the size of the batches nor on how often results were asked for.

    Parameters
    ----------
    budget : int, default 10
        Number of images to keep of each class, >= 1.
    **settings : object
        The other fields of `StreamConfig`, such as reservoir=2000, seed=0, block=500, kappa, alpha.

    Attributes
    ----------
    config : StreamConfig
        The parameters as validated values.
    seen_ : int
        Images that have arrived.
    choices_ : dict of str to StreamChoice
        The subset of each class; without labels, of the class "all".
    indices_ : array of int, [k]
        Places of the kept images in the order of arrival, class by class.
    ids_ : list of str
        Their ids; the places as text, if no ids were given.
    objective_ : float
        Sum of the classes' objectives, measured against the reservoirs.
    lower_bound_ : float
        No choice among the images in memory has a lower objective (docs/streaming.md).
    upper_bound_ : float
        With the probability `confidence`, the objective against the whole stream is at most this.

    Examples
    --------
    >>> import numpy as np
    >>> from otcondense.streaming import StreamSelector
    >>> rng = np.random.default_rng(0)
    >>> selector = StreamSelector(budget=3, reservoir=50, check_rows=50, block=20)
    >>> for _ in range(10):
    ...     selector = selector.partial_fit(rng.normal(size=(30, 2)))
    >>> selector.seen_, len(selector.ids_), selector.lower_bound_ <= selector.objective_
    (300, 3, True)
    """

    def __init__(self, budget: int = 10, **settings: Any) -> None:
        unknown = [name for name in settings if name not in StreamConfig.model_fields]
        if unknown:
            known = list(StreamConfig.model_fields)
            raise TypeError(
                f"StreamSelector has no parameter {unknown[0]!r}{did_you_mean(unknown[0], known)}"
            )
        try:
            self.config = StreamConfig(budget=budget, **settings)
        except ValidationError as error:
            wrong = "; ".join(
                f"{'.'.join(map(str, each['loc']))} {described(each)}".strip()
                for each in error.errors()
            )
            raise InputError(
                f"StreamSelector was given a setting it cannot use: {wrong}"
            ) from error
        self.seen_ = 0
        self._classes: dict[str, ClassStream] = {}
        self._has_labels: bool | None = None
        self._has_ids: bool | None = None

    def partial_fit(
        self,
        batch: ArrayLike,
        ids: Sequence[object] | ArrayLike | None = None,
        labels: Sequence[object] | ArrayLike | None = None,
        first_row: int = 0,
    ) -> "StreamSelector":
        """Let a batch of images arrive.

        A batch that is refused leaves the state as it was.

        Parameters
        ----------
        batch : array of numbers, [m, d]
            Features, kept as 32-bit numbers. All batches have the same columns.
        ids : sequence of text or numbers, [m], or None
            Different names of the images. One that is used again is refused if the first image of
            that name is still in memory. Given with every batch, or never.
        labels : sequence of text or numbers, [m], or None
            Class of each image; new classes may appear. Given with every batch, or never.
        first_row : int, default 0
            Number that messages give to the first row of the batch: its place in the file or the
            table that the batch is a part of.

        Returns
        -------
        StreamSelector
            The selector itself.

        Raises
        ------
        InputError
            For features that are no finite numbers or have other columns than before, repeated
            ids, and ids or labels that are missing or of another number.
        """
        width = self._width if self._classes else None
        features = narrow_features(batch, width, self.config.cost, first_row)
        count = len(features)
        check_same("ids", self._has_ids, ids)
        check_same("labels", self._has_labels, labels)
        arrival = np.arange(self.seen_, self.seen_ + count)
        names = tuple(map(str, arrival.tolist()))
        if ids is not None:
            names = texts_of("ids", ids, count, first_row)
            in_memory = (each for kept in self._classes.values() for each in kept.in_memory)
            check_new(names, in_memory, first_row)
        of_class = (ONE_CLASS,) * count
        if labels is not None:
            of_class = texts_of("labels", labels, count, first_row)
        self._arrive(StreamRows(features, arrival, names), of_class)
        self._has_ids = ids is not None
        self._has_labels = labels is not None
        return self

    def merge(self, other: "StreamSelector") -> "StreamSelector":
        """Return the selection from both streams, as if the other one had arrived after this one.

        The samples and moments are those of one stream. The subset is this one's, with images of
        the other subset swapped in where they lower the objective.

        Raises
        ------
        InputError
            If settings or columns differ, or ids are missing or the same in both.
        """
        if other.config != self.config:
            raise InputError("merge needs streams with the same settings, found different ones")
        if not self._classes or not other._classes:
            return StreamSelector.from_state((self if self._classes else other).state())
        if self._width != other._width or self._has_labels != other._has_labels:
            raise InputError("merge needs the same columns, and labels in both streams or in none")
        if not (self._has_ids and other._has_ids):
            raise InputError("merge needs ids in both streams, to tell their images apart")
        theirs = (each for kept in other._classes.values() for each in kept.in_memory)
        mine = (each for kept in self._classes.values() for each in kept.in_memory)
        check_new(tuple(dict.fromkeys(theirs)), mine)
        merged = StreamSelector.from_state(self.state())
        for name, stream in other._classes.items():
            own = self._classes.get(name, ClassStream.empty(self.config, self._width))
            merged._classes[name] = own.merged(stream, self.seen_)
        merged.seen_ = self.seen_ + other.seen_
        return merged

    @cached_property
    def choices_(self) -> dict[str, StreamChoice]:
        """The subset of each class.

        Raises: InputError before the first image, or for a class with fewer images than the budget.
        """
        if not self._classes:
            raise InputError(
                "no image has arrived: call partial_fit with a batch of features first"
            )
        delta = (1 - self.config.confidence) / len(self._classes)
        found = {}
        for name in order_classes(self._classes):
            try:
                found[name] = self._classes[name].choice(delta)
            except InputError as error:
                where = f"class {name}: " if self._has_labels else ""
                raise InputError(f"{where}{error}") from error
        return found

    @property
    def indices_(self) -> Int64[np.ndarray, " k"]:
        """Places of the kept images in the order of arrival."""
        return np.concatenate([each.indices for each in self.choices_.values()])

    @property
    def ids_(self) -> list[str]:
        """Ids of the kept images."""
        return [name for each in self.choices_.values() for name in each.ids]

    @property
    def objective_(self) -> float:
        """Sum of the classes' objectives."""
        return sum(each.objective for each in self.choices_.values())

    @property
    def lower_bound_(self) -> float:
        """Sum of the classes' lower bounds."""
        return sum(each.lower_bound for each in self.choices_.values())

    @property
    def upper_bound_(self) -> float:
        """Sum of the classes' upper bounds."""
        return sum(each.upper_bound for each in self.choices_.values())

    def state(self) -> StreamState:
        """Return all that is known of the stream, to be stored."""
        totals = Totals(self.seen_, self._has_ids, self._has_labels)
        return pack(self.config, self._classes, totals)

    @classmethod
    def from_config(cls, config: StreamConfig) -> "StreamSelector":
        """Return a selector with validated parameters."""
        made = cls()
        made.config = config
        return made

    @property
    def has_ids(self) -> bool:
        """Whether the images have ids of their own, and not only places."""
        return bool(self._has_ids)

    @classmethod
    def from_state(cls, state: StreamState) -> "StreamSelector":
        """Return the selector with a stored state, which goes on as if it had not stopped.

        Raises: InputError for the state of another version.
        """
        made = cls.from_config(state.facts.config)
        made._classes = unpack(state)
        made.seen_ = state.facts.seen
        made._has_ids = state.facts.has_ids
        made._has_labels = state.facts.has_labels
        return made

    @property
    def _width(self) -> int:
        return next(iter(self._classes.values())).width

    def _arrive(self, rows: StreamRows, of_class: Sequence[str]) -> None:
        places: dict[str, list[int]] = {}
        for place, name in enumerate(of_class):
            places.setdefault(name, []).append(place)
        width = rows.features.shape[1]
        changed = {}
        for name, own in places.items():
            stream = self._classes.get(name) or ClassStream.empty(self.config, width)
            changed[name] = stream.with_rows(rows.take(own))
        self._classes.update(changed)
        self.seen_ += len(rows)
        self.__dict__.pop("choices_", None)
