"""InternVL in its original layout: loaded, equal to an independent model, written back, and refused when tampered."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from nameplate.errors import ModelError
from nameplate.models.batches import collate, loss_sum
from nameplate.models.checkpoint import save_native, save_original
from nameplate.models.features import vision_features
from nameplate.models.generate import generate
from nameplate.models.imagebatch import ImageBatch
from nameplate.models.load import LoadedModel, load_model
from nameplate.models.tiling import ImageSize

from .oracle import Oracle, OracleVision
from .tiny_model import SPECIAL, tiny_tokenizer, write_tiny_model
from .tiny_original import Language, tiny_oracle, write_tiny_original

LANGUAGES: tuple[Language, ...] = ("Qwen2ForCausalLM", "LlamaForCausalLM", "InternLM2ForCausalLM")
QUESTION = "Which brand is this product?"
LARGE = OracleVision(norm="rms_norm", qk_norm=True, qkv_bias=False)
"""As the tower of six billion parameters."""
WIDE = ImageSize(40, 20)
"""Two tiles and a thumbnail."""


def pixels(num_tiles: int = 3) -> torch.Tensor:
    return torch.randn(num_tiles, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def ids(loaded: LoadedModel) -> torch.Tensor:
    return torch.tensor([loaded.processor.encode(QUESTION, "a red mug by Acme", size=WIDE).input_ids])


def logits(loaded: LoadedModel) -> torch.Tensor:
    with torch.no_grad():
        output: torch.Tensor = loaded.model(input_ids=ids(loaded), pixel_values=pixels()).logits
    return output


def stored(folder: Path) -> dict[str, torch.Tensor]:
    return {name: tensor for path in sorted(folder.glob("*.safetensors")) for name, tensor in load_file(path).items()}


def assert_same_weights(one: Path, other: Path) -> None:
    before, after = stored(one), stored(other)
    assert before.keys() == after.keys()
    assert all(tensor.equal(after[name]) and tensor.dtype == after[name].dtype for name, tensor in before.items())


def assert_equals_oracle(loaded: LoadedModel, oracle: Oracle) -> None:
    """Measured worst difference in float32, over all variants and languages: 4.2e-6 at logits up to 4.5."""
    with torch.no_grad():
        wanted = oracle(ids(loaded), pixels())
    found = logits(loaded)
    assert (found - wanted).abs().max() < 1e-5
    assert wanted.abs().max() > 0.5


@pytest.mark.parametrize("language", LANGUAGES)
def test_logits_are_those_of_an_independent_model(tmp_path: Path, language: Language) -> None:
    oracle = tiny_oracle(language=language)
    assert_equals_oracle(load_model(str(write_tiny_original(tmp_path / "m", oracle, language=language))), oracle)


@pytest.mark.parametrize(
    "vision",
    [LARGE, OracleVision(norm="rms_norm"), OracleVision(qk_norm=True), OracleVision(qkv_bias=False)],
    ids=["6B", "rms", "qk-norm", "no bias"],
)
def test_every_variant_of_the_tower_equals_the_independent_one(tmp_path: Path, vision: OracleVision) -> None:
    oracle = tiny_oracle(vision=vision)
    assert_equals_oracle(load_model(str(write_tiny_original(tmp_path / "m", oracle, vision=vision))), oracle)


@pytest.mark.parametrize("language", ["Qwen2ForCausalLM", "LlamaForCausalLM"])
def test_tied_heads_are_tied_and_stay_so(tmp_path: Path, language: Language) -> None:
    oracle = tiny_oracle(language=language, tied=True)
    loaded = load_model(str(write_tiny_original(tmp_path / "m", oracle, language=language, tied=True)))
    assert_equals_oracle(loaded, oracle)
    embeddings, head = loaded.model.get_input_embeddings(), loaded.model.get_output_embeddings()
    assert embeddings.weight is head.weight  # type: ignore[union-attr]  # both are there
    save_original(loaded, tmp_path / "back")
    assert_same_weights(tmp_path / "m", tmp_path / "back")


def test_a_head_of_its_own_is_kept_whatever_the_configuration_says(tmp_path: Path) -> None:
    """The configuration's default is "tied"; believing it would lose the head without a word."""
    oracle = tiny_oracle()
    folder = write_tiny_original(tmp_path / "m", oracle)
    tree = json.loads((folder / "config.json").read_text())
    tree["tie_word_embeddings"] = tree["llm_config"]["tie_word_embeddings"] = True
    (folder / "config.json").write_text(json.dumps(tree))
    loaded = load_model(str(folder))
    assert_equals_oracle(loaded, oracle)
    save_native(loaded, tmp_path / "native")
    tree = json.loads((tmp_path / "native" / "config.json").read_text())
    (tmp_path / "native" / "config.json").write_text(json.dumps(tree | {"tie_word_embeddings": True}))
    native = load_model(str(tmp_path / "native"))
    assert_equals_oracle(native, oracle)
    # Whoever resizes or saves the model later goes by the configuration.
    assert native.model.config.tie_word_embeddings is False


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
def test_original_to_native_to_original_changes_nothing(tmp_path: Path, language: Language, dtype: torch.dtype) -> None:
    first = write_tiny_original(tmp_path / "first", language=language, dtype=dtype, shards=3)
    loaded = load_model(str(first))
    save_native(loaded, tmp_path / "native")
    native = load_model(str(tmp_path / "native"))
    save_original(native, tmp_path / "second")
    again = load_model(str(tmp_path / "second"))
    assert_same_weights(first, tmp_path / "second")
    assert logits(native).equal(logits(loaded))
    assert logits(again).equal(logits(loaded))
    assert loaded.processor.fingerprint == native.processor.fingerprint == again.processor.fingerprint
    before, after = (json.loads((folder / "config.json").read_text()) for folder in (first, tmp_path / "second"))
    assert {name: after[name] for name in before} == before


def test_a_native_model_has_an_original_layout_too(tmp_path: Path) -> None:
    loaded = load_model(str(write_tiny_model(tmp_path / "native", tie=False)))
    save_original(loaded, tmp_path / "original")
    again = load_model(str(tmp_path / "original"))
    one = torch.tensor([loaded.processor.encode(QUESTION, "Acme").input_ids])
    with torch.no_grad():
        wanted, found = (each.model(input_ids=one, pixel_values=pixels(1)).logits for each in (loaded, again))
    assert wanted.equal(found)
    assert again.processor.fingerprint == loaded.processor.fingerprint


def test_loads_answers_learns_and_is_saved_in_both_layouts(tmp_path: Path) -> None:
    loaded = load_model(str(write_tiny_original(tmp_path / "m", shards=2)))
    batch = ImageBatch((WIDE,), ({"pixel_values": pixels()},))
    seen = vision_features(loaded.model, batch)
    before = generate(loaded, seen, [QUESTION], max_new_tokens=6)
    answer = "a red mug by Acme"
    encoded = loaded.processor.encode(QUESTION, answer, size=WIDE)
    optimizer = torch.optim.AdamW(loaded.model.parameters(), lr=1e-2)
    inputs = collate([encoded], loaded.processor.pad_id) | batch.merged()
    losses = []
    for _ in range(12):
        loss = loss_sum(loaded.model, inputs)
        torch.autograd.backward(loss)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.2 * losses[0]
    after = generate(loaded, vision_features(loaded.model, batch), [QUESTION], max_new_tokens=12)
    assert before != after == [answer]
    save_native(loaded, tmp_path / "native")
    save_original(loaded, tmp_path / "original")
    for layout in ("native", "original"):
        again = load_model(str(tmp_path / layout))
        assert logits(again).equal(logits(loaded))
        assert generate(again, vision_features(again.model, batch), [QUESTION], max_new_tokens=12) == after


def test_settings_come_from_the_checkpoint(tmp_path: Path) -> None:
    folder = write_tiny_original(tmp_path / "m", max_dynamic_patch=6, use_thumbnail=False, system_message="Be brief.")
    processor = load_model(str(folder)).processor
    text = processor.tokenizer.decode(processor.encode("What?", size=ImageSize(90, 30)).input_ids)
    assert text == (
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\n<img>" + "<IMG_CONTEXT>" * 12 + "</img>\nWhat?"
        "<|im_end|>\n<|im_start|>assistant\n"
    )
    usual = load_model(str(write_tiny_original(tmp_path / "usual")), max_tiles=1)
    text = usual.processor.tokenizer.decode(usual.processor.encode("What?").input_ids)
    assert text.startswith("<|im_start|>system\n\u4f60\u662f\u4e66\u751f\xb7\u4e07\u8c61\uff0c")
    assert text.count("<IMG_CONTEXT>") == 4
    generation = usual.model.generation_config
    assert generation is not None and generation.eos_token_id == usual.processor.end_id


def test_a_larger_tile_than_the_tower_was_made_for_is_interpolated(tmp_path: Path) -> None:
    folder = write_tiny_original(tmp_path / "m", force_image_size=48)
    loaded = load_model(str(folder), max_tiles=1)
    one = loaded.processor.encode(QUESTION)
    assert one.input_ids.count(loaded.processor.image_token_id) == 9
    with torch.no_grad():
        output = loaded.model(input_ids=torch.tensor([one.input_ids]), pixel_values=torch.zeros(1, 3, 48, 48))
    assert torch.isfinite(output.logits).all()


QKV = "vision_model.encoder.layers.1.attn.qkv.weight"
Tensors = dict[str, torch.Tensor]


def _drop(tensors: Tensors) -> None:
    del tensors[QKV]


def _add(tensors: Tensors) -> None:
    tensors["vision_model.encoder.layers.9.ls1"] = torch.ones(32)


def _cut(tensors: Tensors) -> None:
    tensors[QKV] = tensors[QKV][:-1].contiguous()


def _nan(tensors: Tensors) -> None:
    tensors[QKV][3, 3] = torch.nan


def _infinite(tensors: Tensors) -> None:
    tensors[QKV][3, 3] = -torch.inf


def _lose_head(tensors: Tensors) -> None:
    del tensors["language_model.lm_head.weight"]


@pytest.mark.parametrize(
    ("tamper", "message"),
    [
        (_drop, r": vision_model\.encoder\.layers\.1\.attn\.qkv\.weight: is missing \(1 such"),
        (_add, r": vision_model\.encoder\.layers\.9\.ls1: is no weight of this model"),
        (_cut, r"layers\.1\.attn\.qkv\.weight: has the shape \[95, 32\] instead of \[96, 32\]"),
        (_nan, r"layers\.1\.attn\.qkv\.weight: holds NaN or infinity"),
        (_infinite, r"layers\.1\.attn\.qkv\.weight: holds NaN or infinity"),
        (_lose_head, r": language_model\.lm_head\.weight: is missing"),
    ],
)
def test_a_tampered_checkpoint_is_refused_by_name(
    tmp_path: Path, tamper: Callable[[Tensors], None], message: str
) -> None:
    folder = write_tiny_original(tmp_path / "m")
    tensors = load_file(folder / "model.safetensors")
    tamper(tensors)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=message):
        load_model(str(folder))


def test_a_lost_shard_is_named(tmp_path: Path) -> None:
    folder = write_tiny_original(tmp_path / "m", shards=3)
    (folder / "model-00002-of-00003.safetensors").unlink()
    with pytest.raises(ModelError, match=r"model-00002-of-00003\.safetensors: missing, but the index names it"):
        load_model(str(folder))


def test_an_index_cannot_point_out_of_its_folder(tmp_path: Path) -> None:
    folder = write_tiny_original(tmp_path / "m", shards=2)
    outside = write_tiny_original(tmp_path / "outside") / "model.safetensors"
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": dict.fromkeys(load_file(outside), "../outside/model.safetensors")}))
    with pytest.raises(ModelError, match="the index names it"):
        load_model(str(folder))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"ps_version": "v1"}, r"ps_version: v1; expected v2"),
        ({"pad2square": True}, r"pad2square: True; expected False"),
        ({"template": "phi3-chat"}, r"template: phi3-chat; expected one of internvl2_5"),
        ({"vision_config": None}, r"config\.json: "),
        (
            {"llm_config": {"architectures": ["Phi3ForCausalLM"]}},
            r"architectures: Phi3ForCausalLM; expected one of Qwen2",
        ),
        ({"max_dynamic_patch": "many"}, "malformed"),
        ({"vision_config": {"num_hidden_layers": "many"}}, r"malformed .*num_hidden_layers"),
    ],
)
def test_settings_that_we_cannot_follow_are_refused(tmp_path: Path, settings: dict[str, object], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        load_model(str(write_tiny_original(tmp_path / "m", **settings)))


def test_rotation_settings_survive_both_ways(tmp_path: Path) -> None:
    """InternVL3's language models stretch their positions."""
    folder = write_tiny_original(tmp_path / "m")
    tree = json.loads((folder / "config.json").read_text())
    tree["llm_config"] |= {"rope_scaling": {"type": "dynamic", "factor": 2.0}, "rope_theta": 1000000.0}
    (folder / "config.json").write_text(json.dumps(tree))
    loaded = load_model(str(folder))
    rope = loaded.model.config.get_text_config().rope_parameters
    assert (rope["rope_type"], rope["factor"], rope["rope_theta"]) == ("dynamic", 2.0, 1000000.0)
    save_native(loaded, tmp_path / "native")
    assert load_model(str(tmp_path / "native")).model.config.get_text_config().rope_parameters == rope


def test_vocabulary_and_merges_do_where_there_is_no_tokenizer_file(tmp_path: Path) -> None:
    """As InternVL2_5-4B is published, with the ids of the special tokens in the configuration."""
    folder = write_tiny_original(tmp_path / "m")
    wanted = load_model(str(folder)).processor.encode(QUESTION, "Acme", size=WIDE)
    tokenizer = tiny_tokenizer()
    (folder / "tokenizer.json").unlink()
    tokenizer.model.save(str(folder))
    plain = {"special": True, "lstrip": False, "rstrip": False, "normalized": False, "single_word": False}
    tree = {
        "tokenizer_class": "Qwen2Tokenizer",
        "added_tokens_decoder": {str(tokenizer.token_to_id(token)): plain | {"content": token} for token in SPECIAL},
        "additional_special_tokens": SPECIAL[3:],
        "eos_token": "<|im_end|>",
        "pad_token": "<|endoftext|>",
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(tree))
    assert load_model(str(folder)).processor.encode(QUESTION, "Acme", size=WIDE) == wanted


def test_a_tokenizer_that_only_its_own_code_reads_is_refused_with_a_way_out(tmp_path: Path) -> None:
    folder = write_tiny_original(tmp_path / "m")
    (folder / "tokenizer.json").rename(folder / "tokenizer.model")
    with pytest.raises(ModelError, match=r"has only tokenizer\.model.*put the tokenizer\.json of the same model's"):
        load_model(str(folder))


def test_an_image_token_beyond_the_embeddings_is_refused(tmp_path: Path) -> None:
    folder = write_tiny_original(tmp_path / "m")
    tree = json.loads((folder / "config.json").read_text())
    tree["llm_config"]["vocab_size"] = 5
    (folder / "config.json").write_text(json.dumps(tree))
    with pytest.raises(ModelError, match=r"vocab_size: 5 rows, but the tokenizer's image token is number 5"):
        load_model(str(folder))


def test_a_quantised_checkpoint_is_refused(tmp_path: Path) -> None:
    folder = write_tiny_original(tmp_path / "m")
    tensors = {name: tensor.to(torch.float8_e4m3fn) for name, tensor in load_file(folder / "model.safetensors").items()}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"weights stored as F8_E4M3; expected one of F32, BF16, F16"):
        load_model(str(folder))
