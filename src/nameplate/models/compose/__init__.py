"""A new model out of parts: an InternViT, a fresh projector and a language model. Read `build.py` first."""

from nameplate.models.compose.build import Layout, compose
from nameplate.models.compose.provenance import Composed

__all__ = ["Composed", "Layout", "compose"]
