"""Filling a level: each value once, as far as it fits, by whoever comes first, and only for what it is true of."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest
import torch
from tests.models.prefix_shop import FROZEN, FULL, LORA, Shop, open_shop

from nameplate.models.contract import ImageContract
from nameplate.models.features import vision_features
from nameplate.models.images import ImageCache
from nameplate.models.internvl.processing import InternVLProcessor
from nameplate.models.prefix import identity
from nameplate.models.prefix.frozen import IMAGES_AT_ONCE, FrozenPrefix
from nameplate.models.prefix.levels import Verdict
from nameplate.models.prefix.parking import park
from nameplate.models.prefix.shared import SharedSight
from nameplate.models.prefix.store import PrefixStore
from nameplate.recipe.training import PrefixLevel

LAST = {"mode": "last", "num_layers": 1}

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return open_shop(tmp_path, {"vision": FROZEN, "projector": FROZEN, "language": LAST})


def nothing(_: int) -> None:
    pass


@pytest.mark.parametrize(("level", "values"), [("tiles", 12), ("vision", 12), ("projected", 12), ("hidden", 24)])
def test_each_image_or_example_is_computed_once(shop: Shop, level: PrefixLevel, values: int) -> None:
    counted: list[int] = []
    prefix = shop.prefix(level)
    prefix.fill([*shop.items, *shop.items[:3]], advance=counted.append)
    assert sum(counted) == prefix.num_computed == values
    again = shop.prefix(level)
    again.fill(shop.items, advance=counted.append)
    assert again.num_computed == 0
    assert again.missing(shop.items) == {}


def test_tiles_from_disk_are_those_that_were_decoded(shop: Shop) -> None:
    prefix = shop.prefix("tiles")
    prefix.fill(shop.items[:6], advance=nothing)
    keys = [item.image for item in shop.items]
    decoded = shop.images.batch(keys)
    shelved = ImageCache(shop.images.store, shop.images.processor, max_bytes=0)
    shelved.shelf = prefix
    found = shelved.batch(keys)
    assert found.sizes == decoded.sizes == tuple(map(shelved.size, keys))
    assert found.merged()["pixel_values"].equal(decoded.merged()["pixel_values"])
    assert shelved.num_decoded == len(keys) - len(set(keys[:6])) * 2


def test_beyond_its_budget_values_are_computed_each_time(shop: Shop) -> None:
    whole = shop.prefix("vision")
    whole.fill(shop.items, advance=nothing)
    size = whole.store.num_bytes() // 12
    small = PrefixStore(shop.store.root / "small", max_bytes=1 << 30)
    prefix = FrozenPrefix(shop.loaded.model, shop.images, Verdict("vision", ""), small)
    prefix.fill(shop.items, advance=nothing, max_bytes=size)
    assert small.num_bytes() <= size
    assert len(prefix.missing(shop.items)) == 12
    items = shop.items[:8]
    for name, tensor in whole.inputs(items, length=8).items():
        assert prefix.inputs(items, length=8)[name].equal(tensor)
    assert len(prefix.missing(shop.items)) == 12


def test_what_is_damaged_is_computed_again(shop: Shop) -> None:
    prefix = shop.prefix("projected")
    prefix.fill(shop.items, advance=nothing)
    wanted = prefix.inputs(shop.items[:4], length=8)
    (path,) = prefix.space.folder.glob("*.safetensors")
    data = bytearray(path.read_bytes())
    data[-2000] ^= 1
    path.write_bytes(data)
    again = shop.prefix("projected")
    assert len(again.missing(shop.items)) == 1
    again.fill(shop.items, advance=nothing)
    assert again.num_computed == 1
    found = again.inputs(shop.items[:4], length=8)
    assert all(found[name].equal(tensor) for name, tensor in wanted.items())


def _identities(shop: Shop) -> dict[PrefixLevel, str]:
    return {level: shop.prefix(level).identity for level in ("tiles", "vision", "projected", "hidden")}


@pytest.mark.parametrize(
    ("changed", "path"),
    [
        ("vision projected hidden", "model.vision_tower.encoder.layer.1.mlp.fc1.bias"),
        ("projected hidden", "model.multi_modal_projector.linear_1.bias"),
        ("hidden", "model.language_model.embed_tokens.weight"),
        ("hidden", "model.language_model.layers.0.mlp.up_proj.weight"),
        ("", "model.language_model.layers.1.mlp.up_proj.weight"),
    ],
)
def test_another_weight_on_the_way_is_another_space(shop: Shop, changed: str, path: str) -> None:
    before = _identities(shop)
    with torch.no_grad():
        shop.loaded.model.get_parameter(path).flatten()[0] += 1
    after = _identities(shop)
    assert " ".join(level for level in before if before[level] != after[level]) == changed


def test_preprocessing_format_attention_and_code_count(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    def vision() -> str:
        return shop.prefix("vision").identity

    seen = [vision()]
    shop.loaded.model.set_attn_implementation("eager")
    seen.append(vision())
    tower = shop.loaded.model.get_submodule("model.vision_tower")
    tower.bfloat16()
    seen.append(vision())
    processor = cast(InternVLProcessor, shop.images.processor)
    contract: ImageContract = processor.contract
    monkeypatch.setattr(processor, "contract", contract.model_copy(update={"image_mean": (0.1, 0.2, 0.3)}))
    seen.append(vision())
    monkeypatch.setattr(identity, "VERSION", identity.VERSION + 1)
    seen.append(vision())
    assert len(set(seen)) == len(seen)


def test_policies_that_freeze_the_same_share_it(tmp_path: Path) -> None:
    shops = [
        open_shop(tmp_path / str(place), {"vision": FROZEN, "projector": projector, "language": language})
        for place, (projector, language) in enumerate([(FULL, FROZEN), (LORA, LAST), (FROZEN, LORA)])
    ]
    assert len({shop.prefix("vision").identity for shop in shops}) == 1


def test_models_with_one_tower_see_through_one_computation(shop: Shop) -> None:
    images = list(dict.fromkeys(item.image for item in shop.items))
    model = shop.loaded.model
    store = PrefixStore(shop.store.root / "shared", max_bytes=1 << 30)
    calls: list[int] = []
    hook = model.get_submodule("model.vision_tower").register_forward_hook(lambda *_: calls.append(1))
    wanted = vision_features(model, shop.images.batch(images[:4])).merged()["image_features"]
    first = SharedSight(model, shop.images, store).see(images[:4])
    assert torch.allclose(first.merged()["image_features"].float(), wanted.float(), atol=1e-5)
    assert len(calls) == 2
    with torch.no_grad():
        model.get_parameter("model.multi_modal_projector.linear_2.bias").add_(1.0)
    moved = SharedSight(model, shop.images, store).see(images[:4])
    assert len(calls) == 2, "the tower ran again"
    assert torch.allclose(moved.merged()["image_features"], first.merged()["image_features"] + 1, atol=1e-5)
    SharedSight(model, shop.images, PrefixStore(store.root, max_bytes=0)).see(images[4:6])
    assert len(calls) == 3
    SharedSight(model, shop.images, store).see(images[4:6])
    assert len(calls) == 4, "what did not fit was kept"
    hook.remove()


def test_a_tower_on_the_cpu_has_nowhere_to_go(shop: Shop) -> None:
    assert not park(shop.loaded.model.get_submodule("model.vision_tower"))


def test_batches_of_images_have_one_shape(shop: Shop) -> None:
    shapes: set[torch.Size] = set()
    tower = shop.loaded.model.get_submodule("model.vision_tower.embeddings")
    hook = tower.register_forward_pre_hook(lambda _, given: shapes.add(given[0].shape))
    prefix = shop.prefix("vision")
    prefix.compute(shop.items[:3])
    prefix.compute(shop.items[:7])
    hook.remove()
    assert [shape[0] for shape in shapes] == [IMAGES_AT_ONCE]
