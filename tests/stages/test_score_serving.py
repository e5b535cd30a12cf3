"""Answers through a server: the same as here, never mixed with others, and a server's faults are said."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from nameplate.errors import ModelError, RecipeError, TeacherError
from nameplate.models import respondent
from nameplate.recipe import build_recipe
from nameplate.stages.score.subjects import read_rows
from nameplate.store.rundir import RunDirectory

from .model_server import ModelHost, serving
from .scored_run import one, predictions, score, unscored_copy, write_trained_run

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, base: Path) -> RunDirectory:
    return write_trained_run(tmp_path_factory.mktemp("run") / "one", base)


@pytest.fixture
def run(trained: RunDirectory, tmp_path: Path) -> RunDirectory:
    return unscored_copy(trained, tmp_path / "run")


@pytest.fixture
def host(run: RunDirectory, base: Path) -> Iterator[ModelHost]:
    with serving(folders(run, base)) as started:
        yield started


def folders(run: RunDirectory, base: Path) -> dict[str, Path]:
    return {"base": base} | {folder.name: folder for folder in run.checkpoints.glob("epoch-*")}


def test_server_answers_as_this_process_does(run: RunDirectory, base: Path, host: ModelHost) -> None:
    here = score(run, base)
    answers_here = [row["answer"] for row in predictions(run)]
    assert {row["engine"] for row in predictions(run)} == {"transformers"}
    served = score(run, base, server={"base_url": host.url})
    rows = predictions(run)
    assert [row["answer"] for row in rows] == answers_here
    assert {row["engine"] for row in rows} == {
        f"server {host.url} {name} (tiny/1, loopback)" for name in ("base", "epoch-10", "epoch-20")
    }
    assert {row["confidence"] for row in rows} == {None}
    assert [each.metrics for each in served.checkpoints] == [each.metrics for each in here.checkpoints]
    # A server gives no likelihoods.
    assert [each.loss for each in served.checkpoints] == [{}, {}, {}]
    engine = one(served.checks, "engine", "epoch-20")
    assert engine.outcome == "passed"
    assert engine.sentence.startswith(f"16 of 16 answers of server {host.url} epoch-20")
    assert one(served.checks, "weights", "epoch-20").outcome == "passed"
    assert one(served.checks, "image_used", "epoch-20").outcome == "passed"
    # All 20 rows of three models, and a grey image for each of them: what was answered here was asked again.
    assert len(host.asked) == 3 * (20 + 1)
    first = host.asked[0]
    assert {key: first[key] for key in ("temperature", "top_p", "max_tokens")} == {
        "temperature": 0.0,
        "top_p": 1.0,
        "max_tokens": 12,
    }


def test_what_a_server_answered_is_not_asked_again_even_when_it_is_gone(
    run: RunDirectory, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(folders(run, base)) as host:
        server = {"base_url": host.url}
        first = score(run, base, server=server)
        asked = len(host.asked)
        assert score(run, base, server=server) == first
        assert len(host.asked) == asked
    monkeypatch.setattr(respondent, "load_model", lambda *_, **__: pytest.fail("a model was loaded"))
    assert score(run, base, server=server) == first


def test_new_weights_under_an_old_name_are_asked_anew(run: RunDirectory, base: Path, host: ModelHost) -> None:
    score(run, base, server={"base_url": host.url})
    asked = len(host.asked)
    shutil.rmtree(run.checkpoints / "epoch-20")
    shutil.copytree(run.checkpoints / "epoch-10", run.checkpoints / "epoch-20")
    shutil.rmtree(run.checkpoints / "epoch-10")
    score(run, base, server={"base_url": host.url})
    assert {body["model"] for body in host.asked[asked:]} == {"epoch-20"}
    assert len(host.asked) - asked == 21


def test_missing_models_are_listed_before_anything_is_asked(run: RunDirectory, base: Path) -> None:
    with serving({"base": base, "epoch-10": run.checkpoints / "epoch-10"}) as host:
        with pytest.raises(
            ModelError, match=r"does not serve mug-base, mug-epoch-10, mug-epoch-20 \(it has base, epoch-10\); s"
        ):
            score(run, base, server={"base_url": host.url, "model": "mug-{checkpoint}"})
        assert host.asked == []


def test_each_model_may_have_its_own_server(run: RunDirectory, base: Path) -> None:
    """A path stands for the names or ports that real servers would have."""
    with serving(folders(run, base)) as host:
        score(run, base, server={"base_url": host.url.replace("/v1", "/{checkpoint}/v1")})
        assert {path for path in host.paths if path.endswith("completions")} == {
            f"/{name}/v1/chat/completions" for name in host.models
        }
        assert predictions(run)[-1]["engine"].startswith(f"server {host.url[:-3]}/epoch-20/v1 epoch-20")


def test_server_that_is_not_there_is_said_in_the_words_of_the_recipe(run: RunDirectory, base: Path) -> None:
    with serving({}) as host:
        url = host.url
    with pytest.raises(TeacherError, match=r"nothing answers there .*; start it .*score\.server\.base_url"):
        score(run, base, server={"base_url": url})


def test_refused_model_is_said_in_the_words_of_the_recipe(
    run: RunDirectory, base: Path, host: ModelHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusal = 404, {"error": {"message": "no such model", "type": "NotFoundError", "code": 404}}
    monkeypatch.setattr(host, "complete", lambda body: refusal)
    with pytest.raises(TeacherError) as caught:
        score(run, base, server={"base_url": host.url})
    assert str(caught.value).startswith(f"score.server at {host.url}: HTTP 404: no such model, for model 'base'")
    assert "caption" not in str(caught.value)


def test_question_without_an_answer_is_unscored(run: RunDirectory, base: Path, host: ModelHost) -> None:
    (row, *_) = [row for row in read_rows(run, "validation") if row.name == "Zeta"]
    host.refused = run.images.read(*row.image)
    summary = score(run, base, server={"base_url": host.url})
    unscored = [each for each in predictions(run) if each["finish"] == "failed"]
    assert [(each["row_id"], each["answer"], each["right"]) for each in unscored] == [(row.row_id, "", False)] * 3
    last = summary.checkpoints[-1].metrics["validation"]["name"]
    assert (last.accuracy.n, last.unscored) == (15, 1)
    finite = one(summary.checks, "finite", "epoch-20")
    assert finite.outcome == "warned"
    assert finite.sentence.startswith("1 of 20 questions got no answer from the server; score again to ask them")


def test_one_model_under_two_names_is_said(run: RunDirectory, base: Path) -> None:
    stale = folders(run, base) | {"epoch-20": base}
    with serving(stale) as host:
        checks = score(run, base, server={"base_url": host.url}).checks
    weights, engine = one(checks, "weights", "epoch-20"), one(checks, "engine", "epoch-20")
    assert weights.outcome == "warned"
    assert weights.sentence.startswith("All its 16 answers are those of base, word for word")
    assert engine.outcome == "warned"
    assert engine.sentence.startswith("0 of 16 answers of server")
    assert {one(checks, kind, "epoch-10").outcome for kind in ("weights", "engine")} == {"passed"}


def test_server_that_shows_no_images_is_said(run: RunDirectory, base: Path, host: ModelHost) -> None:
    host.blind = True
    found = one(score(run, base, server={"base_url": host.url}).checks, "image_used", "epoch-20")
    assert found.outcome == "warned"
    assert "the server may not show images to the model" in found.sentence


def test_answers_that_the_servers_limit_cuts_off_are_counted(run: RunDirectory, base: Path, host: ModelHost) -> None:
    summary = score(run, base, server={"base_url": host.url}, max_new_tokens=1)
    assert {row["finish"] for row in predictions(run) if row["checkpoint"] == "epoch-20"} == {"length"}
    assert one(summary.checks, "cut_off", "epoch-20").outcome == "warned"


@pytest.mark.parametrize(
    ("server", "expected"),
    [
        ({"base_url": "localhost:8000"}, "addresses such as"),
        ({"base_url": "http://me:secret@host/v1"}, "score.server.api_key_env"),
        ({"base_url": "http://host/v1", "model": "epoch-05"}, "one model would answer for all"),
    ],
)
def test_server_that_cannot_be_meant_is_refused(server: dict[str, str], expected: str) -> None:
    with pytest.raises(RecipeError, match=expected) as caught:
        build_recipe({"table": {"source": "a.csv"}, "score": {"server": server}}, where="recipe.yaml")
    assert "secret" not in str(caught.value)
