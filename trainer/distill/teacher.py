"""A frozen teacher's predictions under guidance, all passes of guidance in one batch.

Guidance is `c2r.streaming.guidance.cfg`; passes that its scales cancel are not run.

Shapes: B samples, T latents, F pixel frames, N tokens, S text tokens.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from c2r.models.attention import LatentMask
from c2r.streaming.guidance import GuidanceConfig, Predictions, cfg, rescaled
from c2r.streaming.schedule import TRAIN_STEPS, clean_from_velocity
from trainer.distill.student import CausalDenoiser


@dataclass(frozen=True)
class Conditions:
    """What a batch is to show: `text` `[B, S, text_dim]`, `negative` in its shape, which guidance
    leads away from, the control's `features` `[B, F, N, Dd]` and `strength` `[B]`.
    """

    text: Tensor
    negative: Tensor
    features: Tensor
    strength: Tensor

    def of_pass(self, name: str) -> Conditions:
        """For one of guidance's passes: `both`, `control` (the negative prompt) or `nothing`."""
        text = self.text if name == "both" else self.negative
        strength = torch.zeros_like(self.strength) if name == "nothing" else self.strength
        return Conditions(text, self.negative, self.features, strength)


Predict = Callable[[Conditions, int], Tensor]
"""(conditions of so many passes, batched; their number) -> velocities, batched alike."""


def passes(guidance: GuidanceConfig) -> tuple[str, ...]:
    """The passes that guidance needs."""
    if guidance.kind == "none" or guidance.control_scale == guidance.text_scale == 1:
        return ("both",)
    if guidance.control_scale == 1:
        return ("control", "both")
    return ("nothing", "control", "both")


def guided(
    predict: Predict, x: Tensor, levels: Tensor, given: Conditions, guidance: GuidanceConfig
) -> Tensor:
    """The guided velocity of `x` `[B, T, C, h, w]` at `levels` `[B]` or `[B, T]`, in one batched
    pass.
    """
    names = passes(guidance)
    several = [given.of_pass(name) for name in names]
    together = Conditions(
        *(torch.cat([getattr(one, name) for one in several]) for name in vars(given))
    )
    velocity = dict(zip(names, predict(together, len(names)).chunk(len(names)), strict=True))
    if len(names) == 1:
        return velocity["both"]
    nothing = velocity.get("nothing", velocity["control"])  # its weight is then 0
    both = velocity["both"]
    whole = cfg(Predictions(nothing, velocity["control"], both), guidance)
    each = levels.reshape(*levels.shape, *[1] * (x.ndim - levels.ndim))
    low, high = guidance.interval
    limited = rescaled(x, whole, both, each, guidance.rescale)
    return torch.where((low <= each) & (each <= high), limited, both)


def score(denoiser: CausalDenoiser, x: Tensor, levels: Tensor, given: Conditions) -> Tensor:
    """Clean latents `[B, T, C, h, w]` that an unguided denoiser predicts from a noisy clip."""
    velocity = denoiser(
        x, TRAIN_STEPS * levels, given.text, features=given.features, strength=given.strength
    )
    return clean_from_velocity(x, velocity, levels[:, None, None, None, None])


class Teacher:
    """A frozen renderer's denoiser. Its predictions have no gradient."""

    def __init__(self, denoiser: CausalDenoiser, guidance: GuidanceConfig) -> None:
        self.denoiser, self.guidance = denoiser, guidance

    @torch.no_grad()
    def clean(self, x: Tensor, levels: Tensor, given: Conditions) -> Tensor:
        """Clean latents predicted from a noisy clip `[B, T, C, h, w]` at `levels` `[B]`, all
        latents at once.
        """

        def predict(many: Conditions, count: int) -> Tensor:
            clip, timestep = x.repeat(count, 1, 1, 1, 1), TRAIN_STEPS * levels.repeat(count)
            return self.denoiser(
                clip, timestep, many.text, features=many.features, strength=many.strength
            )

        velocity = guided(predict, x, levels, given, self.guidance)
        return clean_from_velocity(x, velocity, levels[:, None, None, None, None])

    @torch.no_grad()
    def forced(
        self,
        clean: Tensor,
        noisy: Tensor,
        levels: Tensor,
        mask: LatentMask,
        given: Conditions,
        context: float = 0.0,
    ) -> Tensor:
        """Velocity of a causal teacher; see `CausalDenoiser.forced`."""

        def predict(many: Conditions, count: int) -> Tensor:
            return self.denoiser.forced(
                clean.repeat(count, 1, 1, 1, 1),
                noisy.repeat(count, 1, 1, 1, 1),
                levels.repeat(count, 1),
                many.text,
                mask,
                features=many.features,
                strength=many.strength,
                context=context,
            )

        return guided(predict, noisy, levels, given, self.guidance)


def keep_on_cpu(denoiser: CausalDenoiser, device: torch.device) -> None:
    """Move all but the blocks to the device; each block is there only while it runs.

    Modules are moved one by one: `denoiser.to(device)` would put the blocks there as well, and a
    device too small for the whole teacher would be full before training begins.
    """

    def fetch(block: nn.Module, arguments: object) -> None:
        block.to(device)

    def send_back(block: nn.Module, arguments: object, result: object) -> None:
        block.to("cpu")

    stay = {module for block in denoiser.blocks for module in block.modules()}
    for module in denoiser.modules():
        if module in stay:
            continue
        for name, weight in list(module.named_parameters(recurse=False)):
            setattr(module, name, nn.Parameter(weight.data.to(device), weight.requires_grad))
        for name, buffer in list(module.named_buffers(recurse=False)):
            setattr(module, name, buffer.to(device))
    for block in denoiser.blocks:
        block.register_forward_pre_hook(fetch)
        block.register_forward_hook(send_back)
