"""The interface of a training objective: its loss, its denoising error, and how it is sampled."""

from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Protocol, runtime_checkable

from jaxtyping import Float, Int
from torch import Tensor

from otcondense.diffusion.registry import objective_entry
from otcondense.diffusion.solvers import Noise, Predictor, SolverSettings

Network = Callable[[Tensor, Tensor, Tensor], Tensor]
"""A model, wrapped or not.

It takes noisy images [n, c, h, w], timesteps [n] and labels [n], and returns its raw output
[n, k, h, w].
"""


@runtime_checkable
class Objective(Protocol):
    """A training objective."""

    @property
    def time_convention(self) -> str:
        """Meaning of the timestep; every checkpoint records it."""

    @property
    def noise_time(self) -> float:
        """Timestep of pure noise, in the network's unit."""

    @property
    def data_time(self) -> float:
        """Timestep of clean images, in the network's unit."""

    def losses(
        self,
        network: Network,
        x: Float[Tensor, "n c h w"],
        noise: Float[Tensor, "n c h w"],
        uniform: Float[Tensor, " n"],
        labels: Int[Tensor, " n"],
    ) -> Float[Tensor, " n"]:
        """Return the loss of each sample.

        Args:
            network: the model.
            x: clean images or latents; images in [-1, 1].
            noise: standard normal draws.
            uniform: draws in [0, 1) that choose the timesteps.
            labels: class indices; dropped labels are already replaced by the null class.
        """

    def denoising_errors(
        self,
        network: Network,
        x: Float[Tensor, "n c h w"],
        noise: Float[Tensor, "n c h w"],
        uniform: Float[Tensor, " n"],
        labels: Int[Tensor, " n"],
    ) -> Float[Tensor, " n"]:
        """Return the mean squared error of the prediction for each sample.

        The arguments are those of `losses`.
        """

    def sample(
        self, predict: Predictor, noise: Noise, settings: SolverSettings
    ) -> Float[Tensor, "b c h w"]:
        """Return images or latents, sampled from the first draw of `noise`.

        Args:
            predict: raw output of the network, with guidance, for a batch at one timestep.
            noise: source of the noise.
            settings: one of the registered sampling methods, and its number of steps.
        """


def load_objective(name: str) -> Objective:
    """Return a registered objective.

    Raises: InputError for an unknown name.
    """
    return _imported(objective_entry(name).entry)


@cache
def _imported(entry: str) -> Objective:
    module, _, name = entry.partition(":")
    objective: Objective = getattr(import_module(module), name)
    return objective
