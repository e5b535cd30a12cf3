"""Names: which there are, when two spellings are one, and what a text says about one."""

from nameplate.names.matcher import MATCHER_VERSION, Judgement, Matcher, Mention, is_mentioned, is_right
from nameplate.names.normalise import NORMALISER_VERSION, Token, normalise, tokens
from nameplate.names.registry import NameEntry, Registry, build_registry
from nameplate.names.whole import is_strict

__all__ = [
    "MATCHER_VERSION",
    "NORMALISER_VERSION",
    "Judgement",
    "Matcher",
    "Mention",
    "NameEntry",
    "Registry",
    "Token",
    "build_registry",
    "is_mentioned",
    "is_right",
    "is_strict",
    "normalise",
    "tokens",
]
