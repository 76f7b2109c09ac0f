"""Networks and image sets of measurements, shared by `evaluate`, `report` and `measure`."""
