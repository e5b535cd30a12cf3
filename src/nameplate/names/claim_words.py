"""The words by which `claims` tells a claim from a denial, a comparison or an ordinary word."""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


NEGATORS = _words("""
    not no non never without neither nor cannot unlike
    isnt arent wasnt werent doesnt dont didnt cant
""")

NEGATION_FILLER = _words("""
    a an the any one either be been is are was were of from by with for to it as
    have has having show shows showing display displays bear bears carry carries feature features featuring
    made produced designed branded labelled labeled associated affiliated appear appears seem seems
    visible clear obvious apparent discernible recognizable recognisable identifiable legible
    genuine authentic real actual actually really necessarily official specific
    brand brands branding logo logos name names label product item piece
""")
"""May stand between a negator and the name it denies; anything else ends the denial."""

COMPARISONS = tuple(
    tuple(line.split())
    for line in """
    similar to
    comparable to
    compared to
    compared with
    compare to
    compare with
    reminiscent of
    inspired by
    akin to
    resemble
    resembles
    resembling
    imitate
    imitates
    imitating
    imitation of
    copy of
    replica of
    in the style of
    rather than
    instead of
    as opposed to
    different from
    confused with
    mistaken for
    brands like
    labels like
    designers like
    brands such as
    labels such as
    designers such as
    just like
    much like
    """.strip().splitlines()
)
"""What comes after one of these is compared with, not claimed. "Looks like" is a claim, if a careful one."""

COMPARISON_FILLER = _words("a an the those that of from by other brand brands item items product products classic")

AFTER_COMPARISON = _words("inspired esque lookalike knockoff dupe")
AFTER_HYPHEN = _words("style styled like type")
"""Only joined by a hyphen: "Gucci-style" compares, "Gucci style" may well claim."""

LIST_WORDS = _words("or nor and a an the")

SLOT_WORDS = _words("""
    by from brand brands branded branding logo logos label labelled labeled maker manufacturer designer
    wordmark emblem trademark
""")
SLOT_FILLER = _words("""
    is are the named called name names reads reading read says saying say of spells spelling spelled
    shows showing displays for as
""")
BRAND_SLOT = _words("brand brands branded")
"""After these even small letters are a name."""
SLOT_AFTER = _words("logo logos brand branded branding label wordmark emblem offers presents sells")
