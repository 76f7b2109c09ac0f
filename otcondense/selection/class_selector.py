"""One selector for every class of labelled data."""

from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING, Any, final

import numpy as np
from jaxtyping import Int
from numpy.typing import ArrayLike, NDArray

from otcondense.errors import InputError
from otcondense.history import Step
from otcondense.selection.arrays import as_matrix, of_all
from otcondense.selection.base import Selector
from otcondense.selection.candidates import named_cost
from otcondense.selection.class_jobs import (
    ClassBudget,
    ClassJob,
    class_budgets,
    class_clone,
    run_jobs,
)
from otcondense.selection.gap import in_words
from otcondense.selection.geometry_aware import GeometryAwareSelector
from otcondense.selection.labels import classes_of
from otcondense.selection.selector_config import check_indices
from otcondense.selection.shown import Chosen, Shown

if TYPE_CHECKING:
    from sklearn.utils import Tags


@final
class ClassSelector(Shown):
    """Chooses a subset of every class of labelled data.

    Each class gets a selector of its own with the parameters of `selector`, as in the commands: its
    seed is derived from `selector.seed` and the name of the class. `include` and `exclude` of
    `selector` hold rows of X. The result does not depend on `n_jobs`.

    Parameters
    ----------
    selector : Selector or None, default None
        The selector; it is copied for each class and stays as it is. None is
        `GeometryAwareSelector()`.
    budget : int, float, str, mapping or None, default None
        Images of each class: a number; a share such as 0.01 or "1%", rounded to the nearest number,
        at least 1; or a mapping from every class to one of these. None is that of `selector`.
    n_jobs : int or None, default None
        Classes chosen at the same time, in processes of joblib; -1 is one per CPU, None is 1.
        Without joblib, classes are chosen one after another.

    Attributes
    ----------
    classes_ : array, [classes]
        The labels, sorted.
    indices_ : array of int, [chosen]
        Rows of X that are chosen: by class, in order of choice.
    selectors_ : dict of label to Selector
        The fitted selector of each class; its indices are places within the class.
    rows_ : dict of label to array of int
        Rows of X of each class, in ascending order.
    objective_ : float
        Mean of the objectives of the classes, nan if there are none.
    lower_bound_ : float
        Mean of their lower bounds, nan if there are none.
    assignment_ : array of int, [n]
        Row of the chosen image that represents each image, -1 if it is left out.
    n_features_in_ : int
        Number of features.

    Examples
    --------
    >>> import numpy as np
    >>> from otcondense.selection import ClassSelector, HerdingSelector
    >>> X = np.random.default_rng(0).normal(size=(30, 4))
    >>> y = np.repeat(["cat", "dog", "hen"], 10)
    >>> selector = ClassSelector(HerdingSelector(), budget="20%").fit(X, y)
    >>> y[selector.indices_].tolist()
    ['cat', 'cat', 'dog', 'dog', 'hen', 'hen']
    >>> selector = ClassSelector(HerdingSelector(), budget={"cat": 1, "dog": 2, "hen": 0.5})
    >>> len(selector.fit(X, y).indices_)
    8
    """

    classes_: NDArray[np.generic]
    indices_: Int[np.ndarray, " chosen"]
    selectors_: dict[Hashable, Selector]
    rows_: dict[Hashable, Int[np.ndarray, " m"]]
    objective_: float
    lower_bound_: float
    assignment_: Int[np.ndarray, " n"]
    n_features_in_: int

    def __init__(
        self,
        selector: Selector | None = None,
        *,
        budget: ClassBudget | Mapping[Hashable, ClassBudget] | None = None,
        n_jobs: int | None = None,
    ) -> None:
        self.selector = selector
        self.budget = budget
        self.n_jobs = n_jobs

    def fit(
        self,
        X: Any,
        y: Any = None,
        *,
        cross_entropy: ArrayLike | None = None,
        difficulty: ArrayLike | None = None,
        logits: ArrayLike | None = None,
        weights: ArrayLike | None = None,
        cost: str | None = None,
    ) -> "ClassSelector":
        """Choose the subset of each class.

        Parameters
        ----------
        X : array of numbers, [n, d]
            Features of all images.
        y : array of int or str, [n], or None
            Labels. None takes all images as one class, named 0.
        cross_entropy : array of float, [n], or None
            Cross-entropy of the true class in nats, >= 0.
        difficulty : array of float, [n], or None
            Difficulty score.
        logits : array of float, [n, c], or None
            Logits of a classifier.
        weights : array of float, [n], or None
            Weight of each image in its class, >= 0.
        cost : "squared_distance", "cosine" or None
            How far apart two images are; "cosine" takes the features at unit length.

        Returns
        -------
        ClassSelector
            The object itself.

        Raises
        ------
        InputError
            A ValueError with the class, the name of the argument, the expected and the found value.
        """
        self._clear_results()
        features = as_matrix("X", X)
        if cost is not None:
            features = named_cost(cost, np.asarray(features, dtype=np.float64))
        data = {
            "cross_entropy": cross_entropy,
            "difficulty": difficulty,
            "logits": logits,
            "weights": weights,
        }
        arrays: dict[str, NDArray[np.generic] | None] = {"features": features}
        for name, values in data.items():
            arrays[name] = of_all(name, values, len(features))
        classes, places = classes_of(y, len(features))
        rows = {label: np.flatnonzero(places == k) for k, label in enumerate(classes.tolist())}
        jobs = self._jobs(arrays, rows)
        fitted = run_jobs(jobs, self.n_jobs)
        self.classes_ = classes
        self.rows_ = rows
        self.n_features_in_ = features.shape[1]
        self._collect(fitted)
        return self

    def _jobs(
        self,
        arrays: dict[str, NDArray[np.generic] | None],
        rows: dict[Hashable, Int[np.ndarray, " m"]],
    ) -> list[ClassJob]:
        selector = GeometryAwareSelector() if self.selector is None else self.selector
        if not isinstance(selector, Selector):
            raise InputError(
                f"selector must be a Selector such as GeometryAwareSelector(), found {selector!r}"
            )
        check_indices(selector.config, sum(len(each) for each in rows.values()))
        budget = selector.budget if self.budget is None else self.budget
        budgets = class_budgets(budget, {label: len(each) for label, each in rows.items()})
        jobs = []
        for label, each in rows.items():
            own = {name: None if a is None else a[each] for name, a in arrays.items()}
            clone = class_clone(selector, label, each, budgets[label])
            jobs.append(ClassJob(label, each, clone, own))
        return jobs

    def _collect(self, fitted: list[Selector]) -> None:
        """Set the results of all classes from those of each one, in the order of the classes."""
        self.selectors_ = dict(zip(self.rows_, fitted, strict=True))
        self.objective_ = float(np.mean([each.objective_ for each in fitted]))
        self.lower_bound_ = float(np.mean([each.lower_bound_ for each in fitted]))
        chosen = []
        self.assignment_ = np.empty(sum(len(rows) for rows in self.rows_.values()), dtype=np.int64)
        for label, each in self.selectors_.items():
            rows = self.rows_[label]
            chosen.append(rows[each.indices_])
            self.assignment_[rows] = np.where(each.assignment_ < 0, -1, rows[each.assignment_])
        self.indices_ = np.concatenate(chosen)
        self._images = ()

    def _chosen(self) -> Chosen:
        fitted = list(self.selectors_.values())
        shares = [each.represented_mass_ for each in fitted]
        return Chosen(
            index=self.indices_,
            rank=np.concatenate([each.rank_ for each in fitted]),
            gain=np.concatenate([each.gain_ for each in fitted]),
            represented_mass=np.concatenate(shares),
            weight=np.concatenate([share * len(share) for share in shares]),
            label=np.repeat(self.classes_, [len(share) for share in shares]),
        )

    def _histories(self) -> dict[str, list[Step]]:
        return {str(label): each.history_ for label, each in self.selectors_.items()}

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "indices_")

    def __sklearn_tags__(self) -> "Tags":
        """Return what scikit-learn asks of an estimator; only scikit-learn calls this."""
        from sklearn.utils import InputTags, Tags, TargetTags

        return Tags(
            estimator_type=None,
            target_tags=TargetTags(required=False),
            input_tags=InputTags(sparse=False, allow_nan=False),
        )

    def __repr__(self) -> str:
        """Return the constructor call and, after `fit`, the result in words."""
        call = super().__repr__()
        if not hasattr(self, "indices_"):
            return call
        chosen, size = len(self.indices_), len(self.assignment_)
        words = in_words(chosen, size, self.objective_, self.lower_bound_, len(self.classes_))
        return f"{call}: {words}"
