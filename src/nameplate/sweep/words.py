"""A policy in two or three words."""

from __future__ import annotations

from nameplate.recipe import ComponentPolicy, LanguagePolicy


def policy_words(policy: ComponentPolicy) -> str:
    """What a component does: `frozen`, `full`, `last 2`, `layers 0-3`, `LoRA 16`; and its ends, if they differ."""
    words = {
        "last": f"last {policy.num_layers}",
        "layers": f"layers {', '.join(policy.layers or ())}",
        "lora": f"LoRA {policy.rank}",
    }.get(policy.mode, policy.mode)
    if isinstance(policy, LanguagePolicy):
        ends = [f"{end} {state}" for end in ("embeddings", "head") if (state := getattr(policy, end)) != "by_mode"]
        words = ", ".join([words, *ends])
    return words
