"""Kept answers judged by other names: what turns, what is chosen then, and what is refused; no model is near."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from tests.compare.scored import QUESTION, scored_run
from typer.testing import CliRunner

from nameplate.cli.app import app
from nameplate.names import Registry, build_registry
from nameplate.stages.score import rejudging
from nameplate.stages.score.rescoring import Rescored

NAMES = ["Saint Laurent", "YSL", "Acme", "Zeta"] * 10
REGISTRY = build_registry(dict.fromkeys(("Saint Laurent", "YSL", "Acme", "Zeta"), 10))
MERGE = "Saint Laurent: {aliases: [YSL]}\n"


def answers(right: str) -> list[str]:
    """By row: x the right name, s the other name of Saint Laurent, anything else what is no name."""
    other = {"Saint Laurent": "YSL", "YSL": "Saint Laurent"}
    said = {"x": lambda name: name, "s": lambda name: other.get(name, name)}
    return [said.get(mark, lambda _: "a shirt")(name) for mark, name in zip(right, NAMES, strict=True)]


def scored(root: Path, first: str, second: str, **options: object) -> Path:
    given = {"base": answers("." * 40), "epoch-05": answers(first), "epoch-10": answers(second)}
    settings: dict[str, object] = {"split": "validation", "registry": REGISTRY, "question": QUESTION}
    return scored_run(root, given, names=NAMES, **(settings | options))  # type: ignore[arg-type]  # by their names


def rescore(run: Path, *words: str) -> Rescored:
    done = CliRunner().invoke(app, ["rescore", str(run), *words, "--json"])
    assert done.exit_code == 0, done.output
    return Rescored.model_validate(json.loads(done.stdout))


def refused(*words: str) -> str:
    done = CliRunner().invoke(app, ["rescore", *words])
    assert done.exit_code == 2 and done.stdout == "" and len(done.stderr.splitlines()) == 1, done.output
    return done.stderr


def registry(folder: Path, text: str) -> Path:
    path = folder / "names.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def counts(found: Rescored, *, now: bool) -> dict[str, int]:
    return {each.checkpoint: (each.after if now else each.before).accuracy.count for each in found.models}


def test_merged_names_turn_answers_and_the_choice(tmp_path: Path) -> None:
    """The later checkpoint says the other spelling, which was wrong; by the merged names it is the best."""
    run = scored(tmp_path / "run", "xxxx....." * 4 + "....", "s" * 40)
    found = rescore(run, "--registry", str(registry(tmp_path, MERGE)))
    assert counts(found, now=False) == {"base": 0, "epoch-05": 16, "epoch-10": 20}
    assert counts(found, now=True) == {"base": 0, "epoch-05": 16, "epoch-10": 40}
    assert [(each.became_right, each.became_wrong) for each in found.models] == [(0, 0), (0, 0), (20, 0)]
    assert found.merged == {"YSL": "Saint Laurent"}
    assert {(each.before, each.after): each.answers for each in found.changes}[("other_name", "alias")] == 10
    assert found.changes[0].examples[0].checkpoint == "epoch-10"
    assert (found.selected_before, found.selected) == ("epoch-05", "epoch-10")
    assert found.choice.startswith("epoch-10 was chosen")
    assert [each.after.num_names for each in found.models] == [3, 3, 3]


def test_the_new_table_stands_beside_the_old_one(tmp_path: Path) -> None:
    run = scored(tmp_path / "run", "s" * 40, "." * 40)
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file() and path.name != ".lock"}
    found = rescore(run, "--registry", str(registry(tmp_path, MERGE)))
    assert {path: path.read_bytes() for path in before} == before
    made = {path.name for path in run.rglob("*") if path.is_file()} - {path.name for path in before} - {".lock"}
    assert made == {Path(found.table).name, Path(found.table).with_suffix(".json").name}
    old, new = pq.read_table(run / "score" / "predictions.parquet"), pq.read_table(found.table)
    assert new.schema.equals(old.schema)
    assert new["answer"].to_pylist() == old["answer"].to_pylist()
    assert set(new["name"].to_pylist()) == {"Saint Laurent", "Acme", "Zeta"}
    assert sum(new["right"].to_pylist()) == 40 > sum(old["right"].to_pylist())
    again = rescore(run, "--registry", str(registry(tmp_path, MERGE)))
    assert again == found


def test_equal_answers_are_judged_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = scored(tmp_path / "run", "x" * 40, "x" * 40)
    asked: list[tuple[str, str]] = []
    judge = rejudging.Matcher.judge

    def counted(self: rejudging.Matcher, text: str, name: str) -> object:
        asked.append((text, name))
        return judge(self, text, name)

    monkeypatch.setattr(rejudging.Matcher, "judge", counted)
    found = rescore(run)
    # Two answers to each of four names; being strict asks a second time.
    assert (found.answers, found.distinct) == (120, 8)
    assert len(asked) <= 2 * 8


def test_the_runs_own_names_change_nothing_and_it_is_said(tmp_path: Path) -> None:
    run = scored(tmp_path / "run", "x" * 40, "s" * 40)
    found = rescore(run)
    assert found.changes == [] and counts(found, now=True) == counts(found, now=False)
    assert found.notes[0] == "The names and rules are those that judged before, so nothing can change."


def test_names_that_the_registry_lacks_are_refused_or_left_out(tmp_path: Path) -> None:
    run = scored(tmp_path / "run", "x" * 40, "x" * 40)
    few = tmp_path / "few.json"
    few.write_text(build_registry({"Saint Laurent": 1, "YSL": 1, "Acme": 1}).to_json(), encoding="utf-8")
    text = refused(str(run), "--registry", str(few))
    assert "30 answers are to names that the registry lacks: 'Zeta' (30)" in text and "--leave-out" in text
    assert not list((run / "score").glob("rescored-*"))
    found = rescore(run, "--registry", str(few), "--leave-out")
    assert found.outside == {"Zeta": 30}
    assert [(each.after.accuracy.n, each.after.unscored) for each in found.models] == [(30, 10)] * 3
    assert [each.became_wrong for each in found.models] == [0, 0, 0]


def test_what_an_earlier_file_merged_stays_merged_and_it_is_said(tmp_path: Path) -> None:
    merged = build_registry({"Acme": 10, "Zeta": 10}, overrides=registry(tmp_path, MERGE))
    names = ["Saint Laurent", "Acme", "Zeta", "Zeta"] * 10
    run = scored_run(tmp_path / "run", {"base": names, "epoch-05": names}, names=names, registry=merged)
    found = rescore(run, "--registry", str(registry(tmp_path, "Acme: {policy: context}\n")))
    assert found.notes[0].startswith("1 spellings of the run's names are unknown now (YSL).")
    kept: Registry = rejudging.read_registry(tmp_path / "names.yaml", own=merged)
    assert [entry.display for entry in kept.entries] == ["Acme", "Saint Laurent", "Zeta"]


def test_rows_without_an_answer_stay_without_one(tmp_path: Path) -> None:
    run = scored(tmp_path / "run", "x" * 40, "x" * 40, finish="nonfinite")
    found = rescore(run, "--registry", str(registry(tmp_path, MERGE)))
    assert [(each.after.accuracy.n, each.after.unscored) for each in found.models] == [(39, 1)] * 3


def test_a_run_of_an_older_version_is_judged_again(tmp_path: Path) -> None:
    run = scored(tmp_path / "run", "x" * 40, "s" * 40, engine=None)
    found = rescore(run, "--registry", str(registry(tmp_path, MERGE)))
    assert [each.before.strict for each in found.models] == [None, None, None]
    assert found.models[1].after.strict is not None and found.models[1].after.strict.count == 40


def test_one_name_and_three_rows_are_said(tmp_path: Path) -> None:
    one = scored_run(tmp_path / "one", {"base": ["a hat"] * 9, "epoch-05": ["Acme"] * 9}, names=["Acme"] * 9)
    assert "Every test row has the name Acme: accuracy is trivial here." in rescore(one).notes
    names = ["Acme", "Zeta", "Nike"]
    three = scored_run(tmp_path / "three", {"base": names, "epoch-05": names}, names=names)
    found = rescore(three)
    assert "The test has 3 rows, which can show nothing, however they are judged." in found.notes
    assert found.choice == "No checkpoint was asked about validation, so nothing is chosen anew."


def test_what_a_stranger_would_do_wrong_is_said(tmp_path: Path) -> None:
    run = str(scored(tmp_path / "run", "x" * 40, "x" * 40))
    (tmp_path / "plain").mkdir()
    (tmp_path / "torn.json").write_text("{", encoding="utf-8")
    gone, torn = tmp_path / "gone", tmp_path / "torn"
    shutil.copytree(run, gone)
    shutil.rmtree(gone / "ingest")
    shutil.copytree(run, torn)
    (torn / "score" / "predictions.parquet").write_bytes(b"PAR1 and no more")
    for words, text in (
        ([str(tmp_path / "nowhere")], "no such folder; expected a scored run"),
        ([str(tmp_path / "plain")], "is not a run directory"),
        ([run, "--registry", str(tmp_path / "no.yaml")], "no such registry"),
        ([run, "--registry", str(tmp_path / "torn.json")], "not a registry"),
        ([run, "--registry", str(registry(tmp_path, "Acme: [1]"))], "Acme"),
        ([str(gone)], "registry.json: is gone"),
        ([str(torn)], "predictions.parquet: cannot be read"),
    ):
        assert text in refused(*words), words


def test_the_terminal_shows_old_and_new_side_by_side(tmp_path: Path) -> None:
    run = scored(tmp_path / "run", "x" * 40, "s" * 40)
    done = CliRunner().invoke(app, ["rescore", str(run), "--registry", str(registry(tmp_path, MERGE))])
    assert done.exit_code == 0, done.output
    text = " ".join(done.stdout.split())
    assert "120 kept answers judged again" in text
    assert "other_name -> alias: 10 answers" in text and "epoch-10 0000 Saint Laurent: 'YSL'" in text
    assert "merged: YSL is Saint Laurent" in text
