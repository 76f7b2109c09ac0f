"""The documentation site: what mkdocs does not do by itself. The pages are in `docs/`."""
