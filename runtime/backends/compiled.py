"""The networks through torch.compile: DINO, control and VAE whole, the DiT block by block.

Compiled whole, a DiT takes minutes for every fill level of its cache. Its blocks differ in nothing
but which layer they are and how much the cache holds, and both may be numbers of one graph.
The compiler makes no CUDA graphs of its own: `runtime.graphs.graphed_pipeline` captures whole steps
around the compiled code, at addresses that it chooses.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn

from c2r.exported.stages import Stages
from c2r.models.build import Networks
from c2r.models.control import ControlInput
from c2r.models.dit import DiT
from c2r.models.forward_pass import EmbeddedText, Text, TextKV, stacked
from c2r.streaming.kv_cache import KVCache


def compiled_stages(networks: Networks, inductor: str = "inductor") -> Stages:
    """Stages compiled at their first calls; `inductor` is the compiler's backend."""
    make: Callable[..., Any] = partial(torch.compile, dynamic=False, backend=inductor)
    control = networks.control
    return Stages(
        dino=None if control is None else make(networks.dino),
        control=None if control is None else make(control.tokens),
        denoise=CompiledBlocks(networks.dit, inductor),
        vae=make(networks.vae.decode_chunk),
    )


class CompiledBlocks:
    """A DiT whose blocks are compiled, all of them to the same few graphs; the given one is not."""

    def __init__(self, dit: DiT, inductor: Any = "inductor") -> None:
        self.dit = copy.copy(dit)
        self.dit._modules = dict(dit._modules)
        blocks = nn.ModuleList(copy.copy(block) for block in dit.blocks)
        for block in blocks:
            block.compile(backend=inductor, fullgraph=True)
        self.dit.blocks = blocks
        self._stacked: tuple[TextKV, TextKV] | None = None

    def __call__(
        self,
        x: Tensor,
        timestep: Tensor,
        text: Text,
        *,
        control: ControlInput | None = None,
        cache: KVCache | None = None,
    ) -> Tensor:
        """See `DiT.forward`."""
        assert not isinstance(text, EmbeddedText), "a served prompt's keys and values are made once"
        return self.dit(x, timestep, self._one(text), control=control, cache=cache)

    def _one(self, text: TextKV) -> TextKV:
        """The prompt as one tensor, whose layer may be a number of the graph; remembered."""
        given: object = text
        if isinstance(given, Tensor):
            return text
        if self._stacked is None or self._stacked[0] is not text:
            self._stacked = text, cast(TextKV, stacked(text))
        return self._stacked[1]
