from pathlib import Path

import pyarrow as pa
import pytest

from nameplate.engine import LocalEngine, Shard
from nameplate.names import NameEntry, Registry
from nameplate.progress import SilentProgress
from nameplate.recipe import CleanSection
from nameplate.records import SCHEMAS
from nameplate.stages.clean import CleanStage
from nameplate.store.tables import StageTables

REGISTRY = Registry(
    (
        NameEntry("Gucci"),
        NameEntry("Prada"),
        NameEntry("A.P.C.", ("APC",)),
        NameEntry("Coach", match_policy="cased"),
        NameEntry("Dolce & Gabbana", ("D&G",)),
    )
)
REST = "It has a gold logo in the middle of the front."


def row(caption, *, name="Gucci", finish_reason="stop", first_problem=None, row_id="1", **columns):
    blank = dict.fromkeys(SCHEMAS["caption"].names)
    said = {"caption_raw": caption, "finish_reason": finish_reason, "first_problem": first_problem}
    return blank | {"row_id": row_id, "name": name} | said | columns


def clean(rows, folder: Path, *, prompt="", **section):
    tables = StageTables(folder, "clean")
    table = pa.Table.from_pylist(rows, schema=SCHEMAS["caption"])
    stage = CleanStage(CleanSection(**section), registry=REGISTRY, prompt=prompt)
    outcome = LocalEngine().run(stage, [Shard(0, lambda: table)], tables=tables, progress=SilentProgress())
    return outcome, tables.read_kept().to_pylist(), tables.read_rejected().to_pylist()


@pytest.mark.parametrize(
    ("raw", "name", "caption", "verdict", "repairs"),
    [
        (f"A red bag by Gucci. {REST}", "Gucci", f"A red bag by Gucci. {REST}", "exact", []),
        (f"A red bag by GUCCI. {REST}", "Gucci", f"A red bag by Gucci. {REST}", "case_variant", ["canonical_name"]),
        (f"A red bag by apc. {REST}", "A.P.C.", f"A red bag by A.P.C. {REST}", "alias", ["canonical_name"]),
        (f"A D&G bag. {REST}", "Dolce & Gabbana", f"A Dolce & Gabbana bag. {REST}", "alias", ["canonical_name"]),
        (f"A red bag by Gucci.\n {REST}", "Gucci", f"A red bag by Gucci. {REST}", "exact", ["collapsed_whitespace"]),
        (f"A Gucci bag. {REST} The str", "Gucci", f"A Gucci bag. {REST}", "exact", ["trimmed_to_sentence"]),
        (f"A Gucci bag. {REST} {REST}", "Gucci", f"A Gucci bag. {REST}", "exact", ["dropped_repeated_sentence"]),
        (f"Caption: A Gucci bag. {REST}", "Gucci", f"A Gucci bag. {REST}", "exact", ["unwrapped"]),
        (f"A Gucci bag, itâ€™s red. {REST}", "Gucci", f"A Gucci bag, it’s red. {REST}", "exact", ["fixed_encoding"]),
        (f"A coach-style bag by Coach. {REST}", "Coach", f"A coach-style bag by Coach. {REST}", "exact", []),
        (f"{REST} It is A.P.C. Paris in", "A.P.C.", REST, None, None),
    ],
)
def test_a_caption_is_mended_and_its_raw_text_kept(tmp_path, raw, name, caption, verdict, repairs):
    _, kept, rejected = clean([row(raw, name=name)], tmp_path)
    done = (kept or rejected)[0]
    assert (done["caption_raw"], done["caption"]) == (raw, caption)
    if verdict is None:
        assert rejected[0]["reason"] == "name_absent"  # the only mention stood in the part that was cut off
    else:
        assert (done["name_verdict"], done["repairs"], done["reasons"]) == (verdict, repairs, [])


@pytest.mark.parametrize(
    ("raw", "reasons"),
    [
        ("", ["empty", "name_absent"]),
        (None, ["empty", "name_absent"]),
        (f"I'm sorry, Gucci. {REST}", ["refusal"]),
        (f"A b\ufffdg by Gucci. {REST}", ["garbled"]),
        (f"A Gucci bag, 锟斤拷 red. {REST}", ["mojibake"]),
        ("Thisâ€™ is aâ€™ red â€œbag fromâ€™ theâ€™ house ofâ€™ Gucci. â€œIt â€œis new.", ["garbled"]),
        (f'{{"price": 12, "by": ["Gucci"], "note": "{REST}"}}', ["wrapped"]),
        (f"Okay, let me look at the Gucci bag. {REST}", ["leaked"]),
        ("Un sac rouge de Gucci avec une chaîne et une poche pour le soir, et des anses en cuir.", ["wrong_language"]),
        (
            f"A Gucci bag. {REST}" + " It is red and plain." * 7,
            ["tail_loop", "inner_loop", "sentence_repeat", "ngram_cover"],
        ),
        (f"A red bag. {REST}", ["name_absent"]),
        (f"A bag by Gucci and Prada. {REST}", ["other_name"]),
        ("A Gucci bag.", ["too_short"]),
        ("A bag.", ["too_short", "name_absent"]),
    ],
)
def test_a_rejected_row_keeps_all_codes_and_carries_the_first(tmp_path, raw, reasons):
    _, kept, rejected = clean([row(raw)], tmp_path)
    assert kept == []
    assert rejected[0]["reasons"] == reasons and rejected[0]["reason"] == reasons[0]
    assert rejected[0]["caption_raw"] == raw


def test_an_ordinary_word_is_ambiguous(tmp_path):
    _, _, rejected = clean([row(f"A bag for the coach. {REST}", name="Coach")], tmp_path)
    assert rejected[0]["reason"] == "name_ambiguous"


def test_the_name_can_be_optional_but_another_name_never_passes(tmp_path):
    rows = [row(f"A red bag. {REST}", row_id="1"), row(f"A Prada bag. {REST}", row_id="2")]
    _, kept, rejected = clean(rows, tmp_path, require_name=False)
    assert [(one["row_id"], one["reasons"]) for one in kept] == [("1", ["name_absent"])]
    assert [(one["row_id"], one["reason"]) for one in rejected] == [("2", "other_name")]


def test_a_token_limit_inside_the_first_sentence_leaves_nothing(tmp_path):
    raw = "A red bag by Gucci with a gold logo in the middle of"
    _, _, rejected = clean([row(raw, finish_reason="length")], tmp_path)
    assert rejected[0]["reason"] == "no_whole_sentence"
    _, kept, _ = clean([row(raw, finish_reason="stop")], tmp_path / "stop")
    assert kept[0]["caption"] == raw


def test_the_detail_shows_where_a_long_text_begins_and_ends(tmp_path):
    _, _, rejected = clean([row("A Gucci bag. " + "It is red and plain. " * 40 + "THE END")], tmp_path)
    assert rejected[0]["detail"].startswith("A Gucci bag.") and rejected[0]["detail"].endswith("THE END")
    assert len(rejected[0]["detail"]) <= 120


def test_the_figures_count_rows_kept_and_rejected(tmp_path):
    rows = [
        row(f"A red bag by Gucci. {REST}", row_id="1"),
        row(f"A red bag by gucci. {REST} The st", row_id="2", finish_reason="length", first_problem="tail_loop"),
        row(f"A red bag. {REST}", row_id="3", first_problem="name_absent"),
        row(f"A Gucci and Prada bag. {REST}", row_id="4"),
        row(f"{REST} A bag by Gucci", row_id="5"),
    ]
    outcome, kept, rejected = clean(rows, tmp_path)
    assert (outcome.read, outcome.kept, outcome.rejected) == (5, 2, {"name_absent": 2, "other_name": 1})
    assert outcome.details.pop("matcher")
    assert outcome.details == {
        "repairs": {"trimmed_to_sentence": 2, "canonical_name": 1},
        "name_verdicts": {"absent": 2, "exact": 1, "case_variant": 1, "other_name": 1},
        "reasons_all": {"name_absent": 2, "other_name": 1},
        "first_problems": {"tail_loop": 1, "name_absent": 1},
        "cut_off": 1,
        "name_present_before_repair": 3,
        "name_present_after_repair": 2,
    }
    assert len(kept) + len(rejected) == 5


def test_the_same_row_is_cleaned_the_same_in_any_company(tmp_path):
    rows = [row(f"A bag by GUCCI {place}. {REST}", row_id=str(place)) for place in range(6)]
    _, together, _ = clean(rows, tmp_path / "together")
    _, backwards, _ = clean(rows[::-1], tmp_path / "backwards")
    assert together == backwards[::-1]


def test_each_repair_is_kept_with_its_place_before_and_after(tmp_path):
    _, kept, _ = clean([row(f"Caption: A red bag by GUCCI. {REST} The st")], tmp_path)
    assert kept[0]["changes"] == [
        {"repair": "unwrapped", "before": "Caption: A red bag by GUCCI. It h", "after": "A red bag by GUCCI. It h"},
        {
            "repair": "trimmed_to_sentence",
            "before": "the middle of the front. The st",
            "after": "the middle of the front.",
        },
        {
            "repair": "canonical_name",
            "before": "A red bag by GUCCI. It has a gold logo in ",
            "after": "A red bag by Gucci. It has a gold logo in ",
        },
    ]


def test_what_stands_in_the_prompt_and_in_the_caption_is_an_echo(tmp_path):
    prompt = "Name the brand {name} in the very first sentence that you write."
    raw = f"The brand Gucci in the very first sentence that you write. {REST}"
    _, _, rejected = clean([row(raw)], tmp_path / "asked", prompt=prompt)
    assert rejected[0]["reasons"] == ["leaked"]
    _, kept, _ = clean([row(raw)], tmp_path / "not")
    assert kept[0]["reasons"] == []


SENTINEL = "An image of a product by a well known brand on some background."
LONG = f"{SENTINEL} It is by Gucci, as can be seen, and it is made of something soft and nice."


def shared(number, text, **columns):
    return [
        row(text, row_id=str(place), **{"image_phash": f"{place:016x}", "image_sha256": f"sha{place}"} | columns)
        for place in range(number)
    ]


def test_a_text_under_many_pictures_says_nothing(tmp_path):
    named = shared(5, LONG)
    outcome, kept, rejected = clean(named, tmp_path / "long")
    assert kept == [] and outcome.rejected == {"shared_text": 5}
    assert rejected[0]["detail"] == "the same text under 5 pictures of 5 products"
    assert outcome.details["reasons_all"] == {"shared_text": 5}
    mixed = [one | {"name": name} for one, name in zip(shared(5, SENTINEL), ["Gucci", "Prada"] * 3, strict=False)]
    assert clean(mixed, tmp_path / "names", require_name=False)[0].rejected == {"shared_text": 5}


@pytest.mark.parametrize(
    ("rows", "section"),
    [
        (shared(4, LONG), {}),
        (shared(9, LONG, product_code="one"), {}),
        (shared(9, LONG, image_phash="00"), {}),
        (shared(9, "A plain black cotton T-shirt by Gucci with a round neck."), {}),
        (shared(9, LONG), {"shared_by": None}),
    ],
    ids=["too few", "one product", "one picture", "plain T-shirts of one name", "off"],
)
def test_true_twins_keep_their_text(tmp_path, rows, section):
    outcome, kept, _ = clean(rows, tmp_path, require_name=False, **section)
    assert len(kept) == len(rows) and "shared_text" not in outcome.rejected


def test_no_names_at_all(tmp_path):
    rows = [one | {"name": ""} for one in shared(5, SENTINEL)]
    assert clean(rows, tmp_path, require_name=False)[0].rejected == {"shared_text": 5}


def test_pairs_of_questions_and_answers_are_mended_like_the_caption_that_they_are(tmp_path: Path) -> None:
    pairs = [
        ("Which  brand is it?", "The brand of this bag is GUCCI."),
        ("What colour is it?", "Itâ€™s red all over."),
        ("What colour is it?", "It’s red  all over."),
        ("What is on its front?", REST),
    ]
    said = [{"question": question, "answer": answer} for question, answer in pairs]
    _, (kept,), _ = clean([row(" ".join(answer for _, answer in pairs), qa_pairs=said)], tmp_path)
    assert [tuple(pair.values()) for pair in kept["qa_pairs"]] == [
        ("Which brand is it?", "The brand of this bag is Gucci."),
        ("What colour is it?", "It’s red all over."),
        ("What is on its front?", REST),
    ]
    assert all(pair["answer"] in kept["caption"] for pair in kept["qa_pairs"])


@pytest.mark.parametrize("pairs", [None, []])
def test_rows_without_pairs_stay_so(tmp_path: Path, pairs: list[dict[str, str]] | None) -> None:
    _, (kept,), _ = clean([row(f"A red bag by Gucci. {REST}", qa_pairs=pairs)], tmp_path)
    assert kept["qa_pairs"] == pairs
