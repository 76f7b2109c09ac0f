"""The stream of one class: samples, moments, the kept subset, and images of an unfinished block."""

from dataclasses import dataclass, replace

from otcondense.errors import InputError
from otcondense.streaming.choice import StreamChoice, choose, everything
from otcondense.streaming.config import StreamConfig
from otcondense.streaming.moments import Moments
from otcondense.streaming.rows import StreamRows, joined, union
from otcondense.streaming.sample import KeyedSample
from otcondense.streaming.upper_bound import ObjectiveUnits, upper_bound


@dataclass(frozen=True, eq=False)
class ClassStream:
    """What is kept of one class; its size does not grow with the stream."""

    config: StreamConfig
    reservoir: KeyedSample
    check: KeyedSample
    kept: StreamRows
    """The subset, in order of choice; all images while there are at most `budget`."""
    pending: StreamRows
    """Images of the block that is not full yet."""
    moments: Moments | None = None
    """Of the finished blocks; None before the first."""

    @classmethod
    def empty(cls, config: StreamConfig, width: int) -> "ClassStream":
        """Return the state before the first image."""
        nothing = StreamRows.none(width)
        reservoir = KeyedSample(config.reservoir, config.seed, "reservoir", nothing)
        check = KeyedSample(config.check_rows, config.seed, "check", nothing)
        return cls(config, reservoir, check, nothing, nothing)

    @property
    def width(self) -> int:
        """Columns of the features."""
        return int(self.pending.features.shape[1])

    @property
    def seen(self) -> int:
        """Images that have arrived."""
        finished = 0 if self.moments is None else self.moments.count
        return finished + len(self.pending)

    @property
    def in_memory(self) -> tuple[str, ...]:
        """Ids of the images in memory; some of them twice."""
        parts = (self.reservoir.rows, self.check.rows, self.kept, self.pending)
        return tuple(each for part in parts for each in part.ids)

    def with_rows(self, rows: StreamRows) -> "ClassStream":
        """Return the state after further images; each block that becomes full is worked on."""
        state = replace(self, pending=joined([self.pending, rows]))
        size = self.config.block
        while len(state.pending) >= size:
            block = state.pending.take(range(size))
            rest = state.pending.take(range(size, len(state.pending)))
            state = replace(state._after(block), pending=rest)
        return state

    def finished(self) -> "ClassStream":
        """Return the state with the images of the last block worked on, though it is not full."""
        if not len(self.pending):
            return self
        nothing = StreamRows.none(self.width)
        return replace(self._after(self.pending), pending=nothing)

    def merged(self, other: "ClassStream", later: int) -> "ClassStream":
        """Return the state of both streams; the other one arrived after `later` images."""
        mine, theirs = self.finished(), other.finished()
        if mine.moments is None or theirs.moments is None:
            return self if theirs.moments is None else _delayed(theirs, later)
        reservoir = mine.reservoir.merged(theirs.reservoir, later)
        check = mine.check.merged(theirs.check, later)
        moments = mine.moments.merged(theirs.moments)
        newcomers = theirs.kept.later(later)
        both = replace(mine, reservoir=reservoir, check=check, moments=moments)
        return both._swapped(newcomers)

    def choice(self, delta: float) -> StreamChoice:
        """Return the subset of what has arrived so far; the state does not change.

        Args:
            delta: probability with which the upper bound may be wrong.

        Raises: InputError for fewer images than the budget, unless `small_class` is take_all.
        """
        budget = self.config.budget
        if self.seen < budget and self.config.small_class == "error":
            raise InputError(
                f"budget must be at most the number of images that have arrived, found budget "
                f"{budget} for {self.seen}; wait for more, lower it or set small_class=take_all"
            )
        state = self.finished()
        assert state.moments is not None, "a class begins with its first image"
        if state.seen <= budget:
            return everything(state.seen, state.kept)
        return state._bounded_choice(state.moments, delta)

    def _bounded_choice(self, moments: Moments, delta: float) -> StreamChoice:
        pool = union([self.reservoir.rows, self.kept])
        found = choose(self.config.at_end(), pool, self.reservoir.rows, self.kept)
        kept = pool.take(found.indices_)
        epsilon = found.diagnostics_.epsilon
        assert epsilon is not None, "the engine searched, with an epsilon"
        units = ObjectiveUnits(epsilon, found.kappa_, self.config.alpha)
        sample = self.check.rows.features
        highest = upper_bound(kept.features, sample, moments, units, delta)
        return StreamChoice(
            seen=self.seen,
            indices=kept.arrival,
            ids=kept.ids,
            objective=found.objective_,
            lower_bound=found.lower_bound_,
            upper_bound=highest,
            swap_optimal=found.swap_optimal_,
            represented_mass=found.represented_mass_,
        )

    def _after(self, block: StreamRows) -> "ClassStream":
        """Return the state after a block of images, which may replace kept ones."""
        moments = Moments.of(block) if self.moments is None else self.moments.with_rows(block)
        return replace(
            self,
            reservoir=self.reservoir.with_rows(block),
            check=self.check.with_rows(block),
            moments=moments,
        )._swapped(block)

    def _swapped(self, newcomers: StreamRows) -> "ClassStream":
        """Return the state with the newcomers that lower the objective swapped in."""
        pool = union([self.reservoir.rows, self.kept, newcomers])
        if len(pool) <= self.config.budget:
            return replace(self, kept=pool)
        found = choose(self.config.while_arriving(), pool, self.reservoir.rows, self.kept)
        return replace(self, kept=pool.take(found.indices_))


def _delayed(stream: ClassStream, later: int) -> ClassStream:
    """Return a stream as if `later` other images had arrived first."""
    return replace(
        stream,
        reservoir=replace(stream.reservoir, rows=stream.reservoir.rows.later(later)),
        check=replace(stream.check, rows=stream.check.rows.later(later)),
        kept=stream.kept.later(later),
    )
