"""How long to stay away from a server that has no answer now."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from nameplate.errors import RecipeError
from nameplate.recipe import TeacherSection, build_recipe
from nameplate.teacher.faults import Fault, fault_of, status_of
from nameplate.teacher.line import pause_seconds, retry_after_seconds


@pytest.mark.parametrize(("failures", "most"), [(1, 0.5), (2, 1.0), (3, 2.0), (7, 30.0), (40, 30.0), (10**6, 30.0)])
def test_pause_doubles_up_to_thirty_seconds(failures: int, most: float) -> None:
    for seed in range(20):
        assert most * 0.75 <= pause_seconds(failures, rng=random.Random(seed)) <= most


def test_retry_after_is_obeyed_in_both_its_forms_up_to_five_minutes() -> None:
    assert retry_after_seconds("7") == 7
    assert retry_after_seconds("86400") == 300
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    assert 55 < retry_after_seconds(date) <= 60


@pytest.mark.parametrize("header", ["soon", "", "-5", "nan", "inf", None, "Sun, 06 Nov 1994 08:49:37 GMT"])
def test_strange_retry_after_asks_for_nothing(header: str | None) -> None:
    assert retry_after_seconds(header) == 0


@pytest.mark.parametrize(
    ("status", "error", "fault"),
    [
        (400, {}, Fault.REFUSED),
        (413, {}, Fault.REFUSED),
        (422, {}, Fault.REFUSED),
        (400, {"param": "messages"}, Fault.REFUSED),
        (400, {"param": "model"}, Fault.FATAL),
        (400, {"code": "model_not_found"}, Fault.FATAL),
        (401, {}, Fault.FATAL),
        (402, {}, Fault.FATAL),
        (403, {}, Fault.FATAL),
        (404, {}, Fault.FATAL),
        (418, {}, Fault.FATAL),
        (408, {}, Fault.BUSY),
        (429, {}, Fault.BUSY),
        (429, {"type": "insufficient_quota"}, Fault.FATAL),
        (503, {}, Fault.BUSY),
        (529, {}, Fault.BUSY),
        (500, {}, Fault.BROKEN),
        (502, {"code": None}, Fault.BROKEN),
        (507, {}, Fault.BROKEN),
    ],
)
def test_a_status_means_one_fault(status: int, error: dict[str, str], fault: Fault) -> None:
    assert fault_of(status, error) is fault


@pytest.mark.parametrize(
    ("error", "status"),
    [
        ({"code": 429}, 429),
        ({"code": "404"}, 404),
        ({"code": None, "type": "BadRequestError"}, 400),
        ({"status": 401}, 401),
        ({"type": "overloaded_error"}, 529),
        ({"code": "something"}, 500),
        ({"code": 200}, 500),
        ({"code": True, "type": ["x"]}, 500),
        ({}, 500),
    ],
)
def test_an_error_object_says_its_status_in_many_ways(error: dict[str, object], status: int) -> None:
    assert status_of(error) == status


@pytest.mark.parametrize(
    "url",
    [
        "localhost:8000/v1",
        "ftp://host/v1",
        "http:///v1",
        "http://host:99999/v1",
        "http://[::1/v1",
        "http://me:secret@host/v1",
        "http://host/v1?key=secret",
        ["http://host/v1", "http://host/v1/"],
        [],
        7,
    ],
)
def test_what_is_no_address_is_refused_and_no_password_is_shown(url: object) -> None:
    with pytest.raises(RecipeError) as caught:
        build_recipe({"table": {"source": "t.csv"}, "caption": {"teacher": {"base_urls": url}}}, where="recipe.yaml")
    assert "caption.teacher.base_urls" in str(caught.value) and "secret" not in str(caught.value)


def test_one_address_may_stand_without_a_list() -> None:
    assert TeacherSection(base_urls="http://host/v1/").base_urls == ("http://host/v1",)
