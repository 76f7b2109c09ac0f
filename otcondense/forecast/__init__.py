"""Time, cost and memory of a run on given hardware, by arithmetic alone; it imports no torch."""
