"""Export of samples."""
