"""What an objective other than the paper's is worth, judged without training."""
