"""DeepSpeed in the place of DDP: its engine goes around the model, and divides what every process would hold.

Source: `deepspeed.initialize` with an optimizer of ours. The engine gives the backward pass, clipping and the
optimizer's step; batches, losses, learning rates and checkpoints stay as they are. DeepSpeed is imported where a launch
asks for it, and only then.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final

import torch
from accelerate.utils.deepspeed import DeepSpeedOptimizerWrapper
from torch import nn
from torch.nn import functional

from nameplate.recipe import TrainSection
from nameplate.stages.train.ranks.zerosettings import Zero

MOMENTS: Final = ("exp_avg", "exp_avg_sq")
"""What AdamW keeps of a weight."""


class EngineSteps:
    """What the loop asks of accelerate, done by DeepSpeed's engine.

    accelerate itself is not told of DeepSpeed: it would have its batches, its accumulation and its schedule.

    Args:
        accelerator: of the loop; some of its methods become those of this object.
        optimizer: AdamW over what learns.
        zero: what is divided.
        section: of the recipe.
    """

    def __init__(
        self, accelerator: Any, optimizer: torch.optim.Optimizer, *, zero: Zero, section: TrainSection
    ) -> None:
        self.accelerator = accelerator
        self.optimizer = optimizer
        self.zero = zero
        self.section = section
        self.linear = functional.linear
        self.engine: Any = None
        for name in ("prepare_model", "prepare_optimizer", "backward", "clip_grad_norm_", "no_sync"):
            setattr(accelerator, name, getattr(self, name))

    def prepare_model(self, model: nn.Module, **_: Any) -> nn.Module:
        """The engine around a model."""
        self.engine = build_engine(model, self.optimizer, zero=self.zero, section=self.section)
        # Stage 3 puts a product of its own in torch's place for good, which lets go of weights until the backward
        # pass. Other models, such as one that is validated, shall not come to it.
        product, functional.linear = functional.linear, self.linear
        self.engine.register_forward_pre_hook(lambda *_: setattr(functional, "linear", product))
        return self.engine  # type: ignore[no-any-return]  # it is one

    def prepare_optimizer(self, optimizer: torch.optim.Optimizer, **_: Any) -> DeepSpeedOptimizerWrapper:
        """An optimizer whose steps do nothing: the engine steps at the end of the backward pass."""
        return DeepSpeedOptimizerWrapper(optimizer)

    def backward(self, loss: torch.Tensor, **_: Any) -> None:
        """Gradients of a micro-batch; after the last of a step clip, step and clear them."""
        last: bool = self.accelerator.sync_gradients
        self.engine.set_gradient_accumulation_boundary(last)
        self.engine.backward(loss, scale_wrt_gas=False)
        functional.linear = self.linear
        if last:
            self.engine.step()

    def clip_grad_norm_(self, *_: Any, **__: Any) -> torch.Tensor | float | None:
        """The norm before it was clipped; not finite where DeepSpeed has left the step out."""
        norm: torch.Tensor | float | None = self.engine.get_global_grad_norm()
        return norm

    def no_sync(self, model: nn.Module) -> AbstractContextManager[None]:
        """Nothing to hold back: the engine is told which micro-batch is the last."""
        return nullcontext()


def build_engine(model: nn.Module, optimizer: torch.optim.Optimizer, *, zero: Zero, section: TrainSection) -> Any:
    """DeepSpeed's engine around a model; the optimizer holds this process's part afterwards, its moments zero."""
    import deepspeed

    # It is for inference on CPUs alone, and would be compiled before a training there.
    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    engine, *_ = deepspeed.initialize(
        model=model,
        optimizer=optimizer,
        config={
            "train_micro_batch_size_per_gpu": section.memory.micro_batch_size,
            "gradient_accumulation_steps": 1,
            "gradient_clipping": section.optimizer.max_grad_norm or 0.0,
            "zero_optimization": {"stage": zero.stage, **zero.ways},
        },
    )
    _start_moments(engine.optimizer)
    return engine


def _start_moments(dividing: Any) -> None:
    """Make what AdamW would make in its first step, so that a resume may set it before."""
    stage_3 = hasattr(dividing, "fp32_partitioned_groups_flat")
    parts = dividing.fp32_partitioned_groups_flat if stage_3 else dividing.single_partition_of_fp32_groups
    for part in parts:
        moments = {name: torch.zeros_like(part, requires_grad=False) for name in MOMENTS}
        dividing.optimizer.state[part] = {"step": torch.zeros((), device=part.device), **moments}
    if not stage_3:
        # DeepSpeed 0.19.8 does so when the first of several groups has stepped, and misses the others.
        dividing._lazy_init_hp_params_optimizer_state()


def leave_group() -> None:
    """End the group of processes, and let DeepSpeed forget it."""
    import deepspeed

    deepspeed.comm.destroy_process_group()


def is_divided(parameter: torch.Tensor) -> bool:
    """Whether DeepSpeed has divided the parameter itself (stage 3)."""
    return hasattr(parameter, "ds_id")


def has_divided_moments(parameter: torch.Tensor) -> bool:
    """Whether DeepSpeed has divided what an optimizer keeps of the parameter."""
    return is_divided(parameter) or hasattr(parameter, "_hp_mapping")


def undivided(parameter: torch.Tensor) -> torch.Tensor:
    """A divided parameter in one piece. All processes must come here, in the same order."""
    from deepspeed.utils import safe_get_full_fp32_param

    values: torch.Tensor = safe_get_full_fp32_param(parameter)
    return values


def put(values: torch.Tensor, into: torch.Tensor) -> None:
    """Set a learning parameter, or this process's part, to values that every process has."""
    import deepspeed

    values = values.to(into.device)
    if is_divided(into):
        with deepspeed.zero.GatheredParameters([into], modifier_rank=0):
            into.copy_(values)
        # Steps are made on a copy of the part, in float32 as the part itself.
        deepspeed.utils.safe_set_local_fp32_param(into, _own_part(values, into))
    else:
        into.copy_(values)
        deepspeed.utils.safe_set_full_fp32_param(into, values)


def gather_states(
    parameters: Mapping[str, nn.Parameter], optimizer: torch.optim.Optimizer
) -> Iterator[tuple[nn.Parameter, dict[str, torch.Tensor]]]:
    """Step and moments of each parameter, whole. All processes must come here."""
    from deepspeed.utils import safe_get_full_optimizer_state

    step = next(iter(optimizer.state.values()))["step"]  # all have stepped together
    for parameter in parameters.values():
        moments = {name: safe_get_full_optimizer_state(parameter, name) for name in MOMENTS}
        yield parameter, {"step": step, **moments}


def put_state(optimizer: torch.optim.Optimizer, parameter: nn.Parameter, field: str, values: torch.Tensor) -> None:
    """Set this process's part of a parameter's step or moment to values that every process has."""
    from deepspeed.utils import safe_set_full_optimizer_state, safe_set_local_optimizer_state

    values = values.to(parameter.device)
    if field == "step":
        for state in optimizer.state.values():
            state[field].copy_(values)
    elif is_divided(parameter):
        safe_set_local_optimizer_state(parameter, _own_part(values, parameter), field)
    else:
        safe_set_full_optimizer_state(parameter, values, field)


def _own_part(values: torch.Tensor, parameter: Any) -> torch.Tensor:
    """This process's part of values, as stage 3 cuts them: all parts are equally long, the last is padded."""
    size = parameter.ds_tensor.numel()
    own = values.flatten()[torch.distributed.get_rank() * size :][:size]
    return functional.pad(own, (0, size - own.numel()))
