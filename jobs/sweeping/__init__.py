"""Sweeps over the settings of a run: which trials there are, what each does, what became of them."""
