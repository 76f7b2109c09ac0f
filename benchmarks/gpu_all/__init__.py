"""Every figure of one GPU from one command, within a given time."""
