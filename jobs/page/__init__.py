"""The page to watch and understand a run: read-only, from the run's files alone."""

from jobs.page.access import Access
from jobs.page.app import create_app

__all__ = ["Access", "create_app"]
