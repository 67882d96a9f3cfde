"""A student's own streamed latents of whole clips, kept on disk: what its decoder will be given.

Each clip is streamed once, by the code that serves, with its caption and its coarse frames. The
folder is named after the student's weights and stream, so another student never gets these.

Shapes: F pixel frames, T latents, C channels, h w latent rows and columns, H W frame rows and
columns.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from c2r.models.build import PromptEncoder, prepare_inference
from c2r.models.configs import latent_count
from c2r.models.dino import DinoEncoder
from trainer.data.manifest import Clip
from trainer.dist.parallel import World
from trainer.distill.rollout_plan import RolloutPlan
from trainer.distill.student import CausalDenoiser
from trainer.networks.assemble import frozen_denoiser
from trainer.networks.encoders import FRAMES_AT_ONCE
from trainer.networks.start import Start, weights_hash

log = logging.getLogger(__name__)

SEED = 0
"""Of every stream."""
LATENTS = "latents"


@dataclass(frozen=True)
class _Student:
    denoiser: CausalDenoiser
    dino: DinoEncoder
    text: PromptEncoder


class StreamedLatents:
    """Latents by clip, from `folder` or, the first time, from the student that `start` loads.

    The student is in memory only once a clip is missing.
    """

    def __init__(self, start: Start, world: World, folder: Path) -> None:
        self.start, self.world = start, world
        self.folder = folder / student_key(start)

    def path(self, clip: Clip) -> Path:
        """Where a clip's latents are; another render of the same clip has another place."""
        name = "".join(c if c.isalnum() or c in "-_" else "_" for c in clip.id)
        return self.folder / f"{name}-{(clip.control_hash or clip.hash)[:16]}.safetensors"

    @torch.no_grad()
    def of(self, clip: Clip, coarse: Callable[[], Tensor]) -> Tensor:
        """The clip's latents `[T, C, h, w]` float32 on the CPU.

        `coarse`: gives all its coarse frames `[F, 3, H, W]`, F = 4n + 1, as DINO gets them when
        serving.
        """
        path = self.path(clip)
        if not path.is_file():
            latents = self._streamed(coarse(), clip.caption)
            path.parent.mkdir(parents=True, exist_ok=True)
            partial = path.with_name(f".{path.name}.partial")
            save_file({LATENTS: latents.half().cpu().contiguous()}, partial)
            partial.replace(path)
        return load_file(path)[LATENTS].float()

    def _streamed(self, coarse: Tensor, caption: str) -> Tensor:
        """One stream, `[T, C, h, w]`."""
        student, device = self._student, self.world.device
        features = student.dino(coarse[None].to(device), batch=FRAMES_AT_ONCE)
        return student.denoiser.roll(
            self.start.preset,
            RolloutPlan(latent_count(len(coarse)), range(0)),
            [SEED],
            student.text.encode([caption]).to(device).float(),
            features=features,
            strength=torch.ones(1, device=device),
        )[0]

    @cached_property
    def _student(self) -> _Student:
        config, device = self.start.config, self.world.device
        dtype = torch.bfloat16 if config.precision == "bf16" else torch.float32
        log.info("the student streams its clips into %s", self.folder)
        return _Student(
            frozen_denoiser(config, self.world, self.start, CausalDenoiser),
            prepare_inference(self.start.dino(), dtype, device),
            self.start.text().to(device),
        )


def student_key(start: Start) -> str:
    """Names a student: its weights, how it streams and at which size."""
    dit = start.dit()
    parts = [weights_hash(part) for part in (dit, start.control(dit), start.dino(), start.text())]
    preset = start.preset
    how = [asdict(preset.stream), asdict(preset.control), preset.width, preset.height, SEED]
    words = json.dumps([parts, how], sort_keys=True)
    return hashlib.sha256(words.encode()).hexdigest()[:16]
