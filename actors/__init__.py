"""Stateful Ray workers: class selectors, samplers, and the pool that feeds them."""
