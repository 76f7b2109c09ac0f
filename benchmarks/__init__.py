"""Measurements of speed, memory and quality, each with its yardstick; README.md has the tables."""
