"""Flow matching: noise levels, the loss of each sample, and dropout of its conditions.

`x_s = (1 - s) x_0 + s e`; the network learns the velocity `v = e - x_0`, as Wan 2.1 does. Levels
are drawn uniformly, or with a normal logit (Esser et al. 2024, arXiv:2403.03206), then shifted.

Shapes: B samples, T latents, C channels, h w latent rows and columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from c2r.streaming.schedule import TRAIN_STEPS, add_noise, shift_level
from trainer.phases.settings import FlowConfig
from trainer.sample_random import noise, plain_random, torch_random
from trainer.settings import DataConfig

SMALLEST_LEVEL = 1e-3


def draw_levels(
    config: FlowConfig, seed: int, draws: Sequence[int], purpose: str = "level"
) -> Tensor:
    """Noise levels `[B]` in (0, 1], shifted; `pure_noise` of them are 1."""
    levels = []
    for draw in draws:
        if config.pure_noise and _pure(config.pure_noise, seed, draw, purpose):
            levels.append(1.0)
            continue
        generator = torch_random(seed, draw, purpose)
        if config.levels == "uniform":
            plain = torch.rand((), generator=generator).item()
        else:
            normal = torch.randn((), generator=generator) * config.std + config.mean
            plain = torch.sigmoid(normal).item()
        levels.append(max(SMALLEST_LEVEL, shift_level(plain, config.shift)))
    return torch.tensor(levels)


def _pure(share: float, seed: int, draw: int, purpose: str) -> bool:
    return plain_random(seed, draw, f"pure {purpose}").random() < share


@dataclass(frozen=True)
class Noised:
    """Noisy latents, their velocity (what is learned), and each sample's level `[B]`."""

    x: Tensor
    target: Tensor
    levels: Tensor

    @property
    def timesteps(self) -> Tensor:
        """The network's input, `[B]`."""
        return TRAIN_STEPS * self.levels


def noised(clean: Tensor, draws: tuple[int, ...], config: FlowConfig, seed: int) -> Noised:
    """Noise a batch of clean latents `[B, T, C, h, w]`, each sample by its own numbers."""
    drawn = noise(seed, draws, tuple(clean.shape[1:]), "noise").to(clean.device)
    levels = draw_levels(config, seed, draws).to(clean.device)
    clean = clean.float()
    return Noised(add_noise(clean, drawn, levels[:, None, None, None, None]), drawn - clean, levels)


def sample_losses(velocity: Tensor, target: Tensor) -> Tensor:
    """Mean squared error of each sample, `[B]` float32."""
    return (velocity.float() - target.float()).square().flatten(1).mean(1)


def flow_losses(velocity: Tensor, target: Tensor, levels: Tensor, config: FlowConfig) -> Tensor:
    """The loss that `flow.loss` names of each sample, `[B]`.

    `levels`: of each sample `[B]`, or of each latent `[B, T]`. With velocity error d the clean
    latents `x_s - s v` are wrong by `s d`.
    """
    if config.loss == "velocity":
        return sample_losses(velocity, target)
    by_latent = levels if levels.ndim == 2 else levels[:, None]
    scale = by_latent[..., None, None, None].float()
    return sample_losses(scale * velocity.float(), scale * target.float())


@dataclass(frozen=True)
class Kept:
    """Which conditions a batch keeps: masks `[B]`, 1 kept and 0 dropped."""

    text: Tensor
    control: Tensor


def draw_kept(data: DataConfig, seed: int, draws: Sequence[int]) -> Kept:
    """Text alone is dropped from `text_dropout`, text and control together from `joint_dropout`
    of the samples: guidance needs both predictions.
    """
    text, control = [], []
    for draw in draws:
        place = plain_random(seed, draw, "dropout").random()
        text.append(float(place >= data.text_dropout + data.joint_dropout))
        joint = data.text_dropout <= place < data.text_dropout + data.joint_dropout
        control.append(float(not joint))
    return Kept(torch.tensor(text), torch.tensor(control))
