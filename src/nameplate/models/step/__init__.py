"""What makes one training step cheap without changing what it computes."""
