"""What a run needs from a machine: weights of networks, and a compiler."""
