"""Ray Data: features of all images of a source, and the other ways to fill the feature store."""
