"""Step 1: give the vision tower eyes, on thousands of logos of other brands and on none of the shop's.

The tower learns by itself, before any language: which of the logos this is (cosine softmax), what its upright 24x24
bitmap looks like (so that the code describes shape and carries over to logos never seen), where the mark lies at every
patch, and kind, colour, background and place. All of it is read from the mean of a random half of the patch tokens,
so that the code lies in the tokens that the projector reads.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers.models.internvl.modeling_internvl import InternVLVisionModel

from nameplate.demo.palette import BACKGROUNDS, COLOURS, KINDS, PLACES
from starter import probe
from starter import settings as s
from starter.logos import training_bank
from starter.model import build_vision
from starter.optim import MasterOptimizer
from starter.scenes import Batch, Composer, make_bases

LABEL_SIZES = (len(KINDS), len(COLOURS), len(BACKGROUNDS), len(PLACES))


class EyeHeads(nn.Module):
    """Everything the tower is asked while it learns to see; thrown away afterwards."""

    def __init__(self, num_logos: int, canonical: Tensor) -> None:
        super().__init__()
        width = s.VISION_WIDTH
        self.norm = nn.LayerNorm(width)
        self.embed = nn.Linear(width, width)
        self.classes = nn.Parameter(torch.randn(num_logos, width) * 0.05)
        self.bitmap = nn.Sequential(nn.Linear(width, 512), nn.ReLU(), nn.Linear(512, canonical.shape[1]))
        self.labels = nn.Linear(width, sum(LABEL_SIZES))
        self.patch = nn.Linear(width, 4)
        self.scale = 16.0
        self.register_buffer("canonical", canonical)

    def forward(self, tokens: Tensor, batch: Batch) -> tuple[Tensor, dict[str, float]]:
        """Loss of (B, G*G, width) patch tokens, and its readable parts."""
        tokens = self.norm(tokens)
        chosen = torch.rand(tokens.shape[1]).argsort()[: tokens.shape[1] // 2]
        pooled = tokens[:, chosen].mean(1)
        code = functional.normalize(self.embed(pooled).float(), dim=1)
        logits = self.scale * code @ functional.normalize(self.classes.float(), dim=1).T
        naming = functional.cross_entropy(logits, batch.logo, label_smoothing=0.05)
        drawn = self.bitmap(pooled).float()
        truth = self.canonical[batch.logo]
        drawing = functional.binary_cross_entropy_with_logits(drawn, truth)
        parts = self.labels(pooled).float().split(LABEL_SIZES, dim=1)
        labelling = torch.stack([functional.cross_entropy(p, batch.labels[:, i]) for i, p in enumerate(parts)])
        place = functional.smooth_l1_loss(self.patch(tokens).float(), batch.patches, beta=0.2)
        loss = naming + 6.0 * drawing + 0.3 * labelling.sum() + 2.0 * place
        with torch.no_grad():
            both = ((drawn > 0) & (truth > 0.5)).sum(1) / ((drawn > 0) | (truth > 0.5)).sum(1).clamp_min(1)
            figures = {
                "logo": (logits.argmax(1) == batch.logo).float().mean().item(),
                "bitmap_iou": both.mean().item(),
                "place": place.item(),
                "naming": naming.item(),
                "labels": sum((p.argmax(1) == batch.labels[:, i]).float().mean().item() for i, p in enumerate(parts))
                / 4,
            }
        return loss, figures


def ease_at(step: int, steps: int) -> float:
    """How easy the pictures are at a step: 1 falls to 0 over the first EYE_EASY_SHARE of the steps."""
    return max(0.0, 1 - step / (s.EYE_EASY_SHARE * steps))


def train(vision: InternVLVisionModel, composer: Composer, options: argparse.Namespace) -> None:
    """The loop; prints a line every 100 steps, probes and saves every ``probe_every``."""
    heads = EyeHeads(len(composer.bank.logos), composer.bank.canonical).bfloat16()
    heads.canonical = composer.bank.canonical
    vision.bfloat16().train()
    named = [*vision.named_parameters(prefix="vision"), *heads.named_parameters(prefix="heads")]
    optimizer = MasterOptimizer(named, s.EYE_LR, options.steps, s.EYE_WARMUP)
    started, sums = time.monotonic(), dict[str, float]()
    pictures = probe.shop_pictures(options.work)
    for step in range(options.steps):
        batch = composer.next(s.EYE_BATCH, ease_at(step, options.steps))
        tokens = vision(batch.pixels.bfloat16()).last_hidden_state[:, 1:]
        loss, figures = heads(tokens, batch)
        loss.backward()
        optimizer.step()
        for name, value in figures.items():
            sums[name] = sums.get(name, 0.0) + value / 100
        if (step + 1) % 100 == 0:
            rate = (step + 1) * s.EYE_BATCH / (time.monotonic() - started)
            shown = " ".join(f"{name} {value:.3f}" for name, value in sums.items())
            print(f"step {step + 1} {rate:.0f} img/s {shown}", flush=True)
            sums.clear()
        if (step + 1) % options.probe_every == 0 or step + 1 == options.steps:
            torch.save({k: v.float() for k, v in vision.state_dict().items()}, options.work / "eyes.pt")
            vision.eval()
            print(f"step {step + 1} probe {probe.linear_probe(vision, pictures):.3f}", flush=True)
            vision.train()


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--simple-icons", type=Path, required=True, help="folder of the installed npm package")
    parser.add_argument("--work", type=Path, default=Path("build/starter"), help="folder for what can be made again")
    parser.add_argument("--steps", type=int, default=s.EYE_STEPS, help="optimiser steps of 128 pictures")
    parser.add_argument("--probe-every", type=int, default=500, help="steps between saved weights and probes")
    options = parser.parse_args()
    torch.manual_seed(0)
    composer = Composer(training_bank(options.simple_icons, options.work), make_bases(options.work), seed=0)
    print(f"{len(composer.bank.logos)} logos, none of the shop's", flush=True)
    train(build_vision(seed=0), composer, options)


if __name__ == "__main__":
    main()
