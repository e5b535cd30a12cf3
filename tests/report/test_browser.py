"""The page in a real browser: silent, self-contained, narrow enough, and its gallery can be searched and walked."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator
from report_run import FinishedRun
from tests.browsing import CONTRAST, Opened
from walking import SHOWN, choose, draw_all, drawn, focused, ids, opened_ready


@pytest.fixture
def path(finished_run: FinishedRun, page: str) -> Path:
    return finished_run.run.report_path


def test_the_page_is_silent_and_asks_the_network_for_nothing(browser: Browser, path: Path) -> None:
    opened = opened_ready(browser, path)
    opened.unfold()
    choose(opened.page, "split", "validation")
    draw_all(opened.page)
    opened.page.wait_for_load_state("networkidle")
    assert opened.troubles == []
    assert opened.foreign == []
    decoded = "Promise.all([...document.images].map(i => { i.loading = 'eager'; return i.decode().then(() => 1); }))"
    assert len(opened.page.evaluate(decoded)) > 100


def test_the_policy_stops_a_script_that_got_in_all_the_same(browser: Browser, path: Path, tmp_path: Path) -> None:
    page = path.read_text(encoding="utf-8")
    attacked = tmp_path / "attacked.html"
    attacked.write_text(page.replace("<footer>", "<script>alert(3)</script><footer>"), encoding="utf-8")
    opened = Opened(browser, attacked)
    assert any("Content Security Policy" in trouble for trouble in opened.troubles)
    assert "3" not in opened.troubles


@pytest.mark.parametrize("width", [320, 414, 700, 1280])
def test_nothing_sticks_out_at_the_side(browser: Browser, path: Path, width: int) -> None:
    opened = opened_ready(browser, path, width=width)
    opened.unfold()
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= width
    choose(opened.page, "split", "validation")
    drawn(opened.page)
    opened.page.locator("#keys-button").click()
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= width


def test_each_filter_shows_what_its_count_says(browser: Browser, path: Path) -> None:
    page = opened_ready(browser, path).page
    total = page.locator("#gallery > [data-kind]").count()
    for split in ("validation", "test"):
        choose(page, "split", split)
        of_split = page.locator(f"#gallery > [data-split={split}]").count()
        assert page.locator(SHOWN).count() == of_split
        for kind in ("fixed", "regressed", "flip_flop", "still_wrong", "right_both"):
            wanted = page.locator(f"#gallery > [data-split={split}][data-kind~={kind}]").count()
            label = page.locator(f"#gallery-filter label:has(input[value={kind}])")
            assert label.locator("[data-count]").inner_text() == str(wanted)
            if not wanted:
                assert label.locator("input").is_disabled()
                continue
            label.click()
            assert page.locator(SHOWN).count() == wanted
            assert page.locator("#gallery-status").inner_text() == f"Showing {wanted} of {total} images."
        choose(page, "kind", "")


@pytest.mark.parametrize("facet", ["name", "category", "verdict"])
def test_a_choice_narrows_to_its_own_images(browser: Browser, path: Path, facet: str) -> None:
    page = opened_ready(browser, path).page
    select = page.locator(f"#gallery-filter select[name={facet}]")
    values = [str(option.get_attribute("value")) for option in select.locator("option").all()]
    assert values[0] == ""
    assert len(values) > 2
    for value in values[1:4]:
        select.select_option(value)
        shown = page.locator(SHOWN)
        assert all(card.get_attribute(f"data-{facet}") == value for card in shown.all())
        label = select.locator("option").nth(values.index(value)).inner_text()
        assert label == f"{value} ({shown.count()})"


def test_filters_narrow_together_and_the_search_reads_all_answers(
    browser: Browser, path: Path, finished_run: FinishedRun
) -> None:
    page = opened_ready(browser, path).page
    search = page.locator("#gallery-filter input[type=search]")
    # Said by a model in between, of a validation image: the words stand in no card before the script draws them.
    said = [row for row in finished_run.predictions if row["split"] == "validation" and row["prompt"] == "detail"]
    by_late = {row["row_id"] for row in said if "Louis Vuitton" in row["answer"] and row["checkpoint"] == "epoch-06"}
    by_shown = {row["row_id"] for row in said if "Louis Vuitton" in row["answer"] and row["checkpoint"] == "epoch-04"}
    assert by_late - by_shown
    choose(page, "split", "validation")
    search.fill("  VUITTON Louis ")
    found = {each.removeprefix("row=") for each in ids(page)}
    assert by_late | by_shown <= found
    choose(page, "kind", "fixed")
    assert set(ids(page)) <= {f"row={row}" for row in found}
    search.fill("no such words")
    assert page.locator(SHOWN).count() == 0
    assert "Showing 0 of" in page.locator("#gallery-status").inner_text()


def test_every_checkpoint_has_a_column_with_its_answers_marked(
    browser: Browser, path: Path, finished_run: FinishedRun
) -> None:
    page = opened_ready(browser, path).page
    choose(page, "split", "validation")
    for card in page.locator(SHOWN).all()[:5]:
        card.scroll_into_view_if_needed()
        card.locator(".columns.many").wait_for()
        row_id = str(card.get_attribute("id")).removeprefix("row=")
        heads = [head.split("\n")[0].split(" chosen")[0] for head in card.locator(".who").all_inner_texts()]
        assert heads[:4] == ["base", "epoch-02", "epoch-04", "epoch-06"]
        for row in (row for row in finished_run.predictions if row["row_id"] == row_id):
            column = card.locator(".column").nth(heads.index(row["checkpoint"]))
            place = 0 if row["prompt"] == "name" else 1
            assert column.locator(".words").nth(place).text_content() == row["answer"].strip()
            assert column.locator(".ruling").nth(place).locator(".mark.good").count() == row["right"]
            marks = column.locator(".words").nth(place).locator("mark:not(.other)").all_text_contents()
            # The matcher reads words: the last stop of "A.P.C." is none.
            assert [mark.rstrip(".") for mark in marks] == ([row["name"].rstrip(".")] if row["right"] else [])


def test_keys_walk_from_image_to_image(browser: Browser, path: Path) -> None:
    opened = opened_ready(browser, path)
    page = opened.page
    order = ids(page)
    seen = []
    for key in ("j", "j", "ArrowRight", "k", "ArrowLeft", "k"):
        page.keyboard.press(key)
        seen.append(focused(page))
    assert seen == [order[0], order[1], order[2], order[1], order[0], order[0]]
    assert page.url.endswith(f"#{order[0]}")
    card = page.locator(SHOWN).first
    assert card.evaluate("card => getComputedStyle(card).outlineStyle") == "solid"
    box = card.bounding_box()
    assert box is not None
    assert 0 <= box["y"] < 900
    page.keyboard.press("Control+j")
    assert focused(page) == order[0]
    choose(page, "kind", "still_wrong")
    page.keyboard.press("j")
    assert focused(page) == ids(page)[0]
    assert opened.troubles == []


def test_f_searches_escape_leaves_and_letters_typed_are_letters(browser: Browser, path: Path) -> None:
    page = opened_ready(browser, path).page
    total = page.locator(SHOWN).count()
    page.keyboard.press("f")
    search = page.locator("#gallery-filter input[type=search]")
    assert search.evaluate("field => field === document.activeElement")
    page.keyboard.type("fjk?")
    assert search.input_value() == "fjk?"
    assert page.locator(SHOWN).count() == 0
    page.keyboard.press("Escape")
    assert search.input_value() == ""
    assert page.locator(SHOWN).count() == total
    assert focused(page) == ids(page)[0]


def test_the_list_of_keys_opens_closes_and_can_turn_them_off(browser: Browser, path: Path) -> None:
    page = opened_ready(browser, path).page
    dialog = page.locator("#keys")
    page.keyboard.press("?")
    assert dialog.is_visible()
    page.keyboard.press("j")
    assert focused(page) in ("", "keys-on")
    dialog.locator("#keys-on").uncheck()
    page.keyboard.press("Escape")
    assert not dialog.is_visible()
    page.keyboard.press("j")
    assert not focused(page).startswith("row=")
    page.locator("#keys-button").click()
    dialog.locator("#keys-on").check()
    dialog.locator("button").click()
    page.keyboard.press("j")
    assert focused(page).startswith("row=")


def test_a_link_leads_to_its_image_whatever_the_filters_hide(browser: Browser, path: Path) -> None:
    page = opened_ready(browser, path).page
    hidden = page.locator("#gallery > [data-split=validation]").nth(7).get_attribute("id")
    page = opened_ready(browser, path, fragment=f"#{hidden}").page
    card = page.locator(f"[id='{hidden}']")
    assert card.is_visible()
    assert focused(page) == hidden
    box = card.bounding_box()
    assert box is not None
    assert -1 <= box["y"] < 900
    test = str(page.locator("#gallery > [data-split=test]").nth(3).get_attribute("id"))
    page.evaluate("hash => { location.hash = hash; }", test)
    page.wait_for_function("id => document.activeElement.id === id", arg=test)
    assert not page.locator(f"[id='{hidden}']").is_visible()


def test_a_broken_link_is_no_trouble(browser: Browser, path: Path) -> None:
    for fragment in ("#row=%E0%A4%A", "#row=nobody", "#gallery-filter", "#row="):
        opened = opened_ready(browser, path, fragment=fragment)
        assert opened.troubles == []
        assert opened.page.locator(SHOWN).count() > 0


def test_without_scripts_every_image_can_be_read_and_there_is_no_dead_filter(browser: Browser, path: Path) -> None:
    page = Opened(browser, path, java_script_enabled=False).page
    assert page.locator(SHOWN).count() == page.locator("#gallery > li").count() > 100
    assert not page.locator("#gallery-filter").is_visible()
    assert not page.locator("#keys").is_visible()
    first = page.locator(SHOWN).first
    assert [text.split(" ")[0] for text in first.locator(".who").all_text_contents()] == ["base", "epoch-04", "teacher"]


def test_dark_and_light_differ_in_paper_ink_and_charts(browser: Browser, path: Path) -> None:
    looks = {}
    for scheme in ("light", "dark"):
        page = Opened(browser, path, scheme=scheme).page
        looks[scheme] = page.evaluate(
            "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color,"
            " getComputedStyle(document.querySelector('svg.chart text')).fill]"
        )
    assert all(light != dark for light, dark in zip(looks["light"], looks["dark"], strict=True))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_contrast_enough_to_read(browser: Browser, path: Path, scheme: str) -> None:
    opened = opened_ready(browser, path, scheme=scheme)
    opened.unfold()
    choose(opened.page, "split", "validation")
    drawn(opened.page)
    opened.page.locator("#keys-button").click()
    assert opened.page.evaluate(CONTRAST) == []


def test_printing_shows_everything_and_no_controls(browser: Browser, path: Path) -> None:
    opened = opened_ready(browser, path)
    page = opened.page
    num_folded = page.locator("details:not([open])").count()
    assert num_folded > 0
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("details:not([open])").count() == 0
    for control in ("nav", "#gallery-filter", ".skip"):
        assert not page.locator(control).first.is_visible()
    assert page.locator("[data-split=test]:not([data-drawn])").count() == 0
    styles = page.locator(SHOWN).evaluate_all("cards => cards.map(card => getComputedStyle(card).contentVisibility)")
    assert set(styles) == {"visible"}
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator("details:not([open])").count() == num_folded


def test_the_printed_file_has_every_image_shown(browser: Browser, path: Path, finished_run: FinishedRun) -> None:
    page = opened_ready(browser, path).page
    choose(page, "kind", "still_wrong")
    few = page.pdf(format="A4")
    choose(page, "kind", "")
    many = page.pdf(format="A4")
    assert few.count(b"/Type /Page\n") < many.count(b"/Type /Page\n")


def test_nothing_moves_by_itself(browser: Browser, path: Path) -> None:
    page = opened_ready(browser, path, reduced_motion="reduce").page
    page.keyboard.press("j")
    assert page.evaluate("document.getAnimations().length") == 0


def test_the_contents_list_every_section_in_order_and_the_first_tab_skips_it(browser: Browser, path: Path) -> None:
    page = opened_ready(browser, path).page
    sections = page.locator("main section:has(> h2)").evaluate_all("all => all.map(section => '#' + section.id)")
    links = page.locator("nav[aria-label=Contents] a").evaluate_all("all => all.map(link => link.hash)")
    assert links == sections
    assert all(text.strip() for text in page.locator("nav[aria-label=Contents] a").all_inner_texts())
    assert page.locator("header, nav, main, footer").count() == 4
    page.keyboard.press("Tab")
    assert page.locator(":focus").get_attribute("href") == "#verdict"
    page.keyboard.press("Enter")
    assert page.url.endswith("#verdict")


def test_every_control_has_a_name(browser: Browser, path: Path) -> None:
    page = opened_ready(browser, path).page
    page.locator("#keys-button").click()
    for control in page.locator("input, select, button").all():
        assert name_of(control), control.evaluate("node => node.outerHTML")


def name_of(control: Locator) -> str:
    return str(control.evaluate("node => (node.labels?.length ? node.labels[0].innerText : node.innerText).trim()"))
