"""Data flowing through Ray Data: read, decode, encode, write Parquet; exports."""
