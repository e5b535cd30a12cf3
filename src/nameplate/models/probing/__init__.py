"""Looking into a frozen model: what each of its parts makes of an image, and how well names can be read from that."""
