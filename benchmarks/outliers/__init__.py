"""What each method chooses where outliers, rare modes and labels in doubt are known."""
