"""Charts as files: real SVG and PNG, on white, with titles, true to the page, and nothing of strangers' in them."""

from __future__ import annotations

import io
from pathlib import Path
from xml.etree import ElementTree

import pytest
from PIL import Image
from report_run import HOSTILE, FinishedRun
from tests.sweep.made_up import made_up

from nameplate.errors import RunDirectoryError
from nameplate.report.drawing import Figure
from nameplate.report.figures import STEMS, names_figure, write_figures
from nameplate.report.names import build_names
from nameplate.report.sections import build_sections
from nameplate.report.svg import LIGHT, PAINT
from nameplate.summary import NameScore
from nameplate.sweep.figures import freeze_figure
from nameplate.sweep.folder import SweepFolder
from nameplate.sweep.page import write_sweep_page


@pytest.fixture(scope="module")
def folder(finished_run: FinishedRun, page: str) -> Path:
    return finished_run.run.root / "figures"


def texts(path: Path) -> list[str]:
    return [element.text or "" for element in ElementTree.parse(path).iter("{http://www.w3.org/2000/svg}text")]


def test_every_chart_of_the_page_is_an_svg_and_a_png(finished_run: FinishedRun, folder: Path) -> None:
    stems = [figure.stem for figure in build_sections(finished_run.summary, finished_run.run).figures]
    assert stems == [
        "accuracy-name", "ways-to-count", "accuracy-detail", "loss", "support", "names", "confusions", "slices",
    ]  # fmt: skip
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        f"{stem}.{ending}" for stem in stems for ending in ("svg", "png")
    )


def test_files_are_whole_on_white_and_in_plain_colours(folder: Path) -> None:
    for path in folder.glob("*.png"):
        with Image.open(path) as image:
            image.load()
            assert min(image.size) > 300
            assert image.convert("RGB").getpixel((2, 2)) == (255, 255, 255)
    for path in folder.glob("*.svg"):
        source = path.read_text(encoding="utf-8")
        assert not [stand_in for stand_in in PAINT.values() if stand_in in source]
        assert "var(--" not in source
        assert LIGHT["grid"] in source
        families = {element.get("font-family") for element in ElementTree.fromstring(source).iter()} - {None}
        assert families <= {"sans-serif"}


def test_files_say_what_they_show_and_explain_their_colours(folder: Path) -> None:
    said = texts(folder / "accuracy-name.svg")
    assert "Accuracy over epochs, asked for the name" in said
    assert {"training rows", "validation", "test", "chosen"} <= set(said)
    assert {"the name and nothing else", "picked of all names"} <= set(texts(folder / "ways-to-count.svg"))


def test_a_line_for_each_name_says_its_counts() -> None:
    hostile = NameScore(name=HOSTILE, train=9, test=9, before=0, after=7)
    scores = [hostile, NameScore(name="H&M", train=3, test=6, before=0, after=2)]
    files = names_figure(build_names(scores).first).files()
    root = ElementTree.fromstring(files["svg"])
    assert b"<script" not in files["svg"]
    found = {element.text for element in root.iter("{http://www.w3.org/2000/svg}text")}
    assert {f"{HOSTILE} (7 of 9)", "H&M (2 of 6)"} <= found


def test_charts_that_are_no_longer_drawn_go_and_other_files_stay(tmp_path: Path, finished_run: FinishedRun) -> None:
    sections = build_sections(finished_run.summary, finished_run.run)
    (tmp_path / "mine.png").write_bytes(b"mine")
    write_figures(sections.curves, tmp_path)
    write_figures(sections.curves[-1:], tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["loss.png", "loss.svg", "mine.png"]


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path, finished_run: FinishedRun) -> None:
    (tmp_path / "figures").write_text("a file is in the way")
    figures = build_sections(finished_run.summary, finished_run.run).curves
    with pytest.raises(RunDirectoryError, match="is a file"):
        write_figures(figures, tmp_path / "figures")


def test_a_sweep_has_its_freeze_matrix_as_files(tmp_path: Path) -> None:
    write_sweep_page(made_up(), SweepFolder(tmp_path))
    said = texts(tmp_path / "figures" / "freeze-matrix.svg")
    assert {"vision", "projector", "language", "LoRA 32", "last 2", "language-frozen", "test accuracy"} <= set(said)
    assert "everything" not in said
    with Image.open(io.BytesIO((tmp_path / "figures" / "freeze-matrix.png").read_bytes())) as image:
        image.load()


def test_a_sweep_without_results_has_no_matrix_to_draw() -> None:
    found = made_up()
    assert freeze_figure(found.model_copy(update={"rows": found.rows[-2:]})) is None


def test_every_figure_is_one_that_is_taken_away_when_it_is_gone(finished_run: FinishedRun) -> None:
    sections = build_sections(finished_run.summary, finished_run.run)
    drawn: list[Figure | None] = [*sections.figures, freeze_figure(made_up())]
    assert {figure.stem for figure in drawn if figure is not None} <= set(STEMS)
