"""Hosts that say "not for machines": the X-Robots-Tag header, read before the body is; and those that permit us all."""

from __future__ import annotations

from collections.abc import Iterable

REFUSING = frozenset({"noai", "noimageai", "noml", "noindex", "noimageindex", "none"})

# Directives that carry a value, so the word before their colon is not a crawler's name.
_WITH_VALUE = {"unavailable_after", "max-snippet", "max-image-preview", "max-video-preview"}


def refusal(values: Iterable[str], *, user_agent: str) -> str | None:
    """The directive by which a host refuses us; none: it does not.

    Args:
        values: all `X-Robots-Tag` headers of one answer.
        user_agent: ours; directives for another crawler ("otherbot: noindex") do not concern us.
    """
    ours = product_token(user_agent).lower()
    for value in values:
        name, colon, rest = value.partition(":")
        crawler = name.strip().lower()
        directives = value
        if colon and "," not in crawler and crawler not in _WITH_VALUE:
            if crawler != ours:
                continue
            directives = rest
        for directive in directives.lower().split(","):
            if directive.strip() in REFUSING:
                return directive.strip()
    return None


def product_token(user_agent: str) -> str:
    """The name by which robots.txt and X-Robots-Tag address us: what stands before the version."""
    return user_agent.split("/")[0].strip()


def is_permitted(host: str, permitted: Iterable[str]) -> bool:
    """Whether a host's owner has permitted us all: `shop.example` is that host, `*.shop.example` all below it."""
    return any(host.endswith(name[1:].lower()) if name.startswith("*.") else host == name.lower() for name in permitted)
