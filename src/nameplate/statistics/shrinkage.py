"""Names with few test images: each one's own accuracy, drawn towards that of all by how little is known of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from nameplate.statistics.proportions import CONFIDENCE

MOST_PRIOR_ROWS: Final = 1e6
"""Names that differ by chance alone have no finite prior; so many rows are as good as infinitely many."""
DRAWS: Final = 4_000
"""From each name's posterior, always by the same seed."""

Floats = npt.NDArray[np.float64]


class Prior(NamedTuple):
    """Beta distribution of accuracies over names."""

    alpha: float
    beta: float

    @property
    def mean(self) -> float:
        """The accuracy of an average name."""
        return self.alpha / (self.alpha + self.beta)

    @property
    def rows(self) -> float:
        """As many test images the prior is worth: names with fewer are drawn more than half of the way."""
        return self.alpha + self.beta


@dataclass(frozen=True)
class Shrunk:
    """One name's accuracy as counted and as estimated."""

    count: int
    n: int
    value: float
    """Posterior mean."""
    low: float
    high: float
    """Bounds of the central posterior interval."""


def fit_prior(counted: Sequence[tuple[int, int]]) -> Prior:
    """The beta distribution under which the counts of all names are most likely (beta-binomial maximum likelihood).

    Args:
        counted: (right, test images) by name; names without test images say nothing.

    Source: Skellam 1948 (JRSS B 10:257). Where all names are right, or all wrong, or there is one name only, Jeffreys'
    prior (1/2, 1/2) is used instead: there is nothing to learn a spread from.
    """
    from scipy.optimize import minimize
    from scipy.special import betaln, expit

    right, n = _known(counted).T
    if len(n) < 2 or right.sum() in (0, n.sum()):
        return Prior(0.5, 0.5)

    def surprise(place: Floats) -> float:
        mean, rows = expit(place[0]), math.exp(place[1])
        alpha, beta = mean * rows, (1 - mean) * rows
        return -float((betaln(alpha + right, beta + n - right) - betaln(alpha, beta)).sum())

    share = right.sum() / n.sum()
    most = math.log(MOST_PRIOR_ROWS)
    # The likelihood may be flat towards many rows: from one start the search can stop on the plateau.
    starts = [np.array([math.log(share / (1 - share)), rows]) for rows in (0.0, 3.0, 7.0)]
    found = [minimize(surprise, start, method="L-BFGS-B", bounds=[(-20.0, 20.0), (-4.0, most)]).x for start in starts]
    best = min(found, key=surprise)
    mean, rows = float(expit(best[0])), math.exp(best[1])
    return Prior(mean * rows, (1 - mean) * rows)


def shrink(counted: Sequence[tuple[int, int]], *, confidence: float = CONFIDENCE) -> list[Shrunk]:
    """Estimates of each name's accuracy, in the order given, with all names as the background of each.

    Priors are averaged over by how likely they make the counts, on a grid around the likeliest and with the hyperprior
    of Gelman et al. 2013 (Bayesian Data Analysis, 5.3), so that intervals know that the prior is an estimate, too.
    """
    priors = _grid(counted)
    return [_posterior(priors, count, n, confidence) for count, n in counted]


class _Grid(NamedTuple):
    """Beta distributions and how much each is believed."""

    alpha: Floats
    beta: Floats
    weight: Floats


def _grid(counted: Sequence[tuple[int, int]], *, points: int = 25) -> _Grid:
    from scipy.special import betaln, expit, logit

    centre = fit_prior(counted)
    right, n = _known(counted).T
    worth = float((n / (1 + (n - 1) / (1 + centre.rows))).sum()) * centre.mean * (1 - centre.mean)
    means = logit(centre.mean) + np.linspace(-6, 6, points) / math.sqrt(max(worth, 0.5))
    mean, log_rows = (grid.ravel() for grid in np.meshgrid(means, np.linspace(-2.0, 9.0, points)))
    alpha, beta = expit(mean) * np.exp(log_rows), expit(-mean) * np.exp(log_rows)
    surprise = sum(
        (
            betaln(alpha, beta) - betaln(alpha + count, beta + rest)
            for count, rest in zip(right, n - right, strict=True)
        ),
        start=np.zeros_like(alpha),
    )
    # The density of the hyperprior, in the logarithms that the grid is even in.
    believed = np.log(alpha) + np.log(beta) - 2.5 * log_rows - surprise
    weight = np.exp(believed - believed.max())
    likely = weight > 1e-6
    return _Grid(alpha[likely], beta[likely], weight[likely] / weight[likely].sum())


def _posterior(priors: _Grid, count: int, n: int, confidence: float) -> Shrunk:
    alpha, beta = priors.alpha + count, priors.beta + n - count
    rng = np.random.default_rng(0)
    places = rng.choice(len(alpha), size=DRAWS, p=priors.weight)
    low, high = np.quantile(rng.beta(alpha[places], beta[places]), [(1 - confidence) / 2, (1 + confidence) / 2])
    return Shrunk(count, n, float((priors.weight * alpha / (alpha + beta)).sum()), float(low), float(high))


def _known(counted: Sequence[tuple[int, int]]) -> Floats:
    return np.asarray([(count, n) for count, n in counted if n], dtype=float).reshape(-1, 2)
