"""Judging strangers' images, and making them plain."""
