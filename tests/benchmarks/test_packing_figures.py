"""The packing benchmark's settings go through the same examples, and it counts what its model read."""

from __future__ import annotations

from argparse import Namespace

import pytest

import packing

pytestmark = pytest.mark.usefixtures("one_thread")


def test_settings_differ_in_padding_alone() -> None:
    quick = Namespace(quick=True, threads=1, words=[30, 110], steps=1, policies=["vision_frozen"], passes=[24])
    cases = packing.measure(quick)["cases"]
    off, auto, on = cases
    assert [case["packing"] for case in cases] == ["off", "auto", "on"]
    assert [case["packs"] for case in cases] == [False, True, True]
    needed = [case["tokens_per_example"] * (1 - case["padding_share"]) for case in cases]
    assert needed == pytest.approx([needed[0]] * 3)
    assert auto["tokens_per_example"] == on["tokens_per_example"] < 0.9 * off["tokens_per_example"]
    assert len(packing.table(cases).splitlines()) == 5
