"""The configuration of the extraction of latents; it needs no torch."""

from otcondense.representations.representation_config import RepresentationConfig


class LatentConfig(RepresentationConfig):
    """The autoencoder that turns images into latents, and how it is run."""

    model: str = "stabilityai/sd-vae-ft-ema"
    """Autoencoder of diffusers: a name on the Hugging Face hub, or a local folder that
    save_pretrained wrote. Its config.json names the class: AutoencoderKL, AutoencoderDC,
    AutoencoderRAE, AutoencoderTiny or VQModel."""

    def weights(self) -> str | None:
        """Return the folder or name of the model."""
        return self.model
