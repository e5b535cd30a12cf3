"""Which language a text is in: first by its script, then, among languages in Latin letters, by its smallest words.

A caption is called foreign only when it is clearly so: brand lists fool finer tests ("Comme des Garçons", "De La
Espada"), while one sentence of another language holds many of its articles and prepositions. Missed on purpose: short
texts, half-foreign ones, languages without a profile below, and kinds of Chinese.
"""

from __future__ import annotations

from typing import Final, Literal

from nameplate.records import CleanReason
from nameplate.text.reading import Reading

Language = Literal["en", "zh"]

_OWN_SCRIPT: Final[dict[Language, str]] = {"en": "latin", "zh": "han"}
_MAX_FOREIGN: Final[dict[Language, float]] = {"en": 0.05, "zh": 0.70}
# So many foreign letters are a name rather than another language, however short the text.
_FOREIGN_NAME = 6
_MOST_LETTERS = 0.5
# Chinese with so much kana or hangul among it is Japanese or Korean, however many characters they share.
_MAX_NEIGHBOUR_IN_CHINESE = 0.15

_SMALL_ENGLISH_WORDS: Final = "the and of with is its it has this that by from an are which while their"
_ENGLISH: Final = frozenset(_SMALL_ENGLISH_WORDS.split())
_PROFILES: Final = {
    language: frozenset(words.split())
    for language, words in {
        "French": "une avec dans sur pour est des les cette ce sont qui par aux et un du au en très ses sa plus ou",
        "Italian": "una con di della del nella nel sul sulla che sono è questo questa il lo gli e per dei delle alla",
        "Spanish": "una con del el los las en y es para por este esta que un su tiene sobre como muy al se",
        "Portuguese": "uma com da do em na no os é que para por um são esta este seu sua dos das mais ao",
        "German": "der und mit ein eine einer einem aus von auf ist im für den dem sind auch zu das die des nicht",
        "Dutch": "een het van met en op voor zijn aan deze dit naar ook wordt de te dat uit bij heeft",
        "Scandinavian": "och med en på är av som för den det har til og er fra et av i ett samt",
        "Polish": "z i w na jest do ze się oraz dla to od który która przez",
        "Turkish": "ve bir bu ile için olan da de üzerinde çok gibi olarak ait",
        "Indonesian": "dan yang dengan di dari ini untuk pada adalah serta sebuah",
        "Vietnamese": "và của một với có màu trên cho là được các bằng ở",
    }.items()
}
_MIN_LETTERS, _MIN_WORDS = 40, 10
_MIN_SMALL_WORDS, _MIN_DIFFERENT, _MIN_SHARE = 4, 3, 0.15
_MAX_ENGLISH = 1


def foreign_letters(reading: Reading, *, language: Language) -> float:
    """Share of letters that are not of the language's script.

    A name of up to six letters may keep its own script ("Kenzo 高田賢三") in a text of any length: then 0.
    """
    if reading.is_ascii and language == "en":
        return 0.0
    scripts = reading.scripts
    total = sum(scripts.values())
    foreign = total - scripts.get(_OWN_SCRIPT[language], 0)
    if foreign <= _FOREIGN_NAME and foreign <= total * _MOST_LETTERS:
        return 0.0
    neighbours = scripts.get("japanese", 0) + scripts.get("korean", 0)
    if language == "zh" and neighbours > total * _MAX_NEIGHBOUR_IN_CHINESE:
        return 1.0
    return foreign / total


def usual_limit(language: Language) -> float:
    """Largest share of foreign letters unless the recipe says otherwise."""
    return _MAX_FOREIGN[language]


def wrong_script(reading: Reading, *, language: Language, max_foreign: float | None = None) -> CleanReason | None:
    """English with more than 5 % of other letters, or Chinese with less than 30 % of Chinese characters.

    Args:
        max_foreign: another limit than these.
    """
    limit = usual_limit(language) if max_foreign is None else max_foreign
    return CleanReason.WRONG_SCRIPT if foreign_letters(reading, language=language) > limit else None


def wrong_language(reading: Reading, *, language: Language) -> CleanReason | None:
    """English was asked for, and the small words are those of another language in Latin letters."""
    if language != "en" or len(reading.words) < _MIN_WORDS or len(_ENGLISH & reading.vocabulary) > _MAX_ENGLISH:
        return None
    if sum(map(len, filter(str.isalpha, reading.words))) < _MIN_LETTERS:
        return None
    is_foreign = any(_speaks(reading, profile) for profile in _PROFILES.values())
    return CleanReason.WRONG_LANGUAGE if is_foreign else None


def _speaks(reading: Reading, profile: frozenset[str]) -> bool:
    found = profile & reading.vocabulary
    if len(found) < _MIN_DIFFERENT:
        return False
    return sum(map(reading.words.count, found)) >= max(_MIN_SMALL_WORDS, _MIN_SHARE * len(reading.words))
