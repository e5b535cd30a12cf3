import pytest

from nameplate.records import CleanReason as R
from nameplate.text.language import foreign_letters, wrong_language, wrong_script
from nameplate.text.reading import Reading

GOOD = "This is a red leather shoulder bag by Gucci on a plain white background."


@pytest.mark.parametrize(
    ("text", "language", "wrong"),
    [
        (GOOD, "en", False),
        (GOOD, "zh", True),
        ("这是一款红色的真皮单肩包。", "en", True),
        ("这是一款由 Gucci 设计的红色真皮单肩包，背景为纯白色。", "zh", False),
        ("A grey sweatshirt by Kenzo 高田賢三 with long sleeves, a round neck, a tiger and ribbed cuffs.", "en", False),
        ("A grey sweatshirt 这是一款红色的包 with long sleeves, a round neck, a tiger and ribbed cuffs.", "en", True),
        ("高田賢三", "en", True),
        ("これは赤い革のバッグです。", "zh", True),
        ("高級感溢れる本革使用の赤色肩掛鞄、金具付属、日本製造、数量限定販売中です。", "zh", False),  # too little kana
        ("赤い革のショルダーバッグで、金色のチェーンが付属します。", "zh", True),
        ("Это красная сумка.", "en", True),
        ("123 !", "en", False),
    ],
)  # fmt: skip
def test_the_script_must_fit_the_language(text, language, wrong):
    assert wrong_script(Reading(text), language=language) == (R.WRONG_SCRIPT if wrong else None)


def test_the_limit_can_be_moved():
    text = Reading("A grey sweatshirt 这是一款红色的包 with long sleeves, a round neck and ribbed cuffs.")
    assert 0.1 < foreign_letters(text, language="en") < 0.2
    assert wrong_script(text, language="en", max_foreign=0.2) is None


@pytest.mark.parametrize(
    "text",
    [
        "Un sac à bandoulière rouge en cuir de la marque Gucci, avec une chaîne dorée sur le devant.",
        "Una borsa a tracolla rossa in pelle di Gucci con una catena dorata sulla parte anteriore, per la sera.",
        "Un bolso rojo de cuero de la marca Gucci, con una cadena dorada y un logotipo en la parte delantera.",
        "Uma bolsa vermelha de couro da marca Gucci, com uma corrente dourada e um logotipo na parte da frente.",
        "Eine rote Umhängetasche aus Leder von Gucci mit einer goldenen Kette und einem Logo auf der Vorderseite.",
        "Een rode leren schoudertas van Gucci met een gouden ketting en een logo op de voorkant van de tas.",
        "En röd axelremsväska i läder från Gucci med en guldkedja och en logotyp på framsidan.",
        "Czerwona skórzana torebka na ramię marki Gucci ze złotym łańcuszkiem i logo z przodu, do pracy i na co dzień.",
        "Gucci için kırmızı deri bir omuz çantası; ön yüzünde altın rengi bir zincir ve bir logo da bulunur.",
        "Tas bahu kulit berwarna merah dari Gucci dengan rantai emas dan logo di bagian depan, untuk pesta.",
        "Một chiếc túi đeo vai màu đỏ bằng da của Gucci với dây xích vàng và có logo ở mặt trước.",
    ],
)
def test_a_sentence_of_another_language_is_found(text):
    assert wrong_language(Reading(text), language="en") is R.WRONG_LANGUAGE
    assert wrong_language(Reading(text), language="zh") is None  # there the script says it


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        "Gucci Marmont matelasse mini bag in black leather.",
        "Dolce & Gabbana sandals from the Portofino line, with a low heel and an ankle strap.",
        "Comme des Garçons Play, Maison Margiela, Isabel Marant Étoile, Les Petits Joueurs, La Perla, De La Espada",
        "Maison Margiela Tabi ballerinas, La Perla bodysuit, Brunello Cucinelli cashmere cardigan, Emilio Pucci scarf.",
        "Saint Laurent Le 5 à 7 hobo, smooth leather, white background, Sac de Jour, Rive Gauche, Le Carré.",
        "Bag, red leather, gold zip, cotton lining, one pocket, size medium, new season, limited edition.",
        "Salvatore Ferragamo Vara pumps in nero, with the grosgrain bow in rosso, La Dolce Vita e altri.",
        "Un sac rouge.",
        'A tote with the words "une femme est une femme dans la ville avec des fleurs et une robe" on its front.',
    ],
)
def test_brand_names_and_lists_are_no_other_language(text):
    assert wrong_language(Reading(text), language="en") is None
