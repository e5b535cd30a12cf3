"""The same training said twice: as a recipe of ours and as LLaMA-Factory's arguments."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from nameplate.recipe import ModelSection, TrainSection
from nameplate.stages.train.examples import ExampleDataset
from nameplate.stages.train.setup import build_training
from nameplate.store.rundir import RunDirectory
from train_shop import MAX_TOKENS, PROMPT, Size, captions, write_model, write_run

BATCH = 24
RATE = 1.0e-4
POLICIES: Final[Mapping[str, frozenset[str]]] = {
    "language_frozen": frozenset({"vision", "projector"}),
    "vision_frozen": frozenset({"projector", "language"}),
    "projector_only": frozenset({"projector"}),
}
"""What learns."""

_PLAIN: Final[Mapping[str, Any]] = {
    "crop_to_patches": False,
    "disable_gradient_checkpointing": True,
    "flash_attn": "sdpa",
    "stage": "sft",
    "do_train": True,
    "finetuning_type": "full",
    "template": "intern_vl",
    "default_system": "",
    "overwrite_cache": True,
    "preprocessing_num_workers": 1,
    "dataloader_num_workers": 0,
    "disable_shuffling": True,
    "logging_steps": 1,
    "save_strategy": "no",
    "report_to": "none",
    "use_cpu": True,
    "bf16": True,
    "per_device_train_batch_size": BATCH,
    "gradient_accumulation_steps": 1,
    "lr_scheduler_type": "cosine",
    "warmup_ratio": 0.03,
    "max_grad_norm": 1.0,
    "optim": "adamw_torch_fused",
    "seed": 0,
    "disable_tqdm": True,
}

Job = dict[str, Any]


class Shop(NamedTuple):
    """Where model and rows are."""

    model: Path
    run: Path
    size: Size
    num_parameters: int
    texts: list[str]


def prepare(folder: Path, *, size: Size, num_images: int, fewest: int = 30, most: int = 110, system: str = "") -> Shop:
    """Write model and run directory."""
    texts = captions(num_images, fewest=fewest, most=most)
    num_parameters = write_model(folder / "model", size, system=system)
    write_run(folder / "run", texts)
    return Shop(folder / "model", folder / "run", size, num_parameters, texts)


def our_job(shop: Shop, policy: str, *, epochs: int, threads: int, memory: Mapping[str, Any]) -> Job:
    """Nameplate's: captions alone, one rate for all that learns."""
    learns = POLICIES[policy]
    parts = {
        part: {"mode": "full", "lr": RATE} if part in learns else {"mode": "frozen"}
        for part in ("vision", "projector", "language")
    }
    section = {
        **parts,
        "epochs": epochs,
        "checkpoint_every_epochs": epochs,
        "batch_size": BATCH,
        "examples": {"name_question_share": 0.0},
        "memory": {"micro_batch_size": 8, **memory},
    }
    return {"run": str(shop.run), "model": str(shop.model), "section": section, "threads": threads}


def peer_job(shop: Shop, policy: str, *, steps: int, threads: int, arguments: Mapping[str, Any]) -> Job:
    """LLaMA-Factory's, rows in the order of our first epoch."""
    learns = POLICIES[policy]
    rows = [
        {
            "messages": [
                {"role": "user", "content": f"<image>\n{PROMPT}"},
                {"role": "assistant", "content": text},
            ],
            "images": [image],
        }
        for text, image in _first_epoch(shop, policy)
    ]
    return {
        "model": str(shop.model),
        "folder": str(shop.run.parent / "peer"),
        "side": shop.size.side,
        "tokens_per_tile": shop.size.tokens_per_tile,
        "rows": rows,
        "threads": threads,
        "arguments": {
            **_PLAIN,
            "freeze_vision_tower": "vision" not in learns,
            "freeze_multi_modal_projector": "projector" not in learns,
            "freeze_language_model": "language" not in learns,
            "cutoff_len": MAX_TOKENS,
            "learning_rate": RATE,
            "max_steps": steps,
            **arguments,
        },
    }


def _first_epoch(shop: Shop, policy: str) -> list[tuple[str, str]]:
    """Caption and image file of each row, in the order of our first epoch."""
    run = RunDirectory(shop.run)
    job = our_job(shop, policy, epochs=1, threads=1, memory={})
    training = build_training(TrainSection.model_validate(job["section"]), ModelSection(base=job["model"]), run)
    dataset = ExampleDataset(training.rows)
    examples = [dataset[index] for micro_batch in training.plan for index in micro_batch]
    return [
        (shop.texts[example.row], str(run.images.path(example.image.sha256, example.image.ext))) for example in examples
    ]
