"""What a training will cost, said before anything runs: memory, FLOPs, tokens, disk and hours."""
