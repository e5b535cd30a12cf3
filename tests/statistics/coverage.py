"""How often each interval holds the truth, by simulation. `python -m tests.statistics.coverage` prints the table."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from nameplate.statistics import (
    cluster_bootstrap,
    difference_interval,
    macro_bootstrap,
    macro_difference_bootstrap,
    median_interval,
    paired_bootstrap,
    paired_difference,
    share_difference_bootstrap,
    shrink,
    unpaired_difference,
    wilson,
)

REPETITIONS: Final = 2_000
RESAMPLES: Final = 500
LEVEL: Final = 0.95

Bools = npt.NDArray[np.bool_]
Rng = np.random.Generator


class Held(NamedTuple):
    """How often an interval held the truth."""

    interval: str
    setting: str
    held: int
    repetitions: int

    @property
    def share(self) -> float:
        """As a share."""
        return self.held / self.repetitions


class Pairs(NamedTuple):
    """A world in which both models' answers to a row hang together, by how many get it right."""

    both: float
    fixed: float
    regressed: float

    @property
    def truth(self) -> float:
        """The difference."""
        return self.fixed - self.regressed

    def draw(self, rng: Rng, n: int) -> tuple[Bools, Bools]:
        """Answers of both to n rows."""
        kind = rng.choice(4, size=n, p=[self.both, self.fixed, self.regressed, 1 - sum(self)])
        return np.isin(kind, (0, 2)), np.isin(kind, (0, 1))


EXPERIMENT: Final = Pairs(0.30, 0.10, 0.07)
"""As between two checkpoints of one run: 37 and 40 % right, 17 % of the rows answered differently."""
DEMO: Final = Pairs(0.80, 0.15, 0.01)
"""As between two policies of the demo: 81 and 95 % right."""


def every_case() -> Iterator[Held]:
    """All intervals in all settings."""
    for cases in (plain_cases, drawn_cases, macro_cases, other_cases):
        yield from cases()


def plain_cases() -> Iterator[Held]:
    """Intervals by formulas."""
    for n, share in ((100, 0.37), (400, 0.86), (600, 0.11), (600, 0.37)):
        yield _case("wilson", f"n = {n}, share {share}", share, lambda rng, n=n, p=share: wilson(rng.binomial(n, p), n))
    yield _case("unpaired_difference", "26 % of 1000, 28 % of 600", 0.02, _unpaired)
    for world, label in ((EXPERIMENT, "experiment"), (DEMO, "demo")):
        for n in (60, 400):
            setting = f"{label}, n = {n}"
            yield _case("paired_difference", setting, world.truth, lambda rng, w=world, n=n: _newcombe(rng, w, n))
    yield _case(
        "median_interval", "n = 25, exponential", math.log(2), lambda rng: median_interval(rng.exponential(size=25))
    )


def drawn_cases() -> Iterator[Held]:
    """Differences by resampling."""
    for world, label in ((EXPERIMENT, "experiment"), (DEMO, "demo")):
        setting = f"{label}, n = 400"
        yield _case("paired_bootstrap", setting, world.truth, lambda rng, w=world: _paired(rng, w, 400))
    setting = "experiment, 400 products of 1 to 4 images"
    yield _case("cluster_bootstrap", setting, EXPERIMENT.truth, lambda rng: _clustered(rng, 400, whole=False))
    for num_groups in (30, 200):
        setting = f"experiment, {num_groups} products of 1 to 4 images"
        yield _case(
            "difference_interval", setting, EXPERIMENT.truth, lambda rng, g=num_groups: _clustered(rng, g, whole=True)
        )


def other_cases() -> Iterator[Held]:
    """Claims of rows, and names with few images."""
    yield _case("share_difference_bootstrap", "100 rows of 1 to 2 claims", 0.1, _claims)
    yield _shrunk_case()


def too_narrow_cases() -> Iterator[Held]:
    """What does not hold its level, and why `difference_interval` is there."""
    yield _case("paired_bootstrap", "200 products taken for independent images", EXPERIMENT.truth, _naive)
    few = lambda rng: _clustered(rng, 30, whole=False)  # noqa: E731
    yield _case("cluster_bootstrap", "experiment, 30 products of 1 to 4 images", EXPERIMENT.truth, few)


def _case(interval: str, setting: str, truth: float, draw: Callable[[Rng], object]) -> Held:
    rng = np.random.default_rng(20_260_101)
    held = 0
    for _ in range(REPETITIONS):
        bounds = draw(rng)
        held += bounds.low <= truth <= bounds.high  # type: ignore[attr-defined]  # a Share or an Interval
    return Held(interval, setting, held, REPETITIONS)


def _seed(rng: Rng) -> int:
    return int(rng.integers(2**32))


def _unpaired(rng: Rng) -> object:
    return unpaired_difference((rng.binomial(1000, 0.26), 1000), (rng.binomial(600, 0.28), 600))


def _newcombe(rng: Rng, world: Pairs, n: int) -> object:
    return paired_difference(*rng.multinomial(n, [*world, 1 - sum(world)]).tolist())


def _paired(rng: Rng, world: Pairs, n: int) -> object:
    before, after = world.draw(rng, n)
    return paired_bootstrap(before, after, seed=_seed(rng), resamples=RESAMPLES)


def draw_products(rng: Rng, num_groups: int, world: Pairs = EXPERIMENT) -> tuple[Bools, Bools, npt.NDArray[np.int64]]:
    """Images of products: each does as its product does three times out of four, and else as it likes."""
    groups = np.repeat(np.arange(num_groups), rng.integers(1, 5, size=num_groups))
    of_product, own = world.draw(rng, num_groups), world.draw(rng, len(groups))
    follows = rng.random(len(groups)) < 0.75
    before, after = (np.where(follows, product[groups], alone) for product, alone in zip(of_product, own, strict=True))
    return before, after, groups


def _clustered(rng: Rng, num_groups: int, *, whole: bool) -> object:
    before, after, groups = draw_products(rng, num_groups)
    if whole:
        return difference_interval(before, after, groups=groups, seed=_seed(rng), resamples=RESAMPLES)
    return cluster_bootstrap(before, after, groups=groups, seed=_seed(rng), resamples=RESAMPLES)


def _naive(rng: Rng) -> object:
    before, after, _ = draw_products(rng, 200)
    return paired_bootstrap(before, after, seed=_seed(rng), resamples=RESAMPLES)


def macro_cases() -> Iterator[Held]:
    """Means over names."""
    world = np.random.default_rng(1)
    sizes = np.concatenate([np.ones(5, dtype=int), world.integers(2, 30, size=25)])
    names = np.repeat(np.arange(30), sizes)
    shares = world.beta(3, 4, size=30)
    gains = np.minimum(world.uniform(0, 0.2, size=30), 1 - shares)

    def macro(rng: Rng) -> object:
        right = rng.random(len(names)) < shares[names]
        return macro_bootstrap(right, names, seed=_seed(rng), resamples=RESAMPLES)

    def difference(rng: Rng) -> object:
        luck = rng.random(len(names))
        again = np.where(rng.random(len(names)) < 0.75, luck, rng.random(len(names)))
        before, after = luck < shares[names], again < (shares + gains)[names]
        return macro_difference_bootstrap(before, after, names, seed=_seed(rng), resamples=RESAMPLES)

    setting = "30 names of 1 to 29 images"
    yield _case("macro_bootstrap", setting, float(shares.mean()), macro)
    yield _case("macro_difference_bootstrap", setting, float(gains.mean()), difference)


def _claims(rng: Rng) -> object:
    def said(share: float) -> list[tuple[int, int]]:
        n = rng.integers(1, 3, size=100)
        # Half of the rows are all right or all wrong: what one row says is not independent.
        own = np.where(rng.random(100) < 0.5, rng.random(100) < share, share)
        return list(zip(rng.binomial(n, own).tolist(), n.tolist(), strict=True))

    return share_difference_bootstrap(said(0.5), said(0.6), seed=_seed(rng), resamples=RESAMPLES)


def _shrunk_case() -> Held:
    """Of each name's own accuracy, over all names of all repetitions."""
    rng = np.random.default_rng(2)
    held = total = 0
    for _ in range(REPETITIONS // 40):
        shares, n = rng.beta(4, 3, size=40), rng.integers(1, 25, size=40)
        right = rng.binomial(n, shares)
        for name, share in zip(shrink(list(zip(right.tolist(), n.tolist(), strict=True))), shares, strict=True):
            held += name.low <= share <= name.high
            total += 1
    return Held("shrink", "40 names of 1 to 24 images", held, total)


if __name__ == "__main__":
    for case in chain(every_case(), too_narrow_cases()):
        sys.stdout.write(f"| {case.interval} | {case.setting} | {case.share:.1%} |\n")
