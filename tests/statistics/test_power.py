"""Power and sample sizes, against what R and G*Power print, and against simulated tests."""

from __future__ import annotations

import numpy as np
import pytest

from nameplate.statistics import (
    connor_sample_size,
    fewest_changed,
    images_for_interval,
    mcnemar_exact,
    paired_detectable,
    paired_power,
    paired_sample_size,
    unpaired_detectable,
    unpaired_power,
    unpaired_sample_size,
)


def test_exact_paired_power_is_g_powers() -> None:
    """The example of its manual: odds ratio 0.25, 40 % discordant, 50 pairs, one-sided 5 %: 0.839343.

    Two-sided at 10 % adds the chance of a significant change the wrong way, which is 0.000015.
    """
    assert paired_power(50, 0.32 - 0.08, changed=0.4, alpha=0.10) == pytest.approx(0.839343, abs=3e-5)


def test_exact_paired_power_is_that_of_simulated_tests() -> None:
    rng = np.random.default_rng(0)
    kinds = [(int(fixed), int(lost)) for fixed, lost, _ in rng.multinomial(300, [0.13, 0.07, 0.80], size=4000)]
    is_shown = {kind: mcnemar_exact(*kind) < 0.05 for kind in set(kinds)}
    shown = np.mean([is_shown[kind] for kind in kinds])
    # Four standard errors of 4,000 throws.
    assert paired_power(300, 0.06, changed=0.20) == pytest.approx(shown, abs=0.03)


def test_the_usual_paired_formula_is_connors() -> None:
    """Discordant 0.30 and 0.15, 80 %: 155 pairs, as published calculators of Connor 1987 print."""
    assert connor_sample_size(0.15, changed=0.45) == 155


@pytest.mark.parametrize(("difference", "changed"), [(0.03, 0.10), (0.03, 0.30), (0.10, 0.20), (0.05, 0.05)])
def test_so_many_pairs_are_enough_and_fewer_are_not(difference: float, changed: float) -> None:
    n = paired_sample_size(difference, changed=changed)
    assert paired_power(n, difference, changed=changed) >= 0.8 > paired_power(n - 1, difference, changed=changed)
    assert paired_detectable(n, changed=changed) == pytest.approx(difference, rel=0.02)
    # The formula is a few short, since the exact test is never bolder than its level.
    assert n * 0.85 <= connor_sample_size(difference, changed=changed) <= n


def test_unpaired_power_is_rs() -> None:
    """The examples of R's help: power.prop.test(n = 50, p1 = .50, p2 = .75) and (p1 = .50, p2 = .75, power = .90)."""
    assert unpaired_power(50, 0.50, 0.75) == pytest.approx(0.740, abs=5e-4)
    assert unpaired_sample_size(0.50, 0.75, power=0.90) == pytest.approx(76.7, abs=0.05)
    detectable = unpaired_detectable(50, 0.50, power=0.90)
    assert detectable is not None and 0.50 + detectable == pytest.approx(0.8026, abs=5e-5)


def test_images_for_an_interval_are_cochrans() -> None:
    """385 for five points, 1,068 for three: the numbers of every opinion poll."""
    assert (images_for_interval(0.05), images_for_interval(0.03)) == (385, 1068)


def test_what_cannot_be_shown_is_said() -> None:
    assert paired_detectable(3, changed=1.0) is None
    assert paired_detectable(100, changed=0.01) is None
    assert unpaired_detectable(2, 0.9) is None
    assert paired_power(0, 0.1, changed=0.2) == 0.0


def test_fewer_changes_than_this_are_never_significant() -> None:
    fewest = fewest_changed()
    assert mcnemar_exact(fewest, 0) < 0.05 <= mcnemar_exact(fewest - 1, 0)
