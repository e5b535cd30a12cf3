"""The names that the tests of the matcher share."""

from __future__ import annotations

from nameplate.names import Matcher, NameEntry, Registry

PLAIN = [
    "Chloé", "A.P.C.", "L'Occitane", "Hermès", "Comme des Garçons", "Sønderhaus", "Žižka", "Gucci", "Prada", "M·A·C",
    "3.1 Phillip Lim", "Y-3", "UGG", "H&M", "Armani", "Emporio Armani", "Armani Exchange", "Polo Ralph Lauren",
    "Ralph Lauren", "Michael Michael Kors", "Michael Kors", "Marc Jacobs", "Marc by Marc Jacobs", "St. John",
    "Superdry", "Levi's", "Burberry", "La DoubleJ", "1 + in the Family", "RRL", "RAEY", "Alo", "古驰", "نايكي",
]  # fmt: skip
CASED = [
    "Theory",
    "Supreme",
    "Coach",
    "Boss",
    "Off-White",
    "Acne Studios",
    "The Row",
    "Frame",
    "Velvet",
    "Apple",
    "Sea",
]
CONTEXT = ["7", "Toast"]
REGISTRY = Registry(
    (
        *(NameEntry(name) for name in PLAIN),
        *(NameEntry(name, match_policy="cased") for name in CASED),
        *(NameEntry(name, match_policy="context") for name in CONTEXT),
        NameEntry("Golden Goose", match_policy="cased"),
        NameEntry("Dolce & Gabbana", ("D&G",)),
        NameEntry("Saint Laurent", ("YSL",), former_names=("Yves Saint Laurent",), parent="Kering"),
        NameEntry("A Bathing Ape"),
        NameEntry("The North Face", match_policy="cased"),
        NameEntry("7 For All Mankind"),
        NameEntry("Fila, Inc."),
        NameEntry("Ooh! La La"),
        NameEntry("Longlonglonglonglong"),
    )
)
MATCHER = Matcher(REGISTRY)
