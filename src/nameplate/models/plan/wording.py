"""A plan in words: every line is an arithmetic that can be checked by hand."""

from __future__ import annotations

from collections.abc import Iterator

from nameplate.models.plan.results import RUNTIME_SHARE, MemoryPlan, Plan, PrefixPlan, TimeLine, WorkLine

_STEPS = {
    "forward": "forward",
    "again": "forward again",
    "input_gradient": "gradient of inputs",
    "weight_gradient": "gradient of weights",
}


def plan_lines(plan: Plan) -> Iterator[str]:
    """The whole plan, a line each; headings end with a colon."""
    hardware = plan.hardware
    yield f"{plan.base}, {plan.policy}, on {hardware.title}"
    yield from _examples(plan)
    yield from _memory(plan.memory)
    yield from _work(plan)
    yield from _time(plan)
    yield from _prefixes(plan)
    if plan.advice:
        yield "What to do:"
        yield from (f"  {line}" for line in plan.advice)


def table_lines(plans: list[Plan]) -> list[tuple[str, ...]]:
    """One row a plan.

    held: weights, optimizer and the process itself; passing: gradients and activations; prefix: what is kept on disk.
    """
    return [
        (
            plan.policy,
            f"{sum(row.trainable for row in plan.parts) / 1e6:,.1f}",
            gigabytes(plan.memory.process + plan.memory.weights + plan.memory.optimizer + plan.memory.average),
            gigabytes(plan.memory.gradients + plan.memory.activations + plan.memory.passing),
            gigabytes(plan.memory.total) + ("" if plan.memory.fits else " !"),
            f"{plan.flops / 1e15:,.1f}",
            duration(plan.seconds),
            plan.prefix,
        )
        for plan in plans
    ]


TABLE_HEAD = (
    "policy",
    "learns (M)",
    "held",
    "passing",
    "GB",
    "PFLOP",
    "time",
    "prefix",
)


def _examples(plan: Plan) -> Iterator[str]:
    load = plan.workload
    yield "Examples:"
    yield from (f"  {line}" for line in plan.said)
    mean = (
        f"{load.image_tokens:,.0f} of the image, {load.text_tokens:,.0f} of text, {load.answer_tokens:,.0f} with loss"
    )
    yield f"  tokens of an example: {mean}; {load.padding:.0%} padding comes on top"
    batch = load.typical
    yield (
        f"  {load.rows:,} examples x {plan.epochs} epochs = {load.rows * plan.epochs:,}; "
        f"{load.steps * plan.epochs:,} steps, {load.micro_batches * plan.epochs:,} micro-batches of {batch.examples} x "
        f"{batch.length} tokens with logits at {batch.places} places"
    )
    yield f"  {load.tokens:,} tokens x {plan.epochs} epochs = {load.tokens * plan.epochs:,} tokens"


def _memory(memory: MemoryPlan) -> Iterator[str]:
    yield "Memory at the highest moment:"
    for what, size in (
        ("Python and libraries, as this process holds them", memory.process),
        ("weights", memory.weights),
        ("optimizer", memory.optimizer),
        ("moving average", memory.average),
        ("gradients of earlier micro-batches", memory.gradients),
        ("activations kept for the backward pass, and the batch", memory.activations),
        ("what passes: logits, gradients on their way", memory.passing),
    ):
        if size:
            yield f"  {gigabytes(size)} GB  {what}"
    verdict = "it fits" if memory.fits else "it does not fit"
    yield (
        f"  {gigabytes(memory.total)} GB  together, of {gigabytes(memory.capacity)} GB x {1 - RUNTIME_SHARE:.2f} = "
        f"{gigabytes(memory.usable)} GB: {verdict}"
    )


def _work(plan: Plan) -> Iterator[str]:
    yield f"Work of one micro-batch ({plan.workload.typical.examples} examples), in {plan.dtype}:"
    yield from (f"  {_work_line(line)}" for line in plan.work)
    total = sum(line.flops for line in plan.work)
    yield f"  together {total / 1e12:,.3f} TFLOP"


def _work_line(line: WorkLine) -> str:
    what = f"{line.part}, {_STEPS[line.step]}"
    if line.rows:
        matrices = "1 matrix" if line.calls == 1 else f"{line.calls} matrices"
        arithmetic = f"2 x {line.rows:,} rows x {line.weights:,} weights in {matrices}"
    else:
        arithmetic = f"attention, {line.calls} times"
    return f"{what}: {arithmetic} = {line.flops / 1e12:,.4f} TFLOP"


def _time(plan: Plan) -> Iterator[str]:
    hardware = plan.hardware
    if hardware.speeds:
        yield f"Time, by the speed that one layer of each part reaches here ({hardware.source}):"
    else:
        rate = f"{hardware.rate(plan.dtype) / 1e12:,.1f} TFLOP/s ({hardware.source})"
        yield f"Time, at {rate} x {hardware.utilisation:.2f} (assumed):"
    yield from (f"  {_time_line(line)}" for line in plan.time)
    longest = max(plan.time, key=lambda line: line.seconds)
    yield f"  together {duration(plan.seconds)}; most of it: {longest.what} ({longest.seconds / plan.seconds:.0%})"
    yield from (f"  {line}" for line in plan.compiling)


def _time_line(line: TimeLine) -> str:
    if not line.speed:
        return f"{line.what}: {duration(line.seconds)}"
    if not line.flops:
        return f"{line.what}: at {line.speed / 1e9:,.0f} GB/s = {duration(line.seconds)}"
    return f"{line.what}: {line.flops / 1e12:,.1f} TFLOP / {line.speed / 1e12:,.3f} TFLOP/s = {duration(line.seconds)}"


def _prefixes(plan: Plan) -> Iterator[str]:
    yield "What could be computed once and kept on disk:"
    for each in plan.prefixes:
        yield f"  {each.level} ({each.what}): {each.arithmetic} = {gigabytes(each.bytes)} GB; {_worth(each)}"
    if not plan.prefixes:
        yield "  nothing under this policy, or of this family"
    elif plan.prefix == "off":
        yield "  the time above is without"
    else:
        yield f"  the time above is with {plan.prefix}"


def _worth(each: PrefixPlan) -> str:
    if not each.saved_seconds:
        return "saves decoding, which is not timed here"
    spent = f"saves {duration(each.saved_seconds)} of computing for {duration(each.disk_seconds)} of disk"
    if not each.fits:
        return f"{spent}, but is more than train.memory.prefix_max_bytes"
    return spent + (": it pays" if each.pays else ": it does not pay")


def gigabytes(size: int) -> str:
    """In billions of bytes."""
    return f"{size / 1e9:,.2f}"


def duration(seconds: float) -> str:
    """In the unit that a person would use."""
    if seconds >= 5400:
        return f"{seconds / 3600:,.1f} h"
    if seconds >= 90:
        return f"{seconds / 60:.1f} min"
    return f"{seconds:.1f} s"
