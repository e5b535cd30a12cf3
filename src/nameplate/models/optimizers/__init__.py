"""Optimizers by name, over everything that learns."""

from nameplate.models.optimizers.build import build_optimizer, check_optimizer

__all__ = ["build_optimizer", "check_optimizer"]
