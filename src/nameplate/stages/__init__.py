"""The stages of a run, one room each; they do not know each other."""
