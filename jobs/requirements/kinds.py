"""The representations whose weights can be fetched in addition to those that the models need."""

KINDS = ("latents", "tokens", "text")
