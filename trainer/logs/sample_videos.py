"""Sample videos during training, and warnings of the CG-artefact monitor about them."""

from __future__ import annotations

import logging
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from trainer.data.batch import Batch, collate
from trainer.data.loader import UsableClips, open_clips
from trainer.dist.parallel import World
from trainer.logs.artefact_monitor import ArtefactMeasures, Monitor, measure_artefacts
from trainer.logs.run_log import Recorder
from trainer.settings import TrainConfig

log = logging.getLogger(__name__)

SAMPLE_DRAW = 1 << 40
"""Number of the first sample for show, far from those that training draws."""


class Sampled(Protocol):
    """What samples need of a phase."""

    needs_control: bool
    """Whether batches come with the control's pixels."""
    only_control: bool
    """Whether it learns from prompts and control alone, so that batches need no fine video."""

    def sample_frames(self, batch: Batch) -> Tensor:
        """Samples `[B, F, 3, H, W]` uint8 on the CPU for a batch's prompts and control; every
        process calls it with the same batch.
        """

    def decoded(self, batch: Batch) -> Tensor:
        """The clips of a batch as their latents show them, `[B, F, 3, H, W]` uint8, on the CPU."""


def _shown(config: TrainConfig) -> UsableClips:
    """Clips that samples are made for: held-out ones, or those of training where there are none."""
    try:
        return open_clips(config, "held_out")
    except ValueError as error:
        log.info("samples are made for training clips: %s", error)
        return open_clips(config, "train")


class SampleVideos:
    """Makes samples every `log.sample_every` steps, for the same clips and from the same noise.

    Every process takes part, since weights may be sharded; the first writes.
    """

    def __init__(self, config: TrainConfig, phase: Sampled, world: World) -> None:
        self.config, self.phase, self.world = config, phase, world
        self.every = config.log.sample_every
        self.batch: Batch | None = None
        self.monitor: Monitor | None = None
        if not self.every:
            return
        shown = _shown(config)
        # Pairs first: their control is a coarse render, which a phase with control is about.
        clips = sorted(shown.clips, key=lambda clip: (clip.role != "cg", clip.id))
        samples = [
            shown.reader.read(
                clip,
                SAMPLE_DRAW + place,
                control=phase.needs_control,
                fine=not phase.only_control,
            )
            for place, clip in enumerate(clips[: max(1, config.log.sample_clips)])
        ]
        self.batch = collate(samples)
        self.monitor = self._monitor()

    def _monitor(self) -> Monitor | None:
        """From real training clips as the VAE shows them, each guided by its own control."""
        opened = open_clips(self.config, "train")
        real = [clip for clip in opened.clips if clip.role == "real"]
        real = real[: self.config.log.monitor_clips]
        if len(real) < 2:
            log.info("the CG-artefact monitor is off: it needs two real clips or more")
            return None
        measured = []
        for place, clip in enumerate(real):
            sample = opened.reader.read(clip, SAMPLE_DRAW + place, control=self.phase.needs_control)
            batch = collate([sample])
            measured += _measured(self.phase.decoded(batch), batch)
        return Monitor(measured)

    def after_step(self, step: int, recorder: Recorder | None) -> None:
        """Make samples if it is time to; warn in words when they look like graphics."""
        if self.batch is None or step % self.every:
            return
        with self.world.autocast(self.config.precision):
            frames = self.phase.sample_frames(self.batch)
        if recorder is None:
            return
        for place, video in enumerate(frames):
            shown = video if self.batch.control is None else self._beside(video, place)
            rows = np.ascontiguousarray(shown.permute(0, 2, 3, 1).numpy())
            recorder.video(step, f"{place}", rows)
        if self.monitor is not None:
            self._watch(step, frames, recorder)

    def _beside(self, video: Tensor, place: int) -> Tensor:
        """Coarse, then the fine clip where its frames are at hand, then the sample."""
        assert self.batch is not None
        assert self.batch.control is not None
        before = [self.batch.control[place]]
        if self.batch.frames is not None:
            before.append(self.batch.frames[place])
        return torch.cat([*before, video], dim=-1)

    def _watch(self, step: int, frames: Tensor, recorder: Recorder) -> None:
        assert self.batch is not None
        assert self.monitor is not None
        measured = _measured(frames, self.batch)
        names = ArtefactMeasures.__dataclass_fields__
        means = {n: sum(getattr(one, n) for one in measured) / len(measured) for n in names}
        mean = ArtefactMeasures(**means)
        recorder.numbers(step - 1, {f"look/{n}": getattr(mean, n) for n in names})
        for sentence in self.monitor.advice(mean):
            log.warning("step %d: samples look like graphics: %s", step, sentence)


def _measured(frames: Tensor, batch: Batch) -> list[ArtefactMeasures]:
    """Each clip of `[B, F, 3, H, W]` uint8 measured, the guide its control where there is one."""
    guides = batch.control
    return [
        measure_artefacts(
            video.float() / 255, None if guides is None else guides[place].float() / 255
        )
        for place, video in enumerate(frames)
    ]
