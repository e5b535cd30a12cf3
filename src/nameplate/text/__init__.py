"""Text: whether a caption is fit to be taught, by small rules measured on captions, and what can be mended."""
