"""The units of work of each stage, with the fingerprint that each result gets."""
