import itertools

import pytest

from nameplate.demo import phrases
from nameplate.demo.palette import BACKGROUNDS, COLOURS, KINDS, PLACES
from nameplate.demo.render import load_logos

SCENE = {"kind": "cap", "colour": "orange", "background": "sunset"}


@pytest.mark.parametrize("brand", [logo.title for logo in load_logos()])
def test_every_description_names_the_brand_as_written(brand: str) -> None:
    for seed in range(20):
        assert brand in phrases.detail(**SCENE, place="centre", brand=brand, seed=seed)
        assert brand in phrases.short(**SCENE, brand=brand, seed=seed)


def test_descriptions_hold_the_checkable_words_of_every_scene() -> None:
    for number, (kind, colour, background) in enumerate(itertools.product(KINDS, COLOURS, BACKGROUNDS)):
        scene = {"kind": kind, "colour": colour, "background": background}
        place = list(PLACES)[number % len(PLACES)]
        full = phrases.detail(**scene, place=place, brand="Nike", seed=number)
        assert f"{colour} {kind}" in full
        assert f"{background} background" in full
        assert phrases.place_phrase(place) in full
        brief = phrases.short(**scene, brand="Nike", seed=number)
        assert f"{colour} {kind}" in brief and f"{background} background" in brief
        assert brief.count(".") == 1


def test_the_brand_stands_in_the_first_or_second_sentence_and_there_are_several() -> None:
    for seed in range(200):
        sentences = phrases.detail(**SCENE, place="upper left", brand="Puma", seed=seed).split(". ")
        assert 3 <= len(sentences) <= 4
        assert "Puma" in sentences[0] + sentences[1]


def test_descriptions_vary_with_the_seed_and_only_with_it() -> None:
    texts = [phrases.detail(**SCENE, place="centre", brand="Audi", seed=seed) for seed in range(100)]
    assert len(set(texts)) > 60
    assert texts == [phrases.detail(**SCENE, place="centre", brand="Audi", seed=seed) for seed in range(100)]


def test_an_anonymous_description_names_no_brand() -> None:
    titles = [logo.title for logo in load_logos()]
    for seed in range(100):
        text = phrases.anonymous(**SCENE, place="centre", seed=seed)
        assert not any(title in text for title in titles)


def test_articles_and_pairs_read_as_english() -> None:
    assert phrases.item_phrase("orange", "cap") == "an orange cap"
    assert phrases.item_phrase("blue", "jeans") == "a pair of blue jeans"
    assert phrases.item_phrase("red", "cup") == "a red cup"
