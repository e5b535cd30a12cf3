"""One training by LLaMA-Factory, in its own environment and process; prints one JSON object as the last line.

    PYTHON-OF-ITS-ENVIRONMENT benchmarks/train_peer.py JOB.json

Imports nothing of Nameplate. The job names a model folder with `tokenizer.json`, `config.json` and weights; what
LLaMA-Factory wants beside them is written into a folder of its own.
"""

import importlib.machinery
import json
import resource
import shutil
import sys
import time
import types
from pathlib import Path

# It imports torchaudio, which has no version for the torch that both tools run on here, and reads no sound with it.
sys.modules["torchaudio"] = types.ModuleType("torchaudio")
sys.modules["torchaudio"].__spec__ = importlib.machinery.ModuleSpec("torchaudio", None)

import torch  # noqa: E402  # after the stand-in
from llamafactory.train.tuner import run_exp  # noqa: E402
from transformers import (  # noqa: E402
    GotOcr2ImageProcessor,
    InternVLProcessor,
    InternVLVideoProcessor,
    PreTrainedTokenizerFast,
    TrainerCallback,
)

MARKS = {
    "start_image_token": "<img>",
    "end_image_token": "</img>",
    "context_image_token": "<IMG_CONTEXT>",
    "video_token": "<video>",
}


class Clock(TrainerCallback):
    """Notes when each step ended, and its loss."""

    def __init__(self):
        self.times = []
        self.cpu = []
        self.losses = []

    def on_train_begin(self, args, state, control, **kwargs):
        """Where the times begin."""
        self.times.append(time.perf_counter())
        self.cpu.append(time.process_time())

    def on_step_end(self, args, state, control, **kwargs):
        """An optimizer step is done."""
        self.times.append(time.perf_counter())
        self.cpu.append(time.process_time())

    def on_log(self, args, state, control, logs=None, **kwargs):
        """Steps log their loss; the last entry is a summary without one."""
        if "loss" in logs:
            self.losses.append(float(logs["loss"]))


def prepare(source, target, side, tokens_per_tile):
    """The model folder as transformers' own processor reads it."""
    target.mkdir(parents=True)
    for name in ("config.json", "model.safetensors", "generation_config.json"):
        if (source / name).exists():
            shutil.copy(source / name, target / name)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=str(source / "tokenizer.json"),
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        extra_special_tokens=MARKS,
    )
    InternVLProcessor(
        image_processor=GotOcr2ImageProcessor(size={"height": side, "width": side}),
        tokenizer=tokenizer,
        video_processor=InternVLVideoProcessor(),
        image_seq_length=tokens_per_tile,
    ).save_pretrained(target)


def main():
    """Train once."""
    job = json.loads(Path(sys.argv[1]).read_text())
    torch.set_num_threads(job["threads"])
    folder = Path(job["folder"])
    shutil.rmtree(folder, ignore_errors=True)
    prepare(Path(job["model"]), folder / "model", job["side"], job["tokens_per_tile"])
    (folder / "data").mkdir()
    (folder / "data" / "rows.json").write_text(json.dumps(job["rows"]))
    description = {
        "file_name": "rows.json",
        "formatting": "sharegpt",
        "columns": {"messages": "messages", "images": "images"},
        "tags": {
            "role_tag": "role",
            "content_tag": "content",
            "user_tag": "user",
            "assistant_tag": "assistant",
        },
    }
    (folder / "data" / "dataset_info.json").write_text(json.dumps({"rows": description}))
    clock = Clock()
    arguments = {
        **job["arguments"],
        "model_name_or_path": str(folder / "model"),
        "dataset_dir": str(folder / "data"),
        "media_dir": str(folder / "data"),
        "dataset": "rows",
        "output_dir": str(folder / "out"),
    }
    run_exp(args=arguments, callbacks=[clock])
    found = {
        "steps": [moment - clock.times[0] for moment in clock.times[1:]],
        "cpu": [moment - clock.cpu[0] for moment in clock.cpu[1:]],
        "fill_seconds": 0.0,
        "losses": clock.losses,
        "peak_rss_bytes": 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
        "notes": [],
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
