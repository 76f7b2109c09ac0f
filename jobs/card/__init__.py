"""The card of a subset: what a stranger needs to know of it."""
