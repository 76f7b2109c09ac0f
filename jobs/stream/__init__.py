"""A subset of a stream of features, in one pass and bounded memory."""
