"""The words by which `claims` tells a claim from a denial, a comparison or an ordinary word.

English, and the commonest of Chinese, where each character is a word.
"""

from __future__ import annotations

from nameplate.names.common import word_set

NEGATORS = word_set("""
    not no non never without neither nor cannot unlike
    isnt arent wasnt werent doesnt dont didnt cant
    不 没 無 无 非 未
""")

NEGATION_FILLER = word_set("""
    a an the any one either be been is are was were of from by with for to it as
    have has having show shows showing display displays bear bears carry carries feature features featuring
    made produced designed branded labelled labeled associated affiliated appear appears seem seems
    visible clear obvious apparent discernible recognizable recognisable identifiable legible
    genuine authentic real actual actually really necessarily official specific
    brand brands branding logo logos name names label product item piece
    是 有 任 何 明 显 可 见 的 品 牌 标 志 看 到 一 个 款
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
    than
    vs
    versus
    alternative to
    homage to
    evokes
    evoking
    fake
    faux
    counterfeit
    imitation
    replica
    knockoff
    bootleg
    类 似
    类 似 于
    不 同 于
    仿
    """.strip().splitlines()
)
"""What comes after one of these is compared with, not claimed. "Looks like" is a claim, if a careful one."""

COMPARISON_FILLER = word_set("""
    a an the those that of from by other brand brands item items product products classic 的 个 一 款
""")

AFTER_COMPARISON = word_set("inspired esque lookalike knockoff dupe")
AFTER_HYPHEN = word_set("style styled like type")
"""Only joined by a hyphen: "Gucci-style" compares, "Gucci style" may well claim."""

LIST_WORDS = word_set("or nor and a an the 或")

SLOT_WORDS = word_set("""
    by from brand brands branded branding logo logos label labelled labeled maker manufacturer designer
    wordmark emblem trademark
    牌 自 由
""")
SLOT_FILLER = word_set("""
    is are the named called name names reads reading read says saying say of spells spelling spelled
    shows showing displays for as
    是 为 叫 名 称 的
""")
BRAND_SLOT = word_set("brand brands branded 牌")
"""After these even small letters are a name."""
SLOT_AFTER = word_set("logo logos brand branded branding label wordmark emblem offers presents sells 品 牌 标 商")
SMALL_IN_TITLES = word_set("a an the of in on with for by and or to from at s t")
"""Small even where a title capitalises everything else."""
