"""What a model makes of images, as vectors, and what can be read from them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.optimize import minimize
from tests.models.tiny_auto import WRITERS
from tests.models.tiny_model import write_tiny_model
from tests.models.tiny_run import write_tiny_run

from nameplate.errors import InputError
from nameplate.models.features import vision_features
from nameplate.models.imagebatch import ImageBatch
from nameplate.models.images import ImageCache, ImageKey
from nameplate.models.load import LoadedModel, load_model
from nameplate.models.precision import autocast
from nameplate.models.probing.blind import answer_without_image, see_blank, without_image
from nameplate.models.probing.looks import look
from nameplate.models.probing.pixels import tiles_allowed, times_shrunk
from nameplate.models.probing.readers import (
    Examples,
    fit_logistic,
    linear_scores,
    nearest_scores,
    ranks_of,
    read_names,
)
from nameplate.models.probing.shelf import Shelf
from nameplate.models.probing.view import View
from nameplate.models.tiling import ImageSize
from nameplate.store.rundir import RunDirectory

PROMPT = "Which brand is this product?"

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    return load_model(str(write_tiny_model(tmp_path_factory.mktemp("tiny") / "base")))


def pictures(loaded: LoadedModel, count: int = 3) -> ImageBatch:
    colours = [(200, 30, 30), (30, 30, 200), (30, 200, 30), (200, 200, 30)]
    images = [Image.new("RGB", (40 + 8 * place, 36), colours[place]) for place in range(count)]
    return loaded.processor.batch([loaded.processor.prepare(image) for image in images])


def test_the_views_are_what_the_parts_of_the_model_put_out(tiny: LoadedModel) -> None:
    images = pictures(tiny)
    model: Any = tiny.model
    looks = look(tiny, images, PROMPT)
    with torch.no_grad(), autocast(tiny.model.device):
        tower = model.model.vision_tower(pixel_values=images.merged()["pixel_values"]).last_hidden_state
        projected = vision_features(tiny.model, images).merged()["image_features"]
    for place, seen in enumerate(looks):
        torch.testing.assert_close(seen[View.EYE], tower[place, 1:].float().mean(0))
        torch.testing.assert_close(seen[View.EYE_SUMMARY], tower[place, 0].float())
        torch.testing.assert_close(seen[View.PROJECTOR], projected[place].float().mean(0))


def test_the_last_state_is_where_the_answer_begins(tiny: LoadedModel) -> None:
    """The head makes of it the logits that the whole model gives for the answer's first token."""
    images = pictures(tiny)
    model: Any = tiny.model
    ids = torch.tensor([tiny.processor.encode(PROMPT).input_ids])
    for place, seen in enumerate(look(tiny, images, PROMPT)):
        pixels = images.pick([place]).merged()["pixel_values"]
        with torch.no_grad():
            whole = model(input_ids=ids, pixel_values=pixels).logits[0]
            mine = model.get_output_embeddings()(seen[View.ANSWER])
        # Rounding of bfloat16, where the machine computes in it; the token before differs by ten times as much.
        assert (mine - whole[-1]).abs().max() < 0.1 * (mine - whole[-2]).abs().max()


def test_an_image_is_seen_alike_alone_and_among_others(tiny: LoadedModel) -> None:
    images = pictures(tiny, 4)
    together = look(tiny, images, PROMPT)
    for place in range(4):
        (alone,) = look(tiny, images.pick([place]), PROMPT)
        for view in View:
            torch.testing.assert_close(alone[view], together[place][view], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("family", sorted(WRITERS))
def test_other_families_show_eye_projector_and_answer(tmp_path: Path, family: str) -> None:
    loaded = load_model(str(WRITERS[family](tmp_path / family)))
    looks = look(loaded, pictures(loaded), PROMPT)
    assert all(set(seen) == {View.EYE, View.PROJECTOR, View.ANSWER} for seen in looks)
    assert all(vector.ndim == 1 and torch.isfinite(vector).all() for seen in looks for vector in seen.values())
    for view in looks[0]:
        assert not torch.allclose(looks[0][view], looks[1][view]), f"{view} is the same for two images"


def test_a_family_without_image_features_leaves_them_out(tiny: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    from nameplate.models.probing import looks as module

    monkeypatch.setattr(module, "_image_features", lambda *_: None)
    (seen,) = [module._look_at_one(tiny, pictures(tiny, 1), PROMPT)]
    assert set(seen) == {View.ANSWER}


def test_the_question_without_its_image_keeps_every_word(tiny: LoadedModel) -> None:
    processor = tiny.processor
    encoded = processor.encode(PROMPT)
    bare = without_image(processor, encoded)
    assert processor.image_token_id not in bare.input_ids
    text = str(processor.tokenizer.decode(bare.input_ids))
    assert PROMPT in text
    assert "<img>" not in text
    assert "</img>" not in text
    assert text.startswith("<|im_start|>user")
    assert text.endswith("<|im_start|>assistant\n")


@pytest.mark.parametrize("family", sorted(WRITERS))
def test_a_model_can_be_asked_without_an_image(tmp_path: Path, family: str) -> None:
    loaded = load_model(str(WRITERS[family](tmp_path / family)))
    first, again = (answer_without_image(loaded, PROMPT, size=ImageSize(64, 64), max_new_tokens=4) for _ in range(2))
    assert first == again
    assert len(see_blank(loaded, ImageSize(64, 64))) == 1


class Shown:
    """A run's images and a shelf for them."""

    def __init__(self, folder: Path, loaded: LoadedModel) -> None:
        self.run: RunDirectory = write_tiny_run(folder)
        rows = self.run.tables("split").read_kept().to_pylist()
        self.keys = [ImageKey(row["image_sha256"], row["image_ext"]) for row in rows]
        self.loaded = loaded
        self.images = ImageCache(self.run.images, loaded.processor)

    def shelf(self, **changes: str) -> Shelf:
        weights, prompt = changes.get("weights", self.loaded.fingerprint), changes.get("prompt", PROMPT)
        return Shelf(self.run.looks, weights=weights, images=self.images, prompt=prompt)


def test_what_was_seen_is_kept_to_the_last_bit(tmp_path: Path, tiny: LoadedModel) -> None:
    shown = Shown(tmp_path / "run", tiny)
    shown.shelf().fill(tiny, shown.keys, batch_size=8, advance=lambda steps: None)
    known = shown.shelf().known(shown.keys)
    assert known.keys() == {key.sha256 for key in shown.keys}
    for start in range(0, len(shown.keys), 8):
        part = shown.keys[start : start + 8]
        for key, seen in zip(part, look(tiny, shown.images.batch(part), PROMPT), strict=True):
            for view in View:
                assert torch.equal(known[key.sha256][view], seen[view])
    # Other weights or another question are another shelf.
    assert shown.shelf(weights="other").known(shown.keys) == {}
    assert shown.shelf(prompt="other").known(shown.keys) == {}
    some = shown.shelf().known(shown.keys[5:10])
    assert some.keys() == {key.sha256 for key in shown.keys[5:10]}
    assert all(torch.equal(seen[view], known[name][view]) for name, seen in some.items() for view in View)


def test_a_broken_image_is_named_and_what_was_seen_before_it_stays(tmp_path: Path, tiny: LoadedModel) -> None:
    shown = Shown(tmp_path / "run", tiny)
    broken = shown.keys[9]
    shown.run.images.path(*broken).write_bytes(b"no image")
    with pytest.raises(InputError, match=broken.sha256):
        shown.shelf().fill(tiny, shown.keys, batch_size=4, advance=lambda steps: None)
    assert shown.shelf().known(shown.keys).keys() == {key.sha256 for key in shown.keys[:8]}


def gaussians(rows: int, *, names: int, width: int, apart: float, seed: int) -> Examples:
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(7).normal(size=(names, width)) * apart
    labels = rng.integers(0, names, rows)
    vectors = centres[labels] + rng.normal(size=(rows, width))
    return Examples(torch.tensor(vectors, dtype=torch.float32), torch.tensor(labels))


@pytest.mark.parametrize("penalty", [1.0, 0.01, 1e-4])
def test_the_linear_probe_finds_the_minimum_that_scipy_finds(penalty: float) -> None:
    """An independent search in float64 with numerical checks of its own, on problems of 60 and 400 rows."""
    for rows, names, width in ((60, 3, 5), (400, 6, 12)):
        data = gaussians(rows, names=names, width=width, apart=0.7, seed=rows)
        vectors, labels = data.vectors.numpy().astype(float), data.names.numpy()

        def loss(flat: np.ndarray[Any, Any], vectors: Any = vectors, labels: Any = labels, width: int = width) -> float:
            weights = flat.reshape(-1, width + 1)
            logits = vectors @ weights[:, :-1].T + weights[:, -1]
            logits -= logits.max(1, keepdims=True)
            likely = logits[np.arange(len(labels)), labels] - np.log(np.exp(logits).sum(1))
            return float(-likely.mean() + penalty / 2 * (weights[:, :-1] ** 2).sum())

        best = minimize(loss, np.zeros(names * (width + 1)), method="L-BFGS-B", options={"maxfun": 200_000}).fun
        fitted = fit_logistic(data.vectors, data.names, penalty=penalty, start=torch.zeros(names, width + 1))
        # Measured worst case: 2e-6 above.
        assert loss(fitted.numpy().astype(float).ravel()) == pytest.approx(best, abs=2e-5)


def test_a_probe_does_not_mind_scale_place_or_dead_numbers() -> None:
    train, tried = (gaussians(200, names=4, width=6, apart=1.0, seed=seed) for seed in (1, 2))

    def changed(data: Examples) -> Examples:
        stretched = data.vectors * torch.tensor([1e3, 1e-3, 1, 1, 5, 7]) + 30
        return Examples(torch.cat([stretched, torch.full((len(stretched), 1), 3.0)], 1), data.names)

    plain = linear_scores(train, tried.vectors, (0.01,), 4)[0.01]
    other = linear_scores(changed(train), changed(tried).vectors, (0.01,), 4)[0.01]
    assert torch.equal(plain.argmax(1), other.argmax(1))


def test_neighbours_vote_by_cosine() -> None:
    train = Examples(torch.tensor([[1.0, 0.0], [0.9, 0.1], [0.0, 5.0]]), torch.tensor([0, 0, 1]))
    tried = torch.tensor([[100.0, 1.0], [0.1, 0.2]])
    scores = nearest_scores(train, tried, (1, 3), 3)
    assert scores[1].argmax(1).tolist() == [0, 1]
    assert scores[3][:, 2].tolist() == [0.0, 0.0]
    cosine = torch.nn.functional.cosine_similarity(tried[0], train.vectors[2], dim=0)
    assert float(scores[3][0, 1]) == pytest.approx(float(((cosine - 1) / 0.07).exp()), rel=1e-4)


def test_ranks_count_the_names_before() -> None:
    scores = torch.tensor([[0.1, 0.7, 0.2], [0.5, 0.5, 0.0], [0.0, 0.0, 0.0]])
    assert ranks_of(scores, torch.tensor([2, 1, 2])) == [1, 1, 2]


def test_settings_are_chosen_in_folds_and_nothing_is_read_where_there_is_nothing() -> None:
    train, tried = (gaussians(300, names=5, width=40, apart=0.6, seed=seed) for seed in (1, 2))
    folds = [place % 3 for place in range(300)]
    readings = {each.reader: each for each in read_names(train, tried, folds=folds, num_names=5)}
    for each in readings.values():
        assert each.ranks.count(0) / 300 > 0.75
    # Neighbours in noise: more of them read more, and the folds see it.
    assert readings["nearest"].setting > 1
    # What the tried rows are called chooses nothing.
    renamed = Examples(tried.vectors, tried.names.roll(1))
    for each in read_names(train, renamed, folds=folds, num_names=5):
        assert (each.setting, each.right_in_folds) == readings[each.reader][1:3]
    rng = torch.Generator().manual_seed(0)
    shuffled = Examples(train.vectors, train.names[torch.randperm(300, generator=rng)])
    for each in read_names(shuffled, tried, folds=folds, num_names=5):
        assert each.ranks.count(0) / 300 < 0.4


def test_products_in_two_folds_would_flatter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twins of one product, with names by chance: folds that divide them read them all, whole ones read chance."""
    base = gaussians(60, names=4, width=20, apart=0.0, seed=3)
    twins = Examples(base.vectors.repeat_interleave(2, 0), base.names.repeat_interleave(2))
    whole = [place // 2 % 3 for place in range(120)]
    divided = [(place + place // 2) % 3 for place in range(120)]
    honest, flattered = (
        next(each for each in read_names(twins, base, folds=folds, num_names=4) if each.reader == "nearest")
        for folds in (whole, divided)
    )
    assert honest.right_in_folds / 120 < 0.5 < 0.95 < flattered.right_in_folds / 120


def test_how_much_an_image_is_shrunk_follows_the_tiles(tiny: LoadedModel) -> None:
    assert times_shrunk(tiny.processor, ImageSize(64, 64)) == pytest.approx(2.0)
    assert tiles_allowed(tiny.processor) == 1
    more = load_model(str(tiny.folder), max_tiles=4)
    assert times_shrunk(more.processor, ImageSize(64, 64)) == pytest.approx(1.0)
    assert tiles_allowed(more.processor) == 4
