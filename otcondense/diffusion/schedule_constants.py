"""Constants of DiT's noise schedule, in a module of their own so that configurations need no torch.

Source: Ho et al., "Denoising Diffusion Probabilistic Models" (2020), section 4.
"""

NUM_TIMESTEPS = 1000
"""Number of steps of the full schedule."""
BETA_FIRST = 1e-4
"""Variance added at the first step."""
BETA_LAST = 0.02
"""Variance added at the last step; it rises linearly between the two."""
