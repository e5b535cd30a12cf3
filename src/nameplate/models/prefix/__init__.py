"""What is computed once: everything before the first parameter that learns, kept on disk and shared between runs."""
