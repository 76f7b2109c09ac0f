"""Flow matching: the objective of SiT."""

from dataclasses import dataclass

from jaxtyping import Float, Int
from torch import Tensor

from otcondense.diffusion.interpolants import (
    TIME_CONVENTION,
    GeneralizedVariancePreserving,
    Interpolant,
    Linear,
)
from otcondense.diffusion.objectives import Network
from otcondense.diffusion.solvers import (
    EulerMaruyama,
    Noise,
    Predictor,
    SolverSettings,
    integrate,
)


@dataclass(frozen=True)
class VelocityObjective:
    """The squared error of the velocity along an interpolant, with uniform timesteps.

    Source: Ma et al., "SiT" (2024), equation 5 of section 2 (velocity loss).
    """

    interpolant: Interpolant
    noise_time: float = 0.0
    data_time: float = 1.0

    @property
    def time_convention(self) -> str:
        """Meaning of the timestep."""
        return f"{type(self.interpolant).__name__} interpolant, {TIME_CONVENTION} in [0, 1]"

    def velocity(
        self,
        network: Network,
        x_t: Float[Tensor, "n c h w"],
        t: Float[Tensor, " n"],
        labels: Int[Tensor, " n"],
    ) -> Float[Tensor, "n c h w"]:
        """Return the predicted velocity; further output channels are not used."""
        return network(x_t, t, labels)[:, : x_t.shape[1]].float()

    def losses(
        self,
        network: Network,
        x: Float[Tensor, "n c h w"],
        noise: Float[Tensor, "n c h w"],
        uniform: Float[Tensor, " n"],
        labels: Int[Tensor, " n"],
    ) -> Float[Tensor, " n"]:
        path = self.interpolant
        t = uniform.view(-1, 1, 1, 1)
        x_t = path.alpha(t) * x + path.sigma(t) * noise
        target = path.alpha_derivative(t) * x + path.sigma_derivative(t) * noise

        predicted = self.velocity(network, x_t, uniform, labels)
        return (predicted - target).square().flatten(1).mean(dim=1)

    def denoising_errors(
        self,
        network: Network,
        x: Float[Tensor, "n c h w"],
        noise: Float[Tensor, "n c h w"],
        uniform: Float[Tensor, " n"],
        labels: Int[Tensor, " n"],
    ) -> Float[Tensor, " n"]:
        """Return the squared error of the velocity, which is also the loss."""
        return self.losses(network, x, noise, uniform, labels)

    def sample(
        self, predict: Predictor, noise: Noise, settings: SolverSettings
    ) -> Float[Tensor, "b c h w"]:
        """Solve the velocity's differential equation, or its stochastic form for `sde`."""

        def velocity(x: Tensor, t: float) -> Tensor:
            return predict(x, t)[:, : x.shape[1]]

        if settings.method == "sde":
            return EulerMaruyama(self.interpolant, settings.num_steps)(velocity, noise)
        return integrate(
            velocity,
            noise.draw(),
            settings.num_steps,
            heun=settings.method == "heun",
            noise_shift=settings.noise_shift,
        )


SIT_LINEAR = VelocityObjective(Linear())
SIT_GVP = VelocityObjective(GeneralizedVariancePreserving())
