"""Models: loading, preparing examples, components and their policies, adapters, generation."""
