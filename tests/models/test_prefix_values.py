"""What was kept gives the losses and gradients of pixels: to the last bit in float32."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from tests.models.prefix_shop import FROZEN, FULL, LORA, Shop, open_shop

from nameplate.models import precision
from nameplate.models.adapters import graft
from nameplate.models.batches import HIDDEN
from nameplate.models.prefix import frozen
from nameplate.models.prefix.frozen import FrozenPrefix
from nameplate.models.prefix.skipping import language_layers
from nameplate.recipe import ComponentPolicy
from nameplate.recipe.training import PrefixLevel
from nameplate.stages.train.objective import batch_loss

Policies = Mapping[str, Mapping[str, object]]

LAST = {"mode": "last", "num_layers": 1}
CASES: list[tuple[PrefixLevel, Policies]] = [
    ("vision", {"vision": FROZEN, "projector": FULL, "language": FROZEN}),
    ("vision", {"vision": FROZEN, "projector": FULL, "language": LORA}),
    ("vision", {"vision": FROZEN, "projector": LORA, "language": FULL}),
    ("projected", {"vision": FROZEN, "projector": FROZEN, "language": FULL}),
    ("projected", {"vision": FROZEN, "projector": FROZEN, "language": LORA}),
    ("hidden", {"vision": FROZEN, "projector": FROZEN, "language": LAST}),
    ("hidden", {"vision": FROZEN, "projector": FROZEN, "language": {"mode": "layers", "layers": ["1"]}}),
    ("hidden", {"vision": FROZEN, "projector": FROZEN, "language": {**LAST, "head": "full"}}),
    ("hidden", {"vision": FROZEN, "projector": FROZEN, "language": {"mode": "frozen", "head": "full"}}),
]

pytestmark = pytest.mark.usefixtures("one_thread")


def compute_in(dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "compute_dtype", lambda: dtype)
    monkeypatch.setattr(frozen, "compute_dtype", lambda: dtype)


def worst_difference(shop: Shop, prefix: FrozenPrefix) -> float:
    """Of losses and gradients, relative to the largest number of each tensor, over three batches of eight."""
    worst = 0.0
    for items in (shop.items[:8], shop.items[3:11], shop.items[::-1][:8]):
        wanted, found = shop.learned(items, None), shop.learned(items, prefix)
        assert wanted.keys() == found.keys()
        for name, tensor in wanted.items():
            worst = max(worst, float((found[name] - tensor).abs().max() / tensor.abs().max()))
    return worst


@pytest.mark.parametrize(
    ("level", "policies"), CASES, ids=[f"{level}-{place}" for place, (level, _) in enumerate(CASES)]
)
@pytest.mark.parametrize("same_length", [True, False], ids=["one length", "many lengths"])
def test_losses_and_gradients_are_those_of_pixels(
    tmp_path: Path, level: PrefixLevel, policies: Policies, same_length: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To the last bit; hidden states were padded to other lengths, and then differ by 1.4e-7 at worst (measured)."""
    compute_in(torch.float32, monkeypatch)
    shop = open_shop(tmp_path, policies, same_length=same_length)
    prefix = shop.prefix(level)
    prefix.fill(shop.items, advance=lambda _: None)
    computed = prefix.num_computed
    worst = worst_difference(shop, prefix)
    assert prefix.num_computed == computed, "what is kept was computed again"
    assert worst <= (1e-6 if level == "hidden" and not same_length else 0.0)


@pytest.mark.parametrize(("level", "policies"), [CASES[1], CASES[4], CASES[5]], ids=["vision", "projected", "hidden"])
def test_in_bfloat16_losses_and_gradients_are_those_of_pixels_to_its_precision(
    tmp_path: Path, level: PrefixLevel, policies: Policies, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Measured: images to the last bit, hidden states 3.6e-3 of the largest number in a gradient."""
    compute_in(torch.bfloat16, monkeypatch)
    shop = open_shop(tmp_path, policies)
    prefix = shop.prefix(level)
    prefix.fill(shop.items, advance=lambda _: None)
    assert worst_difference(shop, prefix) <= 0.01, level


def test_adapters_above_go_on_from_what_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No recipe puts adapters on upper layers alone; the mechanism does not mind them."""
    compute_in(torch.float32, monkeypatch)
    shop = open_shop(tmp_path, {"vision": FROZEN, "projector": FROZEN, "language": LAST}, same_length=True)
    model = shop.loaded.model
    paths = [
        name for name, each in model.named_modules() if "language_model.layers.1" in name and name.endswith("_proj")
    ]
    graft(model, dict.fromkeys(paths, ComponentPolicy(mode="lora", rank=4)))
    adapters = [each for _, each in model.named_parameters() if each.requires_grad]
    with torch.no_grad():
        for each in adapters:
            each.normal_()
    prefix = shop.prefix("hidden")
    prefix.fill(shop.items, advance=lambda _: None)
    found = []
    for kept in (None, prefix):
        model.zero_grad(set_to_none=True)
        loss = batch_loss(model, shop.batch(shop.items[:8], kept))
        torch.autograd.backward(loss)
        found.append([loss.detach(), *(each.grad for each in adapters)])
    assert all(one.equal(other) for one, other in zip(*found, strict=True))


def test_neighbours_change_no_bit_of_what_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compute_in(torch.bfloat16, monkeypatch)
    shop = open_shop(tmp_path, {"vision": FROZEN, "projector": FROZEN, "language": LAST})
    for level in ("vision", "projected", "hidden"):
        prefix = shop.prefix(level)
        alone = [prefix.compute([item])[0]["value"] for item in shop.items]
        for part in prefix.batches(prefix.missing(shop.items)):
            for key, entry in zip(part, prefix.compute(list(part.values())), strict=True):
                same = [one for one, item in zip(alone, shop.items, strict=True) if prefix.key(item) == key]
                assert all(each.equal(entry["value"]) for each in same)


def test_skipped_layers_do_not_run_and_come_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compute_in(torch.float32, monkeypatch)
    shop = open_shop(tmp_path, {"vision": FROZEN, "projector": FROZEN, "language": LAST})
    prefix = shop.prefix("hidden")
    prefix.fill(shop.items, advance=lambda _: None)
    lower, upper = language_layers(shop.loaded.model)
    ran: list[str] = []
    hooks = [
        each.self_attn.register_forward_hook(lambda *_, name=name: ran.append(name))
        for name, each in (("lower", lower), ("upper", upper))
    ]
    kept = shop.batch(shop.items[:4], prefix)
    assert kept.keys() & {HIDDEN, "pixel_values"} == {HIDDEN}
    batch_loss(shop.loaded.model, kept)
    assert ran == ["upper"]
    batch_loss(shop.loaded.model, shop.batch(shop.items[:4], None))
    assert ran == ["upper", "lower", "upper"]
    for hook in hooks:
        hook.remove()
