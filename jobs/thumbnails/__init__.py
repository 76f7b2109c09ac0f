"""Thumbnails of the chosen images, stored in the run for its report and its page."""
