"""Addresses of servers, as a recipe may hold them."""

from __future__ import annotations

from urllib.parse import urlsplit


def bare_address(url: str, *, key_field: str) -> str:
    """An address without a slash at its end.

    Args:
        url: as written.
        key_field: of the recipe, that names where a key comes from.

    Raises:
        ValueError: it is no http address, or holds more than one: the recipe is written into the run directory.
    """
    url = url.strip().rstrip("/")
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.port == 0:
        raise ValueError("addresses such as http://localhost:8000/v1")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise ValueError(f"bare addresses; a key comes from the environment ({key_field})")
    return url
