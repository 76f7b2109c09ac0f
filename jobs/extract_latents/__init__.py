"""VAE latents."""
