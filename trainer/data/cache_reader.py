"""Samples from a cache: latents and text ready made, pixels only where the control needs them.

A sample begins where its clip begins: a causal VAE's first latent is one frame, the later ones
four, so latents cannot be cut in front.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from c2r.models.configs import Preset, latent_count
from trainer.data.batch import Sample
from trainer.data.cache_format import SHARDS, text_name, unpacked_latents, unpacked_text
from trainer.data.jitter import Frames, draw_jitter, jittered
from trainer.data.manifest import Clip
from trainer.data.recent_frames import RecentFrames
from trainer.data.video_reader import control_frames
from trainer.data.window import whole_window
from trainer.sample_random import plain_random
from trainer.settings import DataConfig


class CacheReader:
    """Reads `frames` frames' worth of latents. Shards are mapped, so the system keeps them in
    memory as far as there is room. `ValueError` for a shard that cannot be read.
    """

    def __init__(
        self, root: Path, preset: Preset, frames: int, config: DataConfig, seed: int
    ) -> None:
        self.root, self.preset = root, preset
        self.latents = latent_count(frames)
        self.config, self.seed = config, seed
        self.window = whole_window(preset, frames)
        self._recent = RecentFrames(config.keep_gib * 2**30)
        self._shards: dict[str, Any] = {}
        for path in sorted(root.glob(SHARDS)):
            try:
                shard = safe_open(path, framework="pt")
            except (SafetensorError, OSError) as error:
                raise ValueError(f"{path} cannot be read ({error}); encode it again") from error
            self._shards.update(dict.fromkeys(shard.keys(), shard))

    def holds(self, clip: Clip) -> str | None:
        """Why a clip of the manifest cannot be used; None when it can."""
        name = f"{clip.id}/latents"
        if name not in self._shards or text_name(clip.id, len(clip.wordings)) not in self._shards:
            return "it is in no shard"
        have = self._shards[name].get_slice(name).get_shape()
        rows, columns = self.preset.latent_size
        if have[1:] != [self.preset.dit.channels, rows, columns]:
            return f"its latents are {have}, the preset's {rows}x{columns}"
        if have[0] < self.latents:
            return f"it has {have[0]} latents, a sample takes {self.latents}"
        return None

    def read(self, clip: Clip, draw: int, *, control: bool, fine: bool = True) -> Sample:
        """`ValueError` or `OSError` when a video cannot be read. Latents are always read."""
        shard = self._shards[f"{clip.id}/latents"]
        latents = unpacked_latents(shard, clip.id, self.latents)
        wording = clip.wording(self.seed, draw)
        text = unpacked_text(shard, clip.id, self.preset.text.length, wording)
        caption, steering = clip.captions[wording], self._control(clip, draw) if control else None
        return Sample(
            draw, clip.id, clip.role, caption, latents=latents, text=text, control=steering
        )

    def _cut(self, path: Path) -> Frames:
        return self._recent.get(path, self.window.cut)

    def _control(self, clip: Clip, draw: int) -> Tensor:
        pixels, plain = control_frames(
            clip, self.root, lambda: self._cut(self.root / clip.video), self._cut
        )
        if plain:
            drawn = draw_jitter(self.config.jitter, plain_random(self.seed, draw, "jitter"))
            pixels = jittered(pixels, drawn)
        return torch.from_numpy(np.ascontiguousarray(pixels))
