"""Extraction of VAE latents and patch tokens, shared by the verbs that need them."""
