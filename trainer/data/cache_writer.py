"""Writes a cache of latents: shards, the videos that training needs, and the manifest.

It gets its encoder as a function and knows no networks. A run that was stopped continues: a shard
whose file and rows exist is not encoded again, and `cache.json`, without which no reader accepts
the folder, is written last.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from rich.progress import track
from safetensors.torch import save
from torch import Tensor

from c2r.clips import VideoWriter
from c2r.models.configs import Preset, latent_count
from trainer.data.cache_format import CACHE_FILE, MANIFEST_FILE, Kind, packed
from trainer.data.cache_rows import CacheRow, WindowOptions, cache_rows
from trainer.data.jitter import Frames
from trainer.data.manifest import Clip, sift_manifest, write_manifest
from trainer.data.manifest_checks import file_faults, file_hash

Encode = Callable[[Frames, Sequence[str]], tuple[Tensor, Tensor]]
"""Frames `[F, 3, H, W]` and N captions to latents `[T, C, h, w]` and texts `[N, S, D]`, on the CPU.
"""

BEGUN_FILE = "begun.json"
"""What an unfinished cache is made with, and of which rows. Shards are numbered by their place in
the list of rows: continuing with other clips or options would mix two caches in one folder."""


@dataclass(frozen=True)
class CacheOptions:
    """How a cache is written. `crf` is x264's quality of its videos."""

    latents: Kind
    videos: Literal["control", "all"]
    crf: int
    shard_mb: float
    windows: WindowOptions

    def __post_init__(self) -> None:
        if not 0 <= self.crf <= 51:
            raise ValueError(f"--crf is {self.crf}; x264 takes 0 (lossless) to 51")
        if not self.shard_mb > 0:
            raise ValueError(f"--shard-mb is {self.shard_mb}; give a positive number of megabytes")


class CacheWriter:
    """Writes one cache to `out` from the clips below `root`."""

    def __init__(
        self,
        out: Path,
        root: Path,
        preset: Preset,
        options: CacheOptions,
        networks: Mapping[str, object],
        encode: Encode,
    ) -> None:
        self.out, self.root, self.preset = out, root, preset
        self.options, self.encode = options, encode
        self.fields: dict[str, object] = dict(networks) | {
            "latents": options.latents,
            "videos": options.videos,
            "crf": options.crf,
            "shard_mb": options.shard_mb,
        }
        if options.windows.count:
            self.fields["windows"] = asdict(options.windows)
        self._faults: dict[str, list[str]] = {}

    def write(self, clips: Sequence[Clip], skipped: list[str]) -> int:
        """Encode what is not there yet; appends to `skipped` and gives the number of rows."""
        rows = cache_rows(clips, self.preset, self.options.windows, skipped)
        self._begin(rows)
        written: list[Clip] = []
        for number, members in enumerate(track(self._shards(rows), "shards")):
            written += self._shard(number, members, skipped)
        write_manifest(self.out / MANIFEST_FILE, written)
        _write_json(self.out / CACHE_FILE, self.fields)
        return len(written)

    def _begin(self, rows: Sequence[CacheRow]) -> None:
        """Refuse a folder that another run began; remember what this one is."""
        self.out.mkdir(parents=True, exist_ok=True)
        begun = self.out / BEGUN_FILE
        wanted = self.fields | {"clips": [[row.id, row.clip.hash] for row in rows]}
        if not begun.is_file():
            _write_json(begun, wanted)
            return
        before = json.loads(begun.read_text(encoding="utf-8"))
        for name, value in wanted.items():
            if before.get(name) != value:
                raise ValueError(
                    f"{self.out} holds a cache made otherwise ({name} differs); give another "
                    "--out, or remove the folder"
                )

    def _shards(self, rows: Sequence[CacheRow]) -> list[list[CacheRow]]:
        """Runs of rows whose latents and text fit a shard, by their largest size: the division
        must be known before anything is encoded, so that a continued run finds the same one.
        """
        height, width = self.preset.latent_size
        each = 1 if self.options.latents == "int8" else 2
        shards: list[list[CacheRow]] = []
        room = 0.0
        for row in rows:
            latents = latent_count(row.window.frames)
            size = latents * self.preset.dit.channels * height * width * each
            size += 2 * self.preset.text.length * self.preset.text.dim * len(row.clip.captions)
            if not shards or size > room:
                shards.append([])
                room = self.options.shard_mb * 1e6
            shards[-1].append(row)
            room -= size
        return shards

    def _shard(self, number: int, rows: Sequence[CacheRow], skipped: list[str]) -> list[Clip]:
        """One shard and the videos of its clips; a clip that cannot be read is left out."""
        path = self.out / f"shard-{number:04d}.safetensors"
        listed = self.out / f".rows-{number:04d}.jsonl"
        if path.is_file() and listed.is_file():
            done = sift_manifest(listed, check="none").clips
            lost = [row.id for row in rows if row.id not in {clip.id for clip in done}]
            skipped += [f"clip {name}: could not be read when its shard was made" for name in lost]
            return list(done)
        tensors: dict[str, Tensor] = {}
        written = []
        for row in rows:
            try:
                self._check(row.clip)
                frames = row.window.cut(self.root / row.clip.video)
                written.append(self._with_videos(row, frames))
            except (ValueError, OSError) as error:
                skipped.append(f"clip {row.id}: {error}")
                continue
            latents, texts = self.encode(frames, row.clip.captions)
            tensors |= packed(row.id, latents, list(texts), self.options.latents)
        partial = path.with_name(f".{path.name}.partial")
        partial.write_bytes(save(tensors))  # `save_file` would make it readable by its owner alone
        partial.replace(path)
        write_manifest(listed, written)  # after the shard: its rows say that it is complete
        return written

    def _check(self, clip: Clip) -> None:
        """`ValueError` when its files are not what its row says. Checked once, and only when its
        shard is encoded: decoding every clip of a continued run would take its time again.
        """
        if clip.id not in self._faults:
            self._faults[clip.id] = file_faults(self.root, clip, "frames")
        if self._faults[clip.id]:
            raise ValueError("; ".join(self._faults[clip.id]))

    def _with_videos(self, row: CacheRow, frames: Frames) -> Clip:
        """The manifest's row, with the videos that the cache holds."""
        clip, listed = row.clip, replace(row.clip, id=row.id)
        if clip.control is not None:
            name = f"videos/{row.id}-control.mp4"
            self._video(name, row.window.cut(self.root / clip.control))
            listed = replace(listed, control=name, control_hash=file_hash(self.out / name))
        if clip.control is None or self.options.videos == "all":
            name = f"videos/{row.id}.mp4"
            self._video(name, frames)
            listed = replace(listed, video=name, hash=file_hash(self.out / name))
        return replace(
            listed,
            fps=float(self.preset.fps),
            frames=len(frames),
            width=self.preset.width,
            height=self.preset.height,
            geometry=None,
        )

    def _video(self, name: str, frames: Frames) -> None:
        path, fps = self.out / name, self.preset.fps
        with VideoWriter(path, fps, crf=self.options.crf, repeatable=True) as writer:
            for frame in frames:
                writer.write(np.ascontiguousarray(frame.transpose(1, 2, 0)))


def _write_json(path: Path, value: object) -> None:
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
    partial.replace(path)
