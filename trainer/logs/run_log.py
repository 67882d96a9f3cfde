"""What a run writes down: `metrics.jsonl`, TensorBoard, Weights & Biases, sample videos.

One process writes. The lines of `metrics.jsonl` are the record; those of steps that a resumed run
does again are cut from it first.
"""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Mapping
from dataclasses import asdict
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from c2r.clips import VideoWriter
from trainer.settings import TrainConfig

log = logging.getLogger(__name__)

METRICS = "metrics.jsonl"
RUN_ID = "wandb-id.txt"
Video = NDArray[np.uint8]
"""`[F, H, W, 3]`."""


def kept_lines(path: Path, step: int) -> list[str]:
    """The whole lines of steps before `step`; a line cut short by a crash is left out."""
    if not path.is_file():
        return []
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            if json.loads(line)["step"] < step:
                kept.append(line)
        except json.JSONDecodeError:
            break  # the last line of a run that was killed in the middle of it
    return kept


def gif(video: Video, fps: int) -> bytes:
    """A video as an animated GIF, which TensorBoard shows."""
    frames = [Pillow.fromarray(frame) for frame in video]
    file = io.BytesIO()
    frames[0].save(
        file, "GIF", save_all=True, append_images=frames[1:], duration=1000 // fps, loop=0
    )
    return file.getvalue()


class Recorder:
    """Writes a run's numbers and videos into its folder; close it. `start`: the first step."""

    def __init__(self, config: TrainConfig, start: int) -> None:
        self.folder, self.fps = config.folder, config.model.fps
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / METRICS
        lines = kept_lines(path, start)
        partial = path.with_name(f".{path.name}.partial")
        partial.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        partial.replace(path)
        self._file = path.open("a", encoding="utf-8")
        self._board: Any = None
        if config.log.tensorboard:
            module = import_module("torch.utils.tensorboard")
            self._board = module.SummaryWriter(str(self.folder / "tensorboard"), purge_step=start)
        self._wandb: Any = None
        if config.log.wandb is not None and find_spec("wandb") is None:
            log.warning("log.wandb is set, but wandb is not installed: no charts are sent there")
        elif config.log.wandb is not None:
            self._wandb = import_module("wandb").init(
                project=config.log.wandb,
                dir=str(self.folder),
                id=self._run_id(),
                resume="allow",
                config=asdict(config),
            )

    def _run_id(self) -> str:
        """The same for a resumed run, which continues the same charts."""
        path = self.folder / RUN_ID
        if not path.is_file():
            path.write_text(uuid4().hex[:8], encoding="utf-8")
        return path.read_text(encoding="utf-8").strip()

    def numbers(self, step: int, values: Mapping[str, float]) -> None:
        """One line per step, flushed at once: a run that is killed keeps its record."""
        self._file.write(json.dumps({"step": step, **values}) + "\n")
        self._file.flush()
        if self._board is not None:
            for name, value in values.items():
                self._board.add_scalar(name, value, step)
        if self._wandb is not None:
            self._wandb.log(dict(values), step=step)

    def video(self, step: int, name: str, video: Video) -> None:
        """A sample after `step` steps, as a file and where the numbers go."""
        path = self.folder / "samples" / f"{step:08}-{name}.mp4"
        with VideoWriter(path, self.fps) as writer:
            for frame in video:
                writer.write(frame)
        if self._board is not None:
            summary = import_module("tensorboard.compat.proto.summary_pb2").Summary
            image = summary.Image(
                height=video.shape[1],
                width=video.shape[2],
                colorspace=3,
                encoded_image_string=gif(video, self.fps),
            )
            value = summary.Value(tag=f"samples/{name}", image=image)
            self._board._get_file_writer().add_summary(summary(value=[value]), step)
        if self._wandb is not None:
            shown = import_module("wandb").Video(str(path), format="mp4")
            # With the numbers of the last step: its charts take no step twice or backwards.
            self._wandb.log({f"samples/{name}": shown}, step=step - 1)

    def close(self) -> None:
        self._file.close()
        if self._board is not None:
            self._board.close()
        if self._wandb is not None:
            self._wandb.finish()
