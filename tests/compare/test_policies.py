"""Policies beside what a probe advised, each against each, and what must be known of how they answered."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from tests.compare.scored import probed, said, scored_run, trained, true_names
from tests.stages.probe_figures import summary_of
from typer.testing import CliRunner

from nameplate import summary
from nameplate.cli.app import app
from nameplate.compare import ComparisonSummary, bring_together, compare_models, find_compared
from nameplate.statistics import compare_pairs, holm
from nameplate.store.rundir import RunDirectory

NAMES = true_names(120)
RIGHT = {"eye": 60, "lora": 110, "projector": 40}
LEARNS = {"eye": ("vision", "projector"), "lora": ("projector", "language"), "projector": ("projector",)}


def answers_of(right: int) -> list[str]:
    return said("x" * right + "." * (120 - right), NAMES)


@pytest.fixture
def policies(tmp_path: Path) -> Path:
    """Three policies of one split, and a probe of it that advises thawing the language side."""
    for name, right in RIGHT.items():
        answers = {"base": answers_of(0), "epoch-05": answers_of(right)}
        trained(scored_run(tmp_path / name, answers, names=NAMES), *LEARNS[name])
    probed(tmp_path / "eye", summary_of(0.0, split="one"))
    return tmp_path


def compare(folder: Path, *names: str, **options: object) -> ComparisonSummary:
    models = find_compared([str(folder / name) for name in names])
    return compare_models(models, bring_together(models, **options))  # type: ignore[arg-type]  # by their names


def page_of(folder: Path, *names: str) -> str:
    out = folder / "out.html"
    done = CliRunner().invoke(app, ["compare", *(str(folder / name) for name in names), "--page", str(out)])
    assert done.exit_code == 0, done.output
    return out.read_text(encoding="utf-8")


ALL = ("eye:base", "eye", "lora", "projector")


def test_the_advice_is_laid_beside_what_came_out(policies: Path) -> None:
    found = compare(policies, *ALL)
    assert found.probe is not None
    assert (found.probe.advice, found.probe.component, found.probe.read) == ("thaw_language", "language", "validation")
    assert found.probe.ceiling.value == 0.9 and found.probe.says.value == 0.0
    test = found.probe.test
    assert (test.bearing, test.followed, test.left) == ("borne_out", ["lora"], ["eye", "projector"])
    assert (test.best_followed, test.best_left) == ("lora", "eye")
    assert test.sentence.startswith(
        "The probe advised thawing the language side. The policy that does reached 91.7%, the policies that leave it "
        "frozen reached 50.0% and 33.3%: borne out (lora against eye, each the best of its kind: +41.7 points"
    )


def test_the_same_policies_the_other_way_round_contradict_it(policies: Path) -> None:
    trained(policies / "lora", "vision", "projector")
    trained(policies / "eye", "projector", "language")
    found = compare(policies, *ALL)
    assert found.probe is not None and found.probe.test.bearing == "contradicted"


@pytest.mark.parametrize("change", ["split", "base", "probe"])
def test_a_probe_of_something_else_says_nothing(policies: Path, change: str) -> None:
    if change == "probe":
        probed(policies / "eye", summary_of(0.0, split="another"))
    elif change == "split":
        trained(policies / "lora", "language", split="another")
    else:
        trained(policies / "lora", "language", base="another")
    assert compare(policies, *ALL).probe is None


def test_a_torn_probe_does_not_spoil_a_comparison(policies: Path) -> None:
    RunDirectory(policies / "eye").probe_path.write_text("{", encoding="utf-8")
    assert compare(policies, *ALL).probe is None


def test_what_learned_and_what_it_took_stands_with_each_model(policies: Path) -> None:
    models = {each.label: each.learned for each in compare(policies, *ALL).models}
    assert models["eye:base"] is None
    assert {label: learned.components for label, learned in models.items() if learned} == {
        name: list(parts) for name, parts in LEARNS.items()
    }
    lora = models["lora"]
    assert lora is not None
    assert (lora.trainable, lora.seconds, lora.peak_memory_bytes) == (2000, 75.0, 3_000_000_000)


def test_each_is_tested_against_each_with_one_correction(policies: Path) -> None:
    found = compare(policies, *ALL)
    right = {label: [place < count for place in range(120)] for label, count in {"eye:base": 0, **RIGHT}.items()}
    oracle = [compare_pairs(right[pair.before], right[pair.after]) for pair in found.pairs]
    assert [(pair.before, pair.after) for pair in found.pairs] == [
        ("eye:base", "eye"), ("eye:base", "lora"), ("eye:base", "projector"),
        ("eye", "lora"), ("eye", "projector"), ("lora", "projector"),
    ]  # fmt: skip
    assert [pair.p_holm for pair in found.pairs] == holm([each.p_value for each in oracle])
    assert [pair.outcome for pair in found.pairs] == ["better"] * 4 + ["worse"] * 2
    assert compare(policies, "eye", "lora").pairs == []


@pytest.mark.parametrize(
    ("rights", "text"),
    [
        ((0, 40, 110), "c is right most often (91.7%), more often than each of the others by more than chance"),
        ((0, 109, 110), "c is right most often (91.7%); its lead over b can be chance, that over the others is more"),
        ((108, 109, 110), "c is right most often (91.7%), but its lead over each of the others can be chance"),
        ((110, 109, 0), "a is right most often (91.7%); its lead over b can be chance, that over the others is more"),
    ],
)
def test_who_leads_is_said_with_what_can_be_chance(tmp_path: Path, rights: tuple[int, ...], text: str) -> None:
    for name, right in zip("abc", rights, strict=True):
        answers = {"base": answers_of(0), "epoch-05": answers_of(right)}
        scored_run(tmp_path / name, answers, names=NAMES)
    assert compare(tmp_path, "a", "b", "c").leader == f"{text} (exact paired tests, Holm over all 3 pairs)."


def test_the_page_opens_with_the_probe_and_shows_the_freeze_matrix_and_all_pairs(policies: Path) -> None:
    page = page_of(policies, *ALL)
    assert page.index('id="probe"') < page.index('id="verdict"') < page.index('id="models"') < page.index('id="pairs"')
    assert "Borne out" in page and "Before training, the probe said: thaw the language side" in page
    matrix = page[page.index('<table class="matrix compared">') : page.index("<h3>Against eye:base</h3>")]
    assert matrix.count('class="part frozen"') == 4 and matrix.count('class="part full"') == 5
    assert (
        "2,000" in matrix and "1\u00a0min 15\u00a0s" in matrix and "3.00\u00a0GB" in matrix and "not trained" in matrix
    )
    pairs = page[page.index('<table class="pairs">') : page.index('id="pictures"')]
    assert len(re.findall(r'<td class="num (?:better|worse|tie)"', pairs)) == 12
    assert "+91.7" in pairs and "-91.7" in pairs


def test_the_terminal_says_the_same(policies: Path) -> None:
    done = CliRunner().invoke(app, ["compare", *(str(policies / name) for name in ALL)])
    text = " ".join(done.stdout.split())
    assert "The probe advised thawing the language side." in text and "borne out" in text
    assert "lora is right most often (91.7%), more often than each of the others by more than chance" in text


def test_ten_models_stay_readable(tmp_path: Path) -> None:
    for number in range(10):
        answers = {"base": answers_of(0), "epoch-05": answers_of(10 * number)}
        trained(scored_run(tmp_path / f"run-{number}", answers, names=NAMES), "projector")
    runs = [f"run-{number}" for number in range(10)]
    page = page_of(tmp_path, *runs)
    assert "10 models compared" in page and "<summary>Each against run-0, in words</summary>" in page
    # Equal answers stand once: there are two on every image but those that all know or nobody knows.
    assert 120 <= page.count('<div class="answer">') <= 240
    done = CliRunner().invoke(app, ["compare", *(str(tmp_path / run) for run in runs)])
    assert ", fixed:" not in done.stdout


def test_a_checkpoint_that_was_not_asked_about_test_is_told_from_one_that_is_not_there(tmp_path: Path) -> None:
    names = true_names(40)
    answers = {"base": said("." * 40, names), "epoch-05": said("x" * 40, names)}
    run = scored_run(tmp_path / "run", answers, names=names)
    scores = json.loads((run / "score" / "scores.json").read_text(encoding="utf-8"))
    other = scores["checkpoints"][1] | {"name": "epoch-10", "epoch": 10}
    other["metrics"] = {"validation": other["metrics"]["test"]}
    scores["checkpoints"].append(other)
    (run / "score" / "scores.json").write_text(json.dumps(scores), encoding="utf-8")
    done = CliRunner().invoke(app, ["compare", f"{run}:base", f"{run}:epoch-10"])
    assert done.exit_code == 2
    assert "run:epoch-10: epoch-10 was not asked about the test split; --split validation compares there" in done.stderr
    assert "score.test: all" in done.stderr


def test_rows_without_an_answer_are_left_out_for_all(tmp_path: Path) -> None:
    names = true_names(40)
    for name, finish in (("a", "stop"), ("b", "nonfinite")):
        answers = {"base": said("." * 40, names), "epoch-05": said("x" * 40, names)}
        scored_run(tmp_path / name, answers, names=names, finish=finish)
    found = compare(tmp_path, "a", "b")
    assert (found.rows, [each.accuracy.n for each in found.models]) == (39, [39, 39])
    assert "1 rows got no answer from one of the models. They are left out here for all of them." in found.notes
    assert not any("asked about different" in note for note in found.notes)


def test_other_engines_and_older_runs_are_never_compared_silently(tmp_path: Path) -> None:
    names = true_names(40)
    for name, engine in (("a", "transformers"), ("b", "server"), ("old", None)):
        answers = {"base": said("." * 40, names), "epoch-05": said("x" * 40, names)}
        scored_run(tmp_path / name, answers, names=names, engine=engine)
    assert "strict" not in pq.read_schema(tmp_path / "old" / "score" / "predictions.parquet").names
    told = [note for note in compare(tmp_path, "a", "b").notes if "engine" in note]
    assert len(told) == 1 and told[0].startswith(
        "The answers come from different engines (a by transformers, b by server)"
    )
    told = [note for note in compare(tmp_path, "a", "old").notes if "engine" in note]
    assert told == ["The run does not say by which engine old answered; the others were answered by transformers."]
    assert not [note for note in compare(tmp_path, "a", "a:base").notes if "engine" in note]


def test_other_tiles_and_lengths_are_said(policies: Path) -> None:
    trained(policies / "lora", "language", settings={"model.max_tiles": 12, "score.max_new_tokens": 8})
    notes = " ".join(compare(policies, "eye", "lora").notes)
    assert "Answers were cut at different lengths (score.max_new_tokens: {'eye': 96, 'lora': 8})" in notes
    assert "different numbers of tiles (model.max_tiles: {'eye': None, 'lora': 12})" in notes


def test_the_looks_at_the_test_are_shown_once(policies: Path) -> None:
    for number, name in enumerate(("eye", "lora")):
        looks = [
            summary.Look(when="2026-01-01", run=name, checkpoint="epoch-05", weights=str(place))
            for place in range(number + 1)
        ]
        path = policies / name / "score" / "scores.json"
        scores = json.loads(path.read_text(encoding="utf-8"))
        scores["looks"] = summary.TestLooks(test_set="t", looks=looks, sentence=f"{number + 1} looks.").model_dump()
        path.write_text(json.dumps(scores), encoding="utf-8")
    notes = compare(policies, "eye", "lora").notes
    assert "2 looks." in notes and "1 looks." not in notes


def test_all_answers_can_be_judged_by_other_names(tmp_path: Path) -> None:
    names = ["Nike", "Puma"] * 20
    swapped = ["Puma", "Nike"] * 20
    for name, texts in (("a", names), ("b", swapped)):
        scored_run(tmp_path / name, {"base": ["a hat"] * 40, "epoch-05": texts}, names=names)
    merged = tmp_path / "names.yaml"
    merged.write_text("Nike: {aliases: [Puma]}\n", encoding="utf-8")
    assert [each.accuracy.count for each in compare(tmp_path, "a", "b").models] == [40, 0]
    found = compare(tmp_path, "a", "b", registry=merged)
    assert [each.accuracy.count for each in found.models] == [40, 40]
    assert found.names == 1 and "All answers were judged anew" in found.notes[0]
    few = tmp_path / "few.json"
    few.write_text('{"names": [{"display": "Nike", "aliases": []}]}', encoding="utf-8")
    done = CliRunner().invoke(app, ["compare", str(tmp_path / "a"), str(tmp_path / "b"), "--registry", str(few)])
    assert done.exit_code == 2 and "20 answers are to names that the registry lacks: 'Puma' (20)" in done.stderr
