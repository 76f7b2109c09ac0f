"""From a hundred thousand rows without labels to ten million: every stage, measured."""
