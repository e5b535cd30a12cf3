"""Reading names from vectors: nearest neighbours and a linear probe, fitted on some rows and tried on others.

Everything that is chosen (the number of neighbours, the penalty) is chosen inside the rows that are fitted on, in folds
that no product is divided by; the rows that are tried decide nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, Literal, NamedTuple

import torch
from torch.nn import functional

from nameplate.models.probing.looks import Look
from nameplate.models.probing.view import View

ReaderName = Literal["nearest", "linear"]

NEIGHBOURS: Final = (1, 3, 5, 10, 20, 50)
PENALTIES: Final = (1.0, 0.1, 0.01, 1e-3, 1e-4)
"""Strongest first: each fit starts where the one before it ended."""
SETTINGS: Final[Mapping[ReaderName, Sequence[float]]] = {"nearest": NEIGHBOURS, "linear": PENALTIES}
FOLDS: Final = 3
TEMPERATURE: Final = 0.07
"""Of the neighbours' votes, exp(cosine / temperature): Caron et al. 2021 (DINO), after Wu et al. 2018."""
MOST_STEPS: Final = 200
ROWS_AT_ONCE: Final = 1024
"""Rows whose similarity to all others is in memory together."""


class Examples(NamedTuple):
    """Vectors with their names."""

    vectors: torch.Tensor
    """(rows, width) float32."""
    names: torch.Tensor
    """(rows,) int64, from 0 to the number of names less one."""


class Labelled(NamedTuple):
    """An image by its SHA-256, and the number of its name."""

    sha256: str
    name: int


class Reading(NamedTuple):
    """One reader on one view."""

    reader: ReaderName
    setting: float
    """Neighbours, or penalty."""
    right_in_folds: int
    """Of the fitted rows, each read by what was fitted on the other folds."""
    ranks: list[int]
    """Of each tried row: how many names were taken for likelier than its own; 0: it was read right."""


def examples_of(looks: Mapping[str, Look], view: View, rows: Sequence[Labelled]) -> Examples:
    """The vectors of rows at one view."""
    vectors = torch.stack([looks[row.sha256][view] for row in rows])
    return Examples(vectors, torch.tensor([row.name for row in rows]))


def read_names(train: Examples, tried: Examples, *, folds: Sequence[int], num_names: int) -> list[Reading]:
    """Both readers, each with the setting that reads most in the folds.

    Args:
        train: rows to fit on.
        tried: rows to read.
        folds: of each row to fit on, from 0 to `FOLDS` less one; rows of one product are in one fold.
        num_names: how many there are.
    """
    found: list[Reading] = []
    for reader, settings in SETTINGS.items():
        scorer = _SCORERS[reader]
        right = _right_in_folds(train, scorer, settings, folds=folds, num_names=num_names)
        best = max(settings, key=lambda setting: right[setting])
        upto = settings[: settings.index(best) + 1]
        scores = scorer(train, tried.vectors, upto, num_names)[best]
        found.append(Reading(reader, best, right[best], ranks_of(scores, tried.names)))
    return found


def read_again(train: Examples, tried: Examples, *, reader: ReaderName, setting: float, num_names: int) -> list[int]:
    """Ranks by one reader whose setting is chosen already."""
    settings = SETTINGS[reader]
    upto = settings[: settings.index(setting) + 1]
    return ranks_of(_SCORERS[reader](train, tried.vectors, upto, num_names)[setting], tried.names)


def ranks_of(scores: torch.Tensor, names: torch.Tensor) -> list[int]:
    """How many names score higher than a row's own; of equal ones, the first is taken."""
    own = scores.gather(1, names[:, None])
    before = torch.arange(scores.shape[1])[None] < names[:, None]
    return ((scores > own) | ((scores == own) & before)).sum(1).tolist()


def nearest_scores(
    train: Examples, vectors: torch.Tensor, settings: Sequence[float], num_names: int
) -> dict[float, torch.Tensor]:
    """Votes of the nearest rows by cosine, (rows, names) for each number of neighbours."""
    known = functional.normalize(train.vectors, dim=1)
    found: dict[float, list[torch.Tensor]] = {setting: [] for setting in settings}
    for part in torch.split(functional.normalize(vectors, dim=1), ROWS_AT_ONCE):
        near, places = (part @ known.T).topk(min(int(max(settings)), len(known)), dim=1)
        votes = ((near - 1) / TEMPERATURE).exp()
        for setting in settings:
            count = int(setting)
            scores = torch.zeros(len(part), num_names)
            found[setting].append(scores.scatter_add_(1, train.names[places[:, :count]], votes[:, :count]))
    return {setting: torch.cat(each) for setting, each in found.items()}


def linear_scores(
    train: Examples, vectors: torch.Tensor, settings: Sequence[float], num_names: int
) -> dict[float, torch.Tensor]:
    """Logits of multinomial logistic regressions, (rows, names) for each penalty, which must fall."""
    mean = train.vectors.mean(0)
    spread = train.vectors.std(0, correction=0)
    # A number that never changes says nothing, and must not be divided by.
    scale = torch.where(spread > 1e-6 * spread.max().clamp(min=1e-30), spread, torch.inf)
    inside, outside = (train.vectors - mean) / scale, (vectors - mean) / scale
    weights = torch.zeros(num_names, inside.shape[1] + 1)
    found: dict[float, torch.Tensor] = {}
    for setting in settings:
        weights = fit_logistic(inside, train.names, penalty=setting, start=weights)
        found[setting] = outside @ weights[:, :-1].T + weights[:, -1]
    return found


def fit_logistic(vectors: torch.Tensor, names: torch.Tensor, *, penalty: float, start: torch.Tensor) -> torch.Tensor:
    """Weights, (names, width + 1) with the bias last, that make mean cross entropy + penalty / 2 * |weights|^2 least.

    The bias is not penalised. The same minimum as scikit-learn's `LogisticRegression(C=1 / (rows * penalty))`.
    """
    weights = start.clone().requires_grad_()
    search = torch.optim.LBFGS(
        [weights], max_iter=MOST_STEPS, tolerance_grad=1e-5, tolerance_change=1e-8, line_search_fn="strong_wolfe"
    )

    def loss() -> torch.Tensor:
        search.zero_grad()
        logits = vectors @ weights[:, :-1].T + weights[:, -1]
        value = functional.cross_entropy(logits, names) + penalty / 2 * weights[:, :-1].square().sum()
        value.backward()  # type: ignore[no-untyped-call]  # torch does not say
        return value

    search.step(loss)  # type: ignore[no-untyped-call]  # torch does not say
    return weights.detach()


Scorer = Callable[[Examples, torch.Tensor, Sequence[float], int], dict[float, torch.Tensor]]
_SCORERS: Final[Mapping[ReaderName, Scorer]] = {"nearest": nearest_scores, "linear": linear_scores}


def _right_in_folds(
    train: Examples, scorer: Scorer, settings: Sequence[float], *, folds: Sequence[int], num_names: int
) -> dict[float, int]:
    fold_of = torch.tensor(folds)
    right = dict.fromkeys(settings, 0)
    for fold in range(FOLDS):
        inside, outside = fold_of != fold, fold_of == fold
        if not (inside.any() and outside.any()):
            continue
        fitted = Examples(train.vectors[inside], train.names[inside])
        for setting, scores in scorer(fitted, train.vectors[outside], settings, num_names).items():
            right[setting] += ranks_of(scores, train.names[outside]).count(0)
    return right
