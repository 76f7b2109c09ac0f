"""UniPROT: greedy on partial transport, each chosen image with the same mass from the start."""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, final

import numpy as np
from jaxtyping import Float, Int

from otcondense.selection.base import Selector
from otcondense.selection.baselines.facility_location import without_rounding
from otcondense.selection.baselines.growing_plan import GrowingPlan
from otcondense.selection.baselines.plan_problem import PlanProblem
from otcondense.selection.candidates import Candidates
from otcondense.selection.diagnostics import Diagnostics
from otcondense.selection.forecast import check_costs
from otcondense.selection.nearest import TIE
from otcondense.selection.selector_config import SelectorConfig, free_images


class UniProtConfig(SelectorConfig):
    """Parameters of UniPROT: only the budget."""


@dataclass(frozen=True)
class UniProtDiagnostics(Diagnostics):
    """Diagnostics of UniPROT."""

    bounds: int
    """Number of gains bounded from the prices of a plan."""
    solves: int
    """Number of gains computed exactly, by adding the image to the plan."""


@final
class UniProtSelector(Selector):
    """Images that, with equal masses, are near to the class in optimal transport, greedily.

    F(S) is the largest total similarity ⟨similarity, plan⟩ of a plan in which every chosen image
    ships 1/budget, from the first step on, and every class image receives at most its share of the
    class: a partial transport until the budget is reached. F is monotone and submodular, so that
    the greedy choice has at least 1 − 1/e of the best F. Each step takes the image with the largest
    exact gain; no entropy is added (the authors add some, and have a faster mode with approximate
    gains). Gains only shrink as the subset grows: old gains and dual bounds rule out most images.

    Decided here: the similarity is the largest cost − cost (squared Euclidean distances, or the
    cost given). Since all chosen mass is shipped, any other constant gives the same choice.

    `assignment_` is the nearest chosen image, as in the other baselines: the plan would give copies
    to different ones. The [n, n] costs are held in memory.

    Parameters
    ----------
    budget : int, default 10
        Number of images to choose, >= 1.
    seed : int, default 0
        Ignored: the choice is deterministic.
    small_class : {"error", "take_all"}, default "error"
        "error" refuses a class with fewer images than the budget, "take_all" takes all of it.
    include : sequence of int, default ()
        Indices of images that must be chosen; they come first.
    exclude : sequence of int, default ()
        Indices of images that must not be chosen; they still count as part of the class.

    Attributes
    ----------
    indices_ : array of int, [budget]
        Chosen images, in order of choice.
    objective_ : float
        Transport cost between the subset and the class; during the choice, the mass that is not
        shipped yet costs the largest cost.
    gain_ : array of float, [budget]
        Increase of the objective if the chosen image ships nothing: its mass costs the largest cost
        in place of its part of the plan, and the others may take the class images it held.
    diagnostics_ : UniProtDiagnostics
        Gains bounded, and gains computed exactly.

    Examples
    --------
    >>> import numpy as np
    >>> from otcondense.selection import UniProtSelector
    >>> features = np.array([[0.0], [1.0], [2.0], [10.0], [11.0], [12.0]])
    >>> selector = UniProtSelector(budget=2).fit(features)
    >>> selector.indices_, round(selector.objective_, 3)
    (array([1, 4]), 0.667)

    References
    ----------
    .. [1] Chanda et al., "UniPROT: uniform prototype selection via partial optimal transport with
       submodular guarantees", AISTATS 2026 (arXiv:2604.10952).
    """

    Config: ClassVar[type[SelectorConfig]] = UniProtConfig
    diagnostics_: UniProtDiagnostics

    def __init__(
        self,
        budget: int = 10,
        *,
        seed: int = 0,
        small_class: Literal["error", "take_all"] = "error",
        include: Sequence[int] = (),
        exclude: Sequence[int] = (),
    ) -> None:
        super().__init__(
            budget, seed=seed, small_class=small_class, include=include, exclude=exclude
        )
        self._check()

    def _fit(self, candidates: Candidates, budget: int) -> None:
        check_costs(candidates)
        size = candidates.size
        cost = without_rounding(candidates.distances().to(np.arange(size)).T)
        # In these units the masses of a class without weights are whole numbers, and sums exact.
        weights = candidates.weights
        capacity = np.ones(size) if weights is None else weights * size
        problem = PlanProblem(cost.max() - cost, capacity * budget, float(size))
        search = _LazySearch(problem, free_images(self.config, size))
        for step in range(budget):
            if step < len(self.config.include):
                search.take(self.config.include[step])
            else:
                search.take_best()
            self.objective_ = float(cost.max()) - search.plan.total / (size * budget)
            self._record(search.plan.rows[-1], self.objective_)

        self.indices_ = np.array(search.plan.rows)
        self.gain_ = _gains(search.plan, float(size * budget))
        self.diagnostics_ = UniProtDiagnostics(search.bounds, search.solves)


def _gains(plan: GrowingPlan, mass: float) -> Float[np.ndarray, " budget"]:
    """Return the increase of the objective without each image of a plan; nan if it is alone.

    Args:
        plan: of the whole subset.
        mass: what the whole subset ships.
    """
    if len(plan.rows) == 1:
        return np.full(1, np.nan)
    totals = totals_without(GrowingPlan(plan.problem), plan.rows)
    return np.maximum(plan.total - np.array(totals), 0) / mass


def totals_without(plan: GrowingPlan, images: Sequence[int]) -> list[float]:
    """Return the totals of a plan with all of the given images but one, for each of them in turn.

    Halves of the images are added together, so that n images take about n log n extensions.
    """
    if len(images) == 1:
        return [plan.total]
    middle = len(images) // 2
    first, second = images[:middle], images[middle:]
    return [
        *totals_without(with_images(plan, second), first),
        *totals_without(with_images(plan, first), second),
    ]


def with_images(plan: GrowingPlan, images: Sequence[int]) -> GrowingPlan:
    """Return the plan with further images."""
    for image in images:
        grown = plan.extended(image, -np.inf).plan
        assert grown is not None
        plan = grown
    return plan


@dataclass(frozen=True)
class _Best:
    """The best image of a step so far."""

    gain: float
    image: int
    plan: GrowingPlan


class _LazySearch:
    """The plan of the chosen images, and bounds of the gains of all others."""

    def __init__(self, problem: PlanProblem, free: Int[np.ndarray, " m"]) -> None:
        self.plan = GrowingPlan(problem)
        self.bounds = 0
        self.solves = 0
        self._tie = TIE * problem.supply * float(problem.similarity.max())
        # Entries are (-upper bound of the gain, image, number of cuts that it took into account).
        self._heap = [(-np.inf, image, 0) for image in free.tolist()]

    def take(self, image: int) -> None:
        """Add an image."""
        self.plan = with_images(self.plan, [image])

    def take_best(self) -> None:
        """Add the image with the largest gain, of equal ones that with the lowest index."""
        cuts = [self.plan.cut()]
        best: _Best | None = None
        done: list[tuple[float, int, int]] = []
        while self._heap and (best is None or -self._heap[0][0] >= best.gain - self._tie):
            bound, image, seen = heapq.heappop(self._heap)
            if not self._may_be_better(-bound, image, best):
                done.append((bound, image, seen))
                continue
            if seen < len(cuts):
                self.bounds += 1
                gain = cuts[seen].bound(image)
                heapq.heappush(self._heap, (max(bound, -gain), image, seen + 1))
                continue
            self.solves += 1
            found = self.plan.extended(image, -np.inf if best is None else best.gain - self._tie)
            cuts.append(found.cut)
            done.append((-found.gain, image, 0))
            if found.plan is not None and self._may_be_better(found.gain, image, best):
                best = _Best(found.gain, image, found.plan)
        assert best is not None
        self.plan = best.plan
        # The bounds hold in later steps too, whose cuts are others.
        rest = [(bound, image, 0) for bound, image, _ in [*self._heap, *done]]
        self._heap = [entry for entry in rest if entry[1] != best.image]
        heapq.heapify(self._heap)

    def _may_be_better(self, gain: float, image: int, best: _Best | None) -> bool:
        """Return whether a gain, or its bound, is above the best one or equal at a lower index."""
        if best is None or gain > best.gain + self._tie:
            return True
        return gain >= best.gain - self._tie and image < best.image
