"""AdamW or Muon over one part's trained parameters, their schedule, gradient clipping and EMA.

The learning rate is a function of the update's number, so nothing of it has to be kept.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from trainer.dist.parallel import local
from trainer.settings import OptimConfig


def learning_rate(config: OptimConfig, update: int, updates: int) -> float:
    """Rate of update number `update` (from 0) of `updates`: linear warm-up, then the schedule."""
    if update < config.warmup:
        return config.lr * (update + 1) / config.warmup
    if config.schedule == "constant":
        return config.lr
    share = (update - config.warmup) / max(1, updates - config.warmup)
    cosine = 0.5 * (1 + math.cos(math.pi * min(1.0, share)))
    return config.lr * (config.final + (1 - config.final) * cosine)


def trained(module: nn.Module) -> dict[str, nn.Parameter]:
    """The parameters that train, by name."""
    return {name: p for name, p in module.named_parameters() if p.requires_grad}


def hidden(name: str, parameter: nn.Parameter) -> bool:
    """Whether Muon is for it: a matrix between hidden activations, not into or out of them."""
    return parameter.ndim == 2 and not any(part in name for part in ("embedding", "head"))


def decays(name: str, parameter: nn.Parameter) -> bool:
    """Whether weight decay acts on it: a layer's matrix or kernel, not a gain, a bias, nor a table
    that is added, as a DiT's `modulation` and a ViT's tokens are.
    """
    return parameter.ndim > 1 and name.rpartition(".")[2] == "weight"


class Optimiser:
    """One part's optimisers and EMA. Weight decay acts on matrices alone."""

    def __init__(self, module: nn.Module, config: OptimConfig) -> None:
        self.module, self.config = module, config
        self.parameters = trained(module)
        self.optimisers: list[torch.optim.Optimizer] = []
        left = self.parameters
        if config.kind == "muon":
            matrices = {name: p for name, p in left.items() if hidden(name, p)}
            left = {name: p for name, p in left.items() if name not in matrices}
            self.optimisers += [_muon(matrices, config)] if matrices else []
        self.optimisers += [_adamw(left, config)] if left else []
        self.ema: dict[str, Tensor] = {}
        if config.ema:
            self.ema = {name: p.detach().clone() for name, p in self.parameters.items()}

    def clip(self) -> float:
        """Scale the gradients to the norm allowed; gives the norm before. Waits on the device."""
        norm = torch.nn.utils.clip_grad_norm_(self.parameters.values(), self.config.clip)
        return float(norm.full_tensor() if isinstance(norm, DTensor) else norm)

    def update(self, number: int, updates: int) -> float:
        """One update with the current gradients, which are then freed; gives the learning rate."""
        rate = learning_rate(self.config, number, updates)
        for optimiser in self.optimisers:
            for group in optimiser.param_groups:
                group["lr"] = rate
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
        self._follow(number)
        return rate

    @torch.no_grad()
    def _follow(self, number: int) -> None:
        """The EMA's step: `ema += (1 - decay) (weights - ema)`.

        The decay is warmed up: at 0.999 from the first update on, the initial weights would still
        be a third of the EMA after a thousand updates. Shards follow shards (`local`): the EMA of a
        sharded weight is sharded alike, and nothing is gathered.
        """
        if not self.ema:
            return
        decay = min(self.config.ema, (1 + number) / (10 + number))
        if number < self.config.ema_from:
            decay = 0.0
        averages = [local(average) for average in self.ema.values()]
        current = [local(parameter.detach()) for parameter in self.parameters.values()]
        torch._foreach_lerp_(averages, current, 1 - decay)

    @property
    def best(self) -> dict[str, Tensor]:
        """What a renderer is written from: the EMA, or the weights where there is none."""
        return self.ema or {name: p.detach() for name, p in self.parameters.items()}

    def whole_best(self) -> dict[str, Tensor]:
        """`best` on the CPU, unsharded; every process takes part, all get it."""
        return {
            name: (t.full_tensor() if isinstance(t, DTensor) else t).cpu()
            for name, t in self.best.items()
        }


def _adamw(parameters: Mapping[str, nn.Parameter], config: OptimConfig) -> torch.optim.Optimizer:
    matrices = [p for name, p in parameters.items() if decays(name, p)]
    others = [p for name, p in parameters.items() if not decays(name, p)]
    groups = [
        {"params": matrices, "weight_decay": config.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(
        [group for group in groups if group["params"]],
        lr=config.lr,
        betas=config.betas,
        fused=True,
    )


def _muon(parameters: Mapping[str, nn.Parameter], config: OptimConfig) -> torch.optim.Optimizer:
    if any(isinstance(p, DTensor) for p in parameters.values()):
        raise ValueError(
            "optim.kind muon works on whole matrices, and sharding splits them; use adamw, or one "
            "process"
        )
    return torch.optim.Muon(
        list(parameters.values()),
        lr=config.lr,
        weight_decay=config.weight_decay,
        adjust_lr_fn="match_rms_adamw",
    )
