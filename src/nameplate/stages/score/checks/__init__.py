"""What scoring makes sure of before it believes a model's answers. Each check is a function; a fault has its test."""
