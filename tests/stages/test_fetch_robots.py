"""robots.txt: asked once, obeyed before any request, remembered, and left aside where the owner permits."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from nameplate.records import FetchStatus
from nameplate.stages.fetch.network import robots

from .fetch_shop import Shop, Workplace

FORBID = "User-agent: *\nDisallow: /good\nAllow: /good/1$\n"


@pytest.fixture
def shop() -> Iterator[Shop]:
    with Shop() as server:
        yield server


@pytest.fixture
def workplace(tmp_path: Path) -> Workplace:
    return Workplace(tmp_path)


def test_a_forbidden_link_is_never_asked_and_robots_txt_once(shop: Shop, workplace: Workplace) -> None:
    shop.robots = (200, FORBID)
    urls = [f"{shop.url}/good/{number}" for number in (1, *range(2, 30))]
    for _ in range(2):
        rows = workplace.outcomes(urls)
        assert [row["image_status"] for row in rows] == ["ok"] + ["robots_disallowed"] * 28
        assert {row["http_status"] for row in rows[1:]} == {None}
    assert (shop.asked, shop.robots_asked) == ({"good/1": 1}, 1)


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        ((200, ""), "ok"),
        ((200, "<html>not found</html>"), "ok"),
        ((200, "User-agent: otherbot\nDisallow: /"), "ok"),
        ((200, "User-agent: Nameplate\nDisallow: /"), "robots_disallowed"),
        ((200, "User-agent: nameplate\nAllow: /\nUser-agent: *\nDisallow: /"), "ok"),
        ((200, "User-agent: *\nDisallow: /\n\nUser-agent: nameplate\nDisallow: /secret"), "ok"),
        ((200, "\ufeffUser-agent: *\r\nDisallow: /*.jpg$\r\nDisallow: /go*"), "robots_disallowed"),
        ((404, FORBID), "ok"),
        ((403, FORBID), "ok"),
        ((500, ""), "robots_disallowed"),
        ((503, ""), "robots_disallowed"),
        ((429, ""), "robots_disallowed"),
    ],
)
def test_what_robots_txt_says_is_done(shop: Shop, workplace: Workplace, answer: tuple[int, str], status: str) -> None:
    shop.robots = answer
    (row,) = workplace.outcomes([f"{shop.url}/good/5"])
    assert row["image_status"] == status
    assert bool(shop.asked) == (status == "ok")


def test_a_server_error_forbids_for_this_run_only(shop: Shop, workplace: Workplace) -> None:
    shop.robots = (503, "")
    urls = [f"{shop.url}/good/{number}" for number in range(20)]
    rows = workplace.outcomes(urls, max_attempts=2)
    assert {(row["reason"], row["http_status"]) for row in rows} == {("robots_disallowed", 503)}
    assert shop.robots_asked == 2
    shop.robots = (404, "")
    assert {row["image_status"] for row in workplace.outcomes(urls)} == {"ok"}
    assert shop.robots_asked == 3


def test_robots_txt_is_asked_again_after_a_day(
    shop: Shop, workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    workplace.outcomes([f"{shop.url}/good/1"])
    monkeypatch.setattr(robots, "BELIEVED_SECONDS", 0.0)
    shop.robots = (200, FORBID)
    (row,) = workplace.outcomes([f"{shop.url}/good/2"])
    assert (row["image_status"], shop.robots_asked) == ("robots_disallowed", 2)


def test_the_target_of_a_redirect_is_judged_by_its_own_robots_txt(shop: Shop, workplace: Workplace) -> None:
    with Shop() as other:
        other.robots = (200, FORBID)
        (row,) = workplace.outcomes([f"{shop.url}/to?url={other.url}/good/2"])
        assert row["image_status"] == "robots_disallowed"
        assert not other.asked


def test_robots_txt_may_be_elsewhere_but_not_behind_the_guard(shop: Shop, workplace: Workplace) -> None:
    with Shop() as other:
        other.robots = (200, FORBID)
        shop.robots = (302, f"{other.url}/robots.txt")
        (row,) = workplace.outcomes([f"{shop.url}/good/2"])
        assert row["image_status"] == "robots_disallowed"
    for number, target in enumerate(("http://10.0.0.1/robots.txt", "file:///etc/robots.txt", "/robots.txt")):
        with Shop() as loose:
            loose.robots = (302, target)
            (row,) = workplace.outcomes([f"{loose.url}/good/{number}"])
            assert row["image_status"] == "ok", "a robots.txt that is nowhere forbids nothing"
            assert loose.robots_asked == (6 if target.startswith("/") else 1)


def test_only_the_first_500_kib_count(shop: Shop, workplace: Workplace) -> None:
    filling = "# " + "x" * 98 + "\n"
    shop.robots = (200, "User-agent: *\nDisallow: /good/1$\n" + filling * 6000 + "Disallow: /\n")
    rows = workplace.outcomes([f"{shop.url}/good/1", f"{shop.url}/good/2"])
    assert [row["image_status"] for row in rows] == ["robots_disallowed", "ok"]


def test_a_permitted_host_is_not_asked_for_rules_and_may_be_asked_after_a_refusal(
    shop: Shop, workplace: Workplace
) -> None:
    shop.robots = (200, "User-agent: *\nDisallow: /")
    (row,) = workplace.outcomes([f"{shop.url}/noai/1"])
    assert row["reason"] == FetchStatus.ROBOTS_DISALLOWED
    asked = shop.robots_asked
    (row,) = workplace.outcomes([f"{shop.url}/noai/1"], permitted_hosts=("127.0.0.1",))
    assert (row["image_status"], shop.robots_asked) == ("ok", asked)


def test_a_link_that_was_forbidden_to_another_name_is_judged_again(shop: Shop, workplace: Workplace) -> None:
    shop.robots = (200, "User-agent: nameplate\nDisallow: /")
    urls = [f"{shop.url}/good/1"]
    assert workplace.outcomes(urls)[0]["image_status"] == "robots_disallowed"
    assert workplace.outcomes(urls, user_agent="shopbot/1.0 (+mailto:a@b.example)")[0]["image_status"] == "ok"
    assert shop.robots_asked == 1
