"""Comparing scored runs: what is paired with what, what is concluded, and what is refused in words."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from tests.compare.scored import said, scored_run, true_names
from typer.testing import CliRunner

from nameplate.cli.app import app
from nameplate.compare import ComparisonSummary, bring_together, compare_models, find_compared
from nameplate.names import build_registry
from nameplate.statistics import compare_pairs, holm

NAMES = true_names(120)
FIRST = "x" * 40 + "." * 80
BETTER = "x" * 36 + "." * 4 + "x" * 30 + "." * 50
SAME = "x" * 37 + "." * 3 + "xx" + "." * 78


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    base = said("." * 120, NAMES)
    for name, pattern in (("first", FIRST), ("better", BETTER), ("same", SAME)):
        scored_run(tmp_path / name, {"base": base, "epoch-05": said(pattern, NAMES)}, names=NAMES)
    return tmp_path


def compare(folder: Path, *names: str, **options: object) -> ComparisonSummary:
    models = find_compared([str(folder / name) for name in names])
    return compare_models(models, bring_together(models, **options))  # type: ignore[arg-type]  # by their names


def refused(folder: Path, *words: str) -> str:
    before = sorted(folder.rglob("*"))
    done = CliRunner().invoke(app, ["compare", *words])
    assert done.exit_code == 2, done.output
    assert done.stdout == "" and len(done.stderr.splitlines()) == 1
    assert sorted(folder.rglob("*")) == before
    return done.stderr


def test_each_model_is_compared_with_the_first_on_the_same_rows(runs: Path) -> None:
    found = compare(runs, "first", "better", "same")
    assert [(each.label, each.accuracy.count, each.accuracy.n) for each in found.models] == [
        ("first", 40, 120), ("better", 66, 120), ("same", 39, 120),
    ]  # fmt: skip
    better, same = found.differences
    assert ([len(better.fixed), len(better.regressed)], better.outcome) == ([30, 4], "better")
    assert ([len(same.fixed), len(same.regressed)], same.outcome) == ([2, 3], "tie")
    assert same.sentence.startswith("A tie: same gets 39 of 120 test images right (32.5%), first 40 (33.3%);")
    assert [each.row_id for each in better.regressed] == ["0036", "0037", "0038", "0039"]
    assert (better.regressed[0].name, better.regressed[0].before, better.regressed[0].after) == ("Acme", "Acme", "Zeta")
    oracle = [compare_pairs([m == "x" for m in FIRST], [m == "x" for m in other]) for other in (BETTER, SAME)]
    assert [each.p_value for each in found.differences] == [each.p_value for each in oracle]
    assert [each.p_holm for each in found.differences] == holm([each.p_value for each in oracle])
    assert [(each.low, each.high) for each in found.differences] == [(each.low, each.high) for each in oracle]


def test_a_run_is_compared_with_its_own_base_and_checkpoints(runs: Path) -> None:
    found = compare(runs, "better:base", "better")
    assert [each.checkpoint for each in found.models] == ["base", "epoch-05"]


def test_images_of_one_product_count_together(tmp_path: Path) -> None:
    """The same answers, once of forty things and once of four: only the first shows something."""
    names, products = true_names(40), [f"p{place // 10}" for place in range(40)]
    for folder, groups in (("apart", None), ("together", products)):
        for run, pattern in (("a", "." * 40), ("b", "x" * 30 + "." * 10)):
            answers = {"base": said("." * 40, names), "epoch-05": said(pattern, names)}
            scored_run(tmp_path / folder / run, answers, names=names, products=groups)
    apart, together = (compare(tmp_path / folder, "a", "b") for folder in ("apart", "together"))
    assert (apart.products, together.products) == (40, 4)
    assert (apart.differences[0].outcome, together.differences[0].outcome) == ("better", "tie")
    assert together.differences[0].mcnemar < 1e-6 < 0.1 < together.differences[0].p_value
    assert any("40 images show 4 products" in note for note in together.notes)


def test_differing_test_sets_are_refused_or_intersected(runs: Path) -> None:
    ids = [f"{place:04d}" for place in range(60, 180)]
    names = [*NAMES[60:], *NAMES[:60]]
    answers = {"base": said("." * 120, names), "epoch-05": said("x" * 120, names)}
    scored_run(runs / "other", answers, names=names, row_ids=ids)
    text = refused(runs, str(runs / "first"), str(runs / "other"))
    assert "the test sets differ: first 120, other 120 rows, 60 of them shared" in text
    assert "give --shared-rows" in text
    found = compare(runs, "first", "other", shared_rows=True)
    assert (found.rows, found.models[0].accuracy.n, found.rows_of) == (60, 60, {"first": 120, "other": 120})
    assert len(found.differences[0].fixed) == 60
    assert found.notes[0].startswith("The models were asked about different test rows (first 120, other 120).")


def test_the_same_ids_of_another_table_are_not_the_same_rows(runs: Path) -> None:
    answers = {"base": said("." * 120, NAMES), "epoch-05": said(FIRST, NAMES)}
    scored_run(runs / "elsewhere", answers, names=NAMES, shade=200)
    text = refused(runs, str(runs / "first"), str(runs / "elsewhere"), "--shared-rows")
    assert "120 row ids are shared, but each with another image: these are different tables" in text


def test_other_names_and_other_registries_are_refused(runs: Path) -> None:
    renamed = [*NAMES[1:], NAMES[0]]
    answers = {"base": said("." * 120, renamed), "epoch-05": said(FIRST, renamed)}
    scored_run(runs / "renamed", answers, names=renamed)
    text = refused(runs, str(runs / "first"), str(runs / "renamed"))
    assert "120 shared rows have another true name (0000 is 'Acme' and 'Zeta';" in text
    more = build_registry(dict.fromkeys((*NAMES, "Fila"), 10))
    scored_run(
        runs / "wider", {"base": said("." * 120, NAMES), "epoch-05": said(BETTER, NAMES)}, names=NAMES, registry=more
    )
    text = refused(runs, str(runs / "first"), str(runs / "wider"))
    assert "judged by different names or rules; give --judge-again" in text
    assert compare(runs, "first", "wider", judge_again=True).models[1].accuracy.count == 66


def test_judging_again_uses_the_first_runs_names(tmp_path: Path) -> None:
    """A run that did not know a name counted answers with two names as right; the first run's registry does not."""
    names = ["Acme", "Zeta", "Nike"] * 10
    both = [f"{name} or Puma" for name in names]
    few = build_registry(dict.fromkeys(("Acme", "Zeta", "Nike"), 10))
    scored_run(tmp_path / "all", {"base": names, "epoch-05": names}, names=names)
    scored_run(tmp_path / "few", {"base": names, "epoch-05": both}, names=names, registry=few)
    alone = find_compared([str(tmp_path / "few"), str(tmp_path / "few:base")])
    assert compare_models(alone, bring_together(alone)).models[0].accuracy.count == 30
    judged = compare(tmp_path, "all", "few", judge_again=True)
    assert [each.accuracy.count for each in judged.models] == [30, 0]


def test_other_questions_are_refused(runs: Path) -> None:
    answers = {"base": said("." * 120, NAMES), "epoch-05": said(FIRST, NAMES)}
    scored_run(runs / "detail", answers, names=NAMES, headline="detail", question="Describe it.")
    text = refused(runs, str(runs / "first"), str(runs / "detail"))
    assert "headed by different questions: first by 'name', detail by 'detail'; give --prompt" in text
    text = refused(runs, str(runs / "first"), str(runs / "detail"), "--prompt", "name")
    assert "detail: no answers to 'name' on the test split; expected one of what was asked (test: detail)" in text
    scored_run(runs / "worded", answers, names=NAMES, question="What brand?")
    text = refused(runs, str(runs / "first"), str(runs / "worded"))
    assert "question name: was worded differently: 'What brand?' and 'Which brand is this product?'" in text


def test_what_a_stranger_would_do_wrong_is_said(runs: Path) -> None:
    (runs / "plain").mkdir()
    (runs / "unscored").mkdir()
    (runs / "unscored" / "manifest.json").write_text("{}")
    shutil.copytree(runs / "first", runs / "torn")
    (runs / "torn" / "score" / "predictions.parquet").write_bytes(b"PAR1 and no more")
    first = str(runs / "first")
    answers = {"base": said("." * 120, NAMES), "epoch-05": said(FIRST, NAMES)}
    scored_run(runs / "validated", answers, names=NAMES, split="validation")
    for words, text in (
        ([first], "compare: 1 model; expected two or more"),
        ([first, first + "/"], "first: is given twice (epoch-05 of "),
        ([first, f"{first}:epoch-05"], "is given twice (epoch-05 of "),
        ([first, str(runs / "nowhere")], "no such folder; expected RUN or RUN:CHECKPOINT"),
        ([first, str(runs / "plain")], "is not a run directory (it has no manifest.json)"),
        ([first, str(runs / "unscored")], "was not scored; run `nameplate score` on its recipe first"),
        ([first, f"{first}:epoch-99"], "no such checkpoint; expected one of base, epoch-05"),
        ([first, str(runs / "torn")], "predictions.parquet: cannot be read (ArrowInvalid)"),
        ([first, str(runs / "validated")], "validated: no answers to 'name' on the test split"),
        ([first, str(runs / "same"), "--page", "x.txt"], "x.txt: is no name for a page; expected a file that ends in"),
    ):
        assert text in refused(runs, *words), words


def test_three_rows_and_one_name_are_compared_with_a_warning(tmp_path: Path) -> None:
    for run, pattern in (("a", "..."), ("b", "xxx")):
        answers = {"base": said("...", ["Acme"] * 3), "epoch-05": said(pattern, ["Acme"] * 3)}
        scored_run(tmp_path / run, answers, names=["Acme"] * 3)
    found = compare(tmp_path, "a", "b")
    assert found.differences[0].outcome == "tie"
    assert (
        "Every row has the name Acme: accuracy is trivial here, since always saying it is 100 % right." in found.notes
    )
    assert "3 rows can show nothing: exact McNemar needs at least 6 that change." in found.notes


def test_the_same_model_under_two_names_is_noticed(runs: Path) -> None:
    shutil.copytree(runs / "first", runs / "copy")
    found = compare(runs, "first", "copy")
    assert "first and copy give the same answer to every row: is it the same model?" in found.notes
    assert found.differences[0].sentence.endswith("No row was answered differently.")


def test_runs_of_one_name_are_told_apart_by_their_paths(runs: Path) -> None:
    shutil.copytree(runs / "better", runs / "elsewhere" / "first")
    labels = [each.label for each in find_compared([str(runs / "first"), str(runs / "elsewhere" / "first")])]
    assert labels == [f"{runs / 'first'}:epoch-05", f"{runs / 'elsewhere' / 'first'}:epoch-05"]


def test_a_run_whose_tables_are_gone_is_still_compared(runs: Path) -> None:
    shutil.rmtree(runs / "first" / "split")
    shutil.rmtree(runs / "first" / "ingest")
    (runs / "first" / "recipe.yaml").write_text("{[", encoding="utf-8")
    assert compare(runs, "first", "better").products == 120


def test_the_terminal_says_it_and_json_has_all(runs: Path) -> None:
    words = ["compare", str(runs / "first"), str(runs / "better")]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    text = " ".join(done.stdout.split())
    assert "Better: better gets 66 of 120 test images right (55.0%), first 40 (33.3%)" in text
    assert "better, fixed: 30 0040 Acme: 'Zeta' -> 'Acme'" in text and "and 22 more" in text
    found = json.loads(CliRunner().invoke(app, [*words, "--json"]).stdout)
    assert len(found["differences"][0]["fixed"]) == 30 and "page" not in found
    assert ComparisonSummary.model_validate(found).differences[0].outcome == "better"
