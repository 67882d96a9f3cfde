"""Features of the control from frozen DINOs: one network per distinct set of weights, and a cache.

Teacher and student often have the same DINO, which then runs once for both. A coarse clip of a
cache of latents is the same in every epoch, so its features are kept. Clips are encoded one by one:
features do not depend on the rest of the batch.

Shapes: B samples, F pixel frames, N tokens of one frame, Dd DINO width.
"""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor

from c2r.models.build import prepare_inference
from c2r.models.dino import DinoEncoder
from trainer.data.batch import Batch
from trainer.networks.encoders import FRAMES_AT_ONCE
from trainer.networks.start import Start, weights_hash


class FeatureCache:
    """DINO features of the same frames for several renderers, told apart by the key of `add`.

    `most_bytes`: of features kept, of clips whose control never changes; 0 keeps none.
    """

    def __init__(self, device: torch.device, dtype: torch.dtype, most_bytes: float = 0) -> None:
        self.device, self.dtype, self.most_bytes = device, dtype, most_bytes
        self._dinos: dict[str, DinoEncoder] = {}
        self._kept: OrderedDict[tuple[str, str, int], Tensor] = OrderedDict()

    def add(self, start: Start) -> str:
        """Load a renderer's DINO unless an equal one is there; gives its key."""
        dino = start.dino()
        key = weights_hash(dino)
        if key not in self._dinos:
            self._dinos[key] = prepare_inference(dino, self.dtype, self.device)
        return key

    @torch.no_grad()
    def encode(self, key: str, frames: Tensor) -> Tensor:
        """Frames `[B, F, 3, H, W]` uint8 -> tokens `[B, F, N, Dd]`, past the cache."""
        return self._dinos[key](frames, batch=FRAMES_AT_ONCE)

    def features(self, batch: Batch, most: int | None = None) -> dict[str, Tensor]:
        """Tokens `[B, F, N, Dd]` of a batch's control by key, of its first `most` frames or all."""
        assert batch.control is not None, "the dataset was opened without control"
        most = batch.control.shape[1] if most is None else min(most, batch.control.shape[1])
        rows = range(len(batch.clips))
        return {
            key: torch.cat([self._row(key, batch, row, most) for row in rows])
            for key in self._dinos
        }

    def _row(self, key: str, batch: Batch, row: int, most: int) -> Tensor:
        assert batch.control is not None
        start = batch.starts[row] if batch.starts else 0
        frames, name = batch.control[row : row + 1], (key, batch.clips[row], start)
        # The control of a real clip has other colours in every sample; only pairs can be kept.
        if not self.most_bytes or batch.sources[row] != "cg":
            return self.encode(key, frames[:, :most])
        tokens = self._kept.pop(name, None)
        if tokens is None:
            # All frames, not `most`: a longer rollout would find too few of them later.
            tokens = self.encode(key, frames)
        self._kept[name] = tokens  # the most recently used is last
        while sum(one.nbytes for one in self._kept.values()) > self.most_bytes:
            self._kept.popitem(last=False)
        return tokens[:, :most]
