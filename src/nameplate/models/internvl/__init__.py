"""InternVL's original layout: its configuration, names and settings, and transformers' own, both ways."""
