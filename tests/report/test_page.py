"""The page as a file: complete, self-contained, escaped, and true to the summary."""

from __future__ import annotations

import html
import re
import subprocess
import sys
from html.parser import HTMLParser
from itertools import pairwise
from typing import Any

import pytest
from report_run import CLOSING, HOSTILE, FinishedRun

VOID = {"meta", "link", "img", "br", "input"}


class Outline(HTMLParser):
    """Tags, ids and headings of a page, and whether every tag is closed in order."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.broken: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if self.open and self.open[-1] == tag:
            self.open.pop()
        else:
            self.broken.append(tag)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def outline(page: str) -> Outline:
    return Outline(page)


def text_of(page: str) -> str:
    return html.unescape(page).replace("\N{NO-BREAK SPACE}", " ")


def test_the_page_is_written_where_the_run_says(finished_run: FinishedRun, page: str) -> None:
    assert finished_run.run.report_path.read_text(encoding="utf-8") == page
    assert not list(finished_run.run.root.glob(".report.html*"))


def test_every_tag_is_closed_in_order(outline: Outline) -> None:
    assert outline.broken == []
    assert outline.open == []


def test_ids_are_unique_and_references_lead_somewhere(finished_run: FinishedRun, page: str, outline: Outline) -> None:
    ids = [attributes["id"] for _, attributes in outline.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = {str(attributes["href"]) for attributes in outline.all("a")}
    files = {link for link in links if not link.startswith("#")}
    assert {link.removeprefix("#") for link in links - files} <= set(ids)
    assert files == {f"figures/{path.name}" for path in (finished_run.run.root / "figures").iterdir()}
    labels = [attributes["aria-labelledby"] for _, attributes in outline.tags if "aria-labelledby" in attributes]
    assert set(labels) <= set(ids)
    assert set(re.findall(r"url\(#([^)]+)\)", page)) <= {str(name) for name in ids}


def test_headings_never_skip_a_level(outline: Outline) -> None:
    levels = [int(tag[1]) for tag, _ in outline.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_pictures_have_words_and_tables_have_headers(outline: Outline) -> None:
    assert all(attributes["alt"] for attributes in outline.all("img"))
    assert all(attributes["aria-label"] for attributes in outline.all("svg"))
    assert len(outline.all("svg")) == 5
    assert len(outline.all("table")) == len(outline.all("caption"))
    assert all(attributes["scope"] in {"row", "col"} for attributes in outline.all("th"))


def test_nothing_points_out_of_the_page(page: str, outline: Outline) -> None:
    sources = [attributes[key] for _, attributes in outline.tags for key in ("src", "href") if key in attributes]
    assert sources
    assert all(source is not None and source.startswith(("data:", "#", "figures/")) for source in sources)
    style = page[page.index("<style>") : page.index("</style>")]
    assert "@import" not in style
    assert "url(" not in style


def test_the_policy_allows_pictures_from_the_page_and_one_script(page: str) -> None:
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', page)
    assert policy is not None
    assert "default-src 'none'" in policy[1]
    assert "img-src data:" in policy[1]
    assert re.search(r"script-src 'sha256-[\w+/]{43}='", policy[1])


def test_text_from_tables_and_models_is_escaped_everywhere(page: str) -> None:
    assert HOSTILE not in page
    assert CLOSING not in page
    assert "<img src=x" not in page
    # Our script, and the answers for it, which are letters and digits only.
    assert page.count("<script") == page.count("</script>") == 2
    assert re.search(r'<script type="text/plain" id="gallery-rest">[A-Za-z0-9+/=]+</script>', page)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "&lt;/script&gt;&lt;img src=x onerror=alert(2)&gt;" in page


def test_recipe_command_title_and_sentence_are_escaped_too(finished_run: FinishedRun) -> None:
    comparison = finished_run.summary.score.comparison.model_copy(update={"sentence": "<b>sentence</b>"})
    score = finished_run.summary.score.model_copy(update={"comparison": comparison})
    recipe: dict[str, Any] = {"report": {"title": "<i>x</i>", "gallery": 1}, "note": "</pre><u>recipe</u>"}
    page = finished_run.render(title="<i>title</i>", score=score, recipe=recipe)
    for raw in ("<i>title", "<b>sentence", "<u>recipe"):
        assert raw not in page
        assert raw.replace("<", "&lt;").replace(">", "&gt;") in page


def test_the_verdict_gives_the_numbers_of_the_summary(finished_run: FinishedRun, page: str) -> None:
    text, score = text_of(page), finished_run.summary.score
    comparison = score.comparison
    base, chosen = score.checkpoints[0].metrics["test"]["name"], score.checkpoints[2].metrics["test"]["name"]
    assert f"{100 * base.accuracy.value:.1f} %" in text
    assert f"{100 * chosen.accuracy.value:.1f} %" in text
    assert f"{chosen.accuracy.count} of {chosen.accuracy.n} right" in text
    assert f"{comparison.fixed} fixed, {comparison.regressed} regressed" in text
    assert "p < 0.0001" in text
    assert comparison.sentence in text
    assert "epoch-04 was chosen on the validation split" in text


@pytest.mark.parametrize(
    ("outcome", "word"),
    [("better", "The model learned"), ("worse", "The model got worse"), ("tie", "No difference is shown")],
)
def test_the_heading_follows_the_outcome(finished_run: FinishedRun, outcome: str, word: str) -> None:
    comparison = finished_run.summary.score.comparison.model_copy(update={"outcome": outcome})
    page = finished_run.render(score=finished_run.summary.score.model_copy(update={"comparison": comparison}))
    assert f'<h2 id="verdict-title">{word}</h2>' in page
    assert f'class="verdict {outcome}"' in page


def test_captions_from_the_table_are_not_called_a_teachers(finished_run: FinishedRun) -> None:
    page = finished_run.render(recipe={**finished_run.summary.recipe, "caption": {"source": "table"}})
    assert "stand in the table itself" in page
    assert "with a caption in the table" in page
    assert "captioned by the teacher" not in page
    assert ">The teacher<" not in page


def test_a_simulated_teacher_is_said_to_be_one_and_a_real_one_is_not(finished_run: FinishedRun, page: str) -> None:
    sentence = "The captions were written by a simulator that knows the truth"
    assert sentence in page
    assert "This teacher is a simulator" in page
    real = finished_run.render(simulated_teacher=False)
    assert sentence not in real
    assert "simulator" not in real


def test_rows_that_a_stage_lost_are_shouted_about(finished_run: FinishedRun, page: str) -> None:
    assert "not accounted for" not in page
    stages = dict(finished_run.summary.stages)
    stages["fetch"] = stages["fetch"].model_copy(update={"read": stages["fetch"].read + 3})
    assert "3 rows of stage fetch are not accounted for" in finished_run.render(stages=stages)


def test_a_run_with_one_checkpoint_that_blew_up_has_a_page_too(finished_run: FinishedRun) -> None:
    score, train = finished_run.summary.score, finished_run.summary.train
    last = score.checkpoints[2].model_copy(update={"train_loss": float("nan"), "loss": {"validation": float("nan")}})
    few = score.model_copy(update={"checkpoints": [score.checkpoints[0], last], "names": []})
    page = finished_run.render(score=few, train=train.model_copy(update={"losses": [(0.1, 3.0), (0.2, float("inf"))]}))
    assert "It is the only checkpoint." in page
    assert not re.search(r"\b(nan|inf)\b", re.sub(r"<[^>]+>", "", page))


def test_the_recipe_and_the_command_are_on_the_page(page: str) -> None:
    assert "nameplate run recipe.yaml --run-dir runs/first" in page
    assert "source: feed.csv" in page


def test_a_gallery_of_24_keeps_the_page_small(page: str) -> None:
    assert page.count('data-split="test"') == 24
    assert len(page.encode("utf-8")) < 3_000_000


def test_the_gallery_can_be_left_out(finished_run: FinishedRun) -> None:
    page = finished_run.render(recipe={"report": {"gallery": 0}})
    assert 'class="card ' not in page
    assert "asks for no images" in page


def test_importing_the_package_loads_no_chart_library() -> None:
    code = "import sys, nameplate.report; print([m for m in ('altair', 'vl_convert', 'torch') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
