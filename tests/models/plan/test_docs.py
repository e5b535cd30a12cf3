"""The table in docs/plan.md is what the plan computes: one preset is computed again here."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from nameplate.models.plan.estimate import plan_training
from nameplate.models.plan.hardware import DATA_SHEETS
from nameplate.models.plan.table import Assumptions
from nameplate.models.plan.wording import gigabytes
from nameplate.recipe import load_recipe

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "examples" / "internvl2_5-4b"


def test_the_page_says_what_the_command_says() -> None:
    page = (ROOT / "docs" / "plan.md").read_text(encoding="utf-8")
    (row,) = re.findall(r"^\| `projector-only` \|(.*)\|$", page, flags=re.MULTILINE)
    learns, held, passing, together, pflop, _ = (cell.strip() for cell in row.split("|"))
    recipe = load_recipe(EXAMPLE / "recipe.yaml", [f"model.base={EXAMPLE}", "train.preset=projector-only"])
    assumed = Assumptions(rows=100_000, caption_words=80)
    plan = plan_training(recipe, root=None, hardware=DATA_SHEETS["h100"], assumed=assumed)
    memory = plan.memory
    assert learns == f"{sum(part.trainable for part in plan.parts) / 1e6:,.1f}"
    assert float(held) == pytest.approx((memory.weights + memory.optimizer) / 1e9, rel=0.01)
    assert float(passing) == pytest.approx((memory.total - memory.weights - memory.optimizer) / 1e9, rel=0.05)
    assert float(together) == pytest.approx(float(gigabytes(memory.total)), rel=0.05)
    assert float(pflop.replace(",", "")) == pytest.approx(plan.flops / 1e15, rel=0.01)
