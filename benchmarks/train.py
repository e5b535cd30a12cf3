"""Samples a second and memory of training with frozen components, beside LLaMA-Factory 0.9.5 on the same rows.

    python benchmarks/train.py --json                        what docs/training-speed.md shows (about ten minutes)
    python benchmarks/train.py --quick                       the way, not the result (under two minutes)
    python benchmarks/train.py --policies vision_frozen --rounds 1 --no-peers

A random InternVL of about 50 million parameters learns 240 captions of 30 to 110 words, in steps of 24, each in one
forward pass, in bfloat16, one tile each, the same rows in the same order in the first epoch, with no gradient
checkpointing (LLaMA-Factory has it on unless told otherwise: `--peer-checkpointing`), no packing by the peer (it needs
flash attention), AdamW and the same prompt. The tools take turns. Their start, loading and tokenising are not counted;
filling caches and compiling layers, nothing compiled being there before, are said apart as `fill` and counted in
`over 5`. Layers are compiled whatever is ahead (`memory.compile: on`): by itself a training as short as this one would
not. Of LLaMA-Factory, whose epochs are all alike, `--peer-steps` steps are timed after one that is not.

`cpu` is processor time of an example in later epochs, all threads: of all figures the one that other work on the
machine disturbs least. `share` is the arithmetic that a step of later epochs must do over what the machine does in
plain square bfloat16 products in the same round: two operations for each weight, token and pass (forward, gradient of
inputs, gradient of weights where they learn), of causal attention the half that is seen, the head at answer tokens
alone. Padding, elementwise work and a frozen tower, whose features are kept, count nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from clean_peers import Peer, ensure
from figures import machine, markdown, rounded
from nameplate.cli.threads import RESTING
from train_arithmetic import product_rate, step_operations
from train_jobs import BATCH, POLICIES, Job, Shop, our_job, peer_job, prepare
from train_shop import FULL, QUICK

# Torch as the project has it, so that what differs is the trainer.
LLAMA_FACTORY = Peer(("llamafactory==0.9.5", "torch==2.15.0", "torchvision==0.29.2", "transformers==5.6.0"))
_LATER_EPOCHS = 4
"""Beside the first, over which the fill is counted."""
_WAITING = {name: os.environ.get(name, value) for name, value in RESTING.items()}
"""How our idle threads wait: as the command has them, unless the environment says otherwise."""
_ENVIRONMENT = {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}

Row = dict[str, Any]
_TOOLS = (("Nameplate", "ours"), ("LLaMA-Factory", "peer"))


def main() -> None:
    """Measure and print."""
    options = _options()
    figures = rounded(measure(options))
    print(table(figures["cases"]))
    print(f"matrix products: {figures['product_rate'] / 1e9:.0f} billion operations a second")
    if options.json:
        print(json.dumps(figures))


def measure(options: argparse.Namespace) -> Row:
    """Every figure of the table, as one JSON object."""
    python = None if options.no_peers or options.quick else ensure(LLAMA_FACTORY)
    with tempfile.TemporaryDirectory() as name:
        shop = prepare(Path(name), size=QUICK if options.quick else FULL, num_images=48 if options.quick else 240)
        rates: list[float] = []
        cases = [_case(shop, policy, python, options, rates) for policy in options.policies]
    return {
        "benchmark": "train",
        "quick": options.quick,
        "machine": machine(),
        "threads": options.threads,
        "rounds": options.rounds,
        "parameters": shop.num_parameters,
        "images": len(shop.texts),
        "batch": BATCH,
        "product_rate": max(rates),
        "versions": list(LLAMA_FACTORY.pins),
        "cases": cases,
    }


def _case(shop: Shop, policy: str, python: str | None, options: argparse.Namespace, rates: list[float]) -> Row:
    """One policy: the tools in turn, the middle of each figure."""
    ours: list[Row] = []
    peers: list[Row] = []
    for _ in range(1 if options.quick else options.rounds):
        rates.append(product_rate(options.threads))
        memory = {"compile": "auto" if options.quick else "on", "micro_batch_size": BATCH, **json.loads(options.memory)}
        job = our_job(shop, policy, epochs=2, threads=options.threads, memory=memory)
        ours.append(_ours(run([sys.executable, "train_ours.py"], job, _WAITING), len(shop.texts)))
        if python is not None:
            extra = {
                "flash_attn": options.peer_attention,
                "disable_gradient_checkpointing": not options.peer_checkpointing,
            }
            job = peer_job(shop, policy, steps=options.peer_steps + 1, threads=options.threads, arguments=extra)
            waiting = _WAITING if options.peer_rests else {}
            peers.append(_peer(run([python, "train_peer.py"], job, waiting)))
    row: Row = {"policy": policy, "ours": _middle(ours), "peer": _middle(peers) if peers else None}
    tokens = ours[0]["tokens"]
    needed = step_operations(shop.size, POLICIES[policy], tokens=tokens["all"], answer_tokens=tokens["answer"])
    row["operations"] = needed._asdict() | {"together": needed.together}
    # A frozen tower's features are kept: later epochs need none of its operations, so none may count.
    kept = 0.0 if "vision" in POLICIES[policy] else needed.vision
    row["share"] = row["ours"]["later"] * (needed.together - kept) / median(rates[-len(ours) :])
    if peers:
        row["ratios"] = {
            kind: median(each[kind] / other[kind] for each, other in zip(ours, peers, strict=True))
            for kind in ("epoch_1", "later", "over_5")
        }
        row["ratios"]["cpu"] = median(other["cpu_ms"] / each["cpu_ms"] for each, other in zip(ours, peers, strict=True))
        row["first_losses"] = [ours[0]["first_loss"], peers[0]["first_loss"]]
    return row


def run(command: Sequence[str], job: Job, waiting: Mapping[str, str]) -> Row:
    """One tool trains once, in a process of its own whose idle threads wait as `waiting` says."""
    path = Path(job["folder"] if "folder" in job else job["run"]).with_suffix(".json")
    path.write_text(json.dumps(job))
    script = Path(__file__).with_name(command[1])
    with tempfile.TemporaryDirectory() as compiled:
        environment = {
            **{name: value for name, value in os.environ.items() if name not in RESTING},
            **_ENVIRONMENT,
            **waiting,
            "OMP_NUM_THREADS": str(job["threads"]),
            "TORCHINDUCTOR_CACHE_DIR": compiled,
        }
        done = subprocess.run(
            [command[0], str(script), str(path)], env=environment, capture_output=True, text=True, check=False
        )
    if done.returncode != 0:
        raise SystemExit(f"{script.name} failed: {done.stderr[-3000:]}")
    found: Row = json.loads(done.stdout.splitlines()[-1])
    return found


def _ours(found: Row, num_images: int) -> Row:
    """Rates of both epochs, and over five of which the last four are like the second."""
    per_epoch = len(found["steps"]) // 2
    first = found["steps"][per_epoch - 1]
    later = found["steps"][-1] - first
    return {
        "epoch_1": num_images / first,
        "later": num_images / later,
        "over_5": (1 + _LATER_EPOCHS) * num_images / (found["fill_seconds"] + first + _LATER_EPOCHS * later),
        "cpu_ms": 1000 * (found["cpu"][-1] - found["cpu"][per_epoch - 1]) / num_images,
        "fill_seconds": found["fill_seconds"],
        "peak_mb": found["peak_rss_bytes"] / 1e6,
        "first_loss": found["losses"][0],
        "tokens": found["tokens"],
        "notes": found["notes"],
    }


def _peer(found: Row) -> Row:
    """Its epochs are alike; the first step is left out, to its favour."""
    steps = found["steps"]
    rate = BATCH * (len(steps) - 1) / (steps[-1] - steps[0])
    return {
        **dict.fromkeys(("epoch_1", "later", "over_5"), rate),
        "cpu_ms": 1000 * (found["cpu"][-1] - found["cpu"][0]) / (BATCH * (len(steps) - 1)),
        "fill_seconds": 0.0,
        "peak_mb": found["peak_rss_bytes"] / 1e6,
        "first_loss": found["losses"][0],
    }


def _middle(rounds: Sequence[Row]) -> Row:
    return {
        key: median(each[key] for each in rounds) if isinstance(value, float) else value
        for key, value in rounds[0].items()
    }


def table(cases: Sequence[Row]) -> str:
    """As docs/training-speed.md holds it."""
    headings = [
        "what learns",
        "tool",
        "epoch 1",
        "later",
        "over 5",
        "cpu, ms",
        "fill, s",
        "memory, MB",
        "first loss",
        "share",
    ]
    rows = []
    for case in cases:
        rows += [_line(case["policy"], tool, case[key], case) for tool, key in _TOOLS if case[key]]
        if case["peer"]:
            ratios = [f"{case['ratios'][kind]:.1f}x" for kind in ("epoch_1", "later", "over_5", "cpu")]
            rows.append(["", "ratio", *ratios, "", "", "", ""])
    return markdown(headings, rows)


def _line(policy: str, tool: str, found: Row, case: Row) -> list[str]:
    share = f"{case['share']:.0%}" if found is case["ours"] else ""
    return [
        policy.replace("_", " "),
        tool,
        *(f"{found[kind]:.2f}" for kind in ("epoch_1", "later", "over_5")),
        f"{found['cpu_ms']:.0f}",
        f"{found['fill_seconds']:.1f}",
        f"{found['peak_mb']:.0f}",
        f"{found['first_loss']:.4f}",
        share,
    ]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a small model, 48 images, one round, no peer")
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    parser.add_argument("--policies", nargs="+", choices=list(POLICIES), default=list(POLICIES), help="what learns")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each tool (default 3)")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="of each tool")
    parser.add_argument("--peer-steps", type=int, default=4, help="timed steps of LLaMA-Factory (default 4)")
    parser.add_argument(
        "--peer-attention", choices=["sdpa", "disabled"], default="sdpa", help="disabled: plain products"
    )
    parser.add_argument("--peer-checkpointing", action="store_true", help="as LLaMA-Factory does unless told otherwise")
    parser.add_argument("--peer-rests", action="store_true", help="its idle threads sleep as soon as ours do")
    parser.add_argument("--memory", default="{}", help="our recipe's train.memory, as JSON")
    parser.add_argument("--no-peers", action="store_true", help="ours alone")
    return parser.parse_args()


if __name__ == "__main__":
    main()
