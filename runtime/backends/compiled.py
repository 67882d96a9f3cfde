"""The networks through torch.compile: one graph a shape, the cache written in place.

On CUDA the stage without state, DINO, is also replayed as a CUDA graph ("reduce-overhead"). The
others keep what they give, or write into the session's cache, whose address differs from session
to session: a replay would overwrite the one and miss the other.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from c2r.engines.stages import Stages
from c2r.models.build import Networks


def compiled_stages(networks: Networks, inductor: str = "inductor") -> Stages:
    """Stages compiled at their first calls; `inductor` is the compiler's backend."""
    cuda = networks.dit.patch_embedding.weight.device.type == "cuda"
    replayed = {"mode": "reduce-overhead"} if cuda and inductor == "inductor" else {}
    make: Callable[..., Any] = partial(torch.compile, dynamic=False, backend=inductor)
    control = networks.control
    return Stages(
        dino=None if control is None else _kept(make(networks.dino, **replayed), cuda),
        control=None if control is None else make(control.tokens),
        denoise=make(networks.dit),
        vae=make(networks.vae.decode_chunk),
    )


def _kept(run: Callable[[Tensor], Tensor], cuda: bool) -> Callable[[Tensor], Tensor]:
    """What a CUDA graph gives is overwritten by its next replay, so it is copied out."""

    def call(frames: Tensor) -> Tensor:
        if not cuda:
            return run(frames)
        torch.compiler.cudagraph_mark_step_begin()
        return run(frames).clone()

    return call
