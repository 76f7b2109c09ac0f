"""The stages of a run on one GPU, by Ray, and how busy the GPU was."""
