"""The training loop: batches, updates, records, samples, checkpoints. It knows no particular phase.

A step is one update of the part whose turn it is, from `batch` samples spread over processes and
micro-batches. What a run does next follows from its step alone, so a resumed run goes on as it
would have.
"""

from __future__ import annotations

import logging
import math
import resource
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from c2r.config import read_yaml, save_config
from trainer.checkpoint import Checkpoints, Progress
from trainer.data.batch import Batch
from trainer.data.loader import Prefetcher, SampleLoader, open_clips
from trainer.data.sampler import ClipSampler
from trainer.data.scene_reader import SceneReader, SceneSampler
from trainer.dist.parallel import World
from trainer.logs.loss_meter import LossMeter
from trainer.logs.run_log import Recorder
from trainer.logs.sample_videos import SampleVideos
from trainer.optim import Optimiser
from trainer.pace import Pace, StopSignals
from trainer.phases.phase import Phase
from trainer.settings import TrainConfig

log = logging.getLogger(__name__)

CONFIG_FILE = "config.yaml"


class NotFiniteError(ValueError):
    """A loss or gradient was NaN or infinite; the batch is saved in the run's folder."""


class Loop:
    """Trains one phase to its last step, from the newest checkpoint of its folder if there is one.

    `dataset` must come with control when the phase needs it.
    """

    def __init__(
        self, config: TrainConfig, phase: Phase, world: World, dataset: SampleLoader[Any]
    ) -> None:
        self.config, self.phase, self.world, self.dataset = config, phase, world, dataset
        _check_folder(config)
        self.micro_batches = config.accumulate(world.layout.data_ranks)
        self.optimisers = {
            part: Optimiser(module, phase.optim(part)) for part, module in phase.parts.items()
        }
        self.checkpoints = Checkpoints(config.folder, config.checkpoint, world)
        self.step = self._resume()
        self.updates = self._turns(self.step)
        self.totals = self._turns(config.steps)

    def _resume(self) -> int:
        """The step of the newest checkpoint, now loaded; 0 without one."""
        progress = self.checkpoints.load(self.optimisers)
        if progress is None:
            return 0
        self.dataset.sampler.check(progress.sampler)
        log.info("resumed at step %d", progress.step)
        return progress.step

    def _turns(self, steps: int) -> dict[str, int]:
        """How many of the first `steps` steps are each part's: its number of updates.

        Counted, not kept: it cannot disagree with the step that a checkpoint holds.
        """
        turns = dict.fromkeys(self.optimisers, 0)
        for step in range(steps):
            turns[self.phase.turn(step)] += 1
        return turns

    def draws(self, micro: int) -> Sequence[int]:
        """The samples of this process's micro-batch number `micro`, counted from the first step.

        Sample numbers run over the whole batch, then over its micro-batches and data ranks. So a
        step has the same samples on any number of processes, and each sample the same random
        numbers.
        """
        step, inside = divmod(micro, self.micro_batches)
        size, ranks = self.config.micro_batch, self.world.layout.data_ranks
        first = step * self.config.batch + (inside * ranks + self.world.data_rank) * size
        return range(first, first + size)

    def run(self) -> None:
        """Train to the end and write the renderer; files and threads are closed in any case."""
        config = self.config
        recorder = Recorder(config, self.step) if self.world.first else None
        if self.world.first:
            save_config(config, config.folder / CONFIG_FILE)
        ahead = Prefetcher(
            self.dataset,
            self.draws,
            start=self.step * self.micro_batches,
            depth=config.data.prefetch,
            workers=config.data.workers,
        )
        try:
            with StopSignals() as stop:
                if self._train(ahead, recorder, stop):
                    self._finish()
        finally:
            ahead.close()
            if recorder is not None:
                recorder.close()

    def _train(self, ahead: Prefetcher, recorder: Recorder | None, stop: StopSignals) -> bool:
        """Step after step; False when a signal ended it before the last one."""
        config = self.config
        pace = Pace(config.checkpoint, self.world, self.step, config.steps)
        sample_videos = SampleVideos(config, self.phase, self.world)
        while self.step < config.steps:
            self._advance(ahead, recorder, pace)
            sample_videos.after_step(self.step, recorder)
            save, stopped = pace.after(self.step, stop)
            if self.step == config.steps:
                break
            if save:
                self._save()
            if stopped:
                self.checkpoints.settle()
                name = "another process" if stop.asked is None else stop.asked.name
                log.warning(
                    "stopped by %s after step %d of %d; the same command goes on from there",
                    name,
                    self.step,
                    config.steps,
                )
                return False
        return True

    def _advance(self, ahead: Prefetcher, recorder: Recorder | None, pace: Pace) -> None:
        begin = time.perf_counter()
        values = self.train_step(ahead)
        seconds = time.perf_counter() - begin
        if recorder is not None:
            recorder.numbers(self.step, values | self._throughput(seconds))
        self.step += 1
        if (self.step % self.config.log.every == 0 or self.step == pace.first + 1) and (
            self.world.first
        ):
            log.info(
                "step %d/%d: loss %.4f, %.2f s a step, %s",
                self.step,
                self.config.steps,
                values["loss"],
                seconds,
                pace.left(self.step),
            )
        self.checkpoints.poll()

    def train_step(self, ahead: Prefetcher) -> dict[str, float]:
        """One update; gives losses, gradient norm and learning rate."""
        part, meter = self.phase.turn(self.step), LossMeter()
        optimiser = self.optimisers[part]
        batches: list[Batch] = []
        for _ in range(self.micro_batches):
            batch = ahead.take()
            batches.append(batch)
            with self.world.autocast(self.config.precision):
                losses = self.phase.losses(batch, self.step)
            (losses.total / self.micro_batches).backward()
            meter.add(losses)
        # Both numbers are of all processes, so all stop together or none does; and before the
        # update, so that the weights are still good.
        norm = optimiser.clip()
        values = meter.means(self.world)
        if len(self.optimisers) > 1:
            values[f"loss/{part}"] = values["loss"]
        if not (math.isfinite(values["loss"]) and math.isfinite(norm)):
            raise self._stopped(batches, values["loss"], norm)
        rate = optimiser.update(self.updates[part], self.totals[part])
        self.updates[part] += 1
        return values | {"gradient_norm": norm, "learning_rate": rate}

    def _stopped(self, batches: list[Batch], loss: float, norm: float) -> NotFiniteError:
        """Save this process's batches; the weights are still those of the step before."""
        path = self.config.folder / f"not-finite-step-{self.step}-rank-{self.world.rank}.pt"
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save([vars(batch) for batch in batches], path)
        self.checkpoints.settle()
        return NotFiniteError(
            f"step {self.step}: the loss is {loss}, the gradient's norm {norm}; the batch is in "
            f"{path}, the weights of before in {self.checkpoints.folder}. Look at its clips; if "
            "they are sound, lower optim.lr or optim.clip"
        )

    def _throughput(self, seconds: float) -> dict[str, float]:
        config = self.config
        tokens = config.batch * config.latents * config.model.tokens_per_latent
        device = self.world.device
        if device.type == "cuda":
            memory = torch.cuda.max_memory_allocated(device)
        else:
            memory = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return {
            "seconds": seconds,
            "tokens_per_second": tokens / seconds,
            "samples_per_second": config.batch / seconds,
            "memory_gb": memory / 1e9,
            "skipped": float(self.dataset.skipped),
        }

    def _save(self) -> None:
        drawn = self.step * self.config.batch
        progress = Progress(self.step, self.dataset.sampler.state(drawn))
        self.checkpoints.save(progress, self.optimisers)

    def _finish(self) -> None:
        """The last checkpoint, and what the phase leaves behind."""
        if self.step not in self.checkpoints.steps():
            self._save()
        self.checkpoints.settle()
        for part, optimiser in self.optimisers.items():
            weights = optimiser.whole_best()
            if self.world.first:
                self.phase.finished(part, weights)
        self.world.wait()
        if self.world.first:
            log.info("finished: %s", Path(self.config.folder).resolve())


def _check_folder(config: TrainConfig) -> None:
    """`ValueError` when the folder is that of another phase's run, whose steps it would go on."""
    file = config.folder / CONFIG_FILE
    before = read_yaml(file).get("phase", config.phase) if file.is_file() else config.phase
    if before != config.phase:
        raise ValueError(
            f"{config.folder} holds a run of phase {before}; give phase {config.phase} another "
            "--folder"
        )


def open_dataset(config: TrainConfig, phase: Phase) -> SampleLoader[Any]:
    """The training split, or scenes drawn on the fly, with what the phase needs."""
    if config.data.scenes is not None:
        assert phase.only_control, "settings refuse scenes to phases that need fine video"
        scenes = SceneSampler(config.data.scenes, config.seed)
        return SampleLoader(SceneReader(config), scenes, config.data, control=True, fine=False)
    opened, data = open_clips(config), config.data
    clips = ClipSampler(opened.clips, data.cg_ratio, config.batch, config.seed)
    fine = not phase.only_control
    return SampleLoader(opened.reader, clips, data, control=phase.needs_control, fine=fine)
