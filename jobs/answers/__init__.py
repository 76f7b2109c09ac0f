"""What a run found: the subsets, whether they beat random draws, and what was left out."""
