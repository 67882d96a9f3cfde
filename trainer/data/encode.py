"""`c2r data encode`: a set as a cache of latents and text, in shards small enough to copy.

The cache says which VAE and text encoder made it, and training with others is refused. It holds
videos only where training looks at pixels: coarse twins, and the clips that have none; `--videos
all` keeps every clip's. A row is a whole clip, or with `--windows N` there are N rows a clip, of
windows drawn as training on videos draws them. A run that was stopped goes on when the same command
is given again.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.progress import track
from safetensors.torch import save
from torch import Tensor

from c2r.clips import VideoWriter
from c2r.command_line import ArgumentParser, refuse
from c2r.models.configs import Preset, latent_count
from c2r.models.presets import PRESETS
from c2r.models.text import TextEncoder
from c2r.models.tiny_vae import TinyVAE
from c2r.models.vae import WanVAE
from trainer.data.cache_reader import CACHE_FILE, MANIFEST_FILE
from trainer.data.cache_rows import Piece, Windows, pieces_of
from trainer.data.manifest import MOST_ERRORS, Clip, sift_manifest, write_manifest
from trainer.data.manifest_checks import file_faults
from trainer.data.packing import packed
from trainer.data.probe import file_hash
from trainer.networks.encoders import cache_fields
from trainer.networks.start import Start, encoder_hash, weights_hash
from trainer.settings import TrainConfig, settings_from

VIDEOS = ("control", "all")
BEGUN_FILE = "begun.json"
"""What an unfinished cache is made with; it becomes `cache.json` when all is there."""


def parser() -> ArgumentParser:
    """The options of the command."""
    options = ArgumentParser(
        "c2r data encode",
        __doc__,
    )
    options.add_argument("set", type=Path, help="folder of a set, or its manifest.jsonl")
    options.add_argument("--out", type=Path, required=True, help="folder of the cache")
    options.add_argument("--weights", type=Path, help="renderer whose VAE and text encoder to use")
    options.add_argument("--preset", choices=sorted(PRESETS), help="without --weights (tiny)")
    options.add_argument("--vae", help="weights of the VAE, in place of the renderer's")
    options.add_argument("--text", help="weights of the text encoder, in place of the renderer's")
    options.add_argument("--latents", choices=("int8", "float16"), default="int8", help="(int8)")
    options.add_argument("--videos", choices=VIDEOS, default="control", help="(control)")
    options.add_argument("--crf", type=int, default=18, help="quality of the videos, 0 to 51 (18)")
    options.add_argument("--shard-mb", type=float, default=8.0, help="most megabytes a shard (8)")
    options.add_argument(
        "--windows", type=int, default=0, help="rows a clip of training; 0: whole (0)"
    )
    options.add_argument("--frames", type=int, default=33, help="frames of a window (33)")
    options.add_argument("--zoom", type=float, default=1.25, help="most scale of a window (1.25)")
    options.add_argument("--seed", type=int, default=0, help="of the windows (0)")
    options.add_argument("--device", default="cpu", help="where the networks run (cpu)")
    return options


def main(arguments: Sequence[str]) -> int:
    """Run the command: 0 when every clip is in the cache, 1 when some were left out."""
    chosen, console = parser().parse_args(arguments), Console()
    if not chosen.windows:
        unused = "it belongs to the windows of training clips; give --windows"
        refuse(chosen, ["frames", "zoom", "seed"], unused)
    if not 0 <= chosen.crf <= 51:
        raise ValueError(f"--crf is {chosen.crf}; x264 takes 0 (lossless) to 51")
    if not chosen.shard_mb > 0:
        raise ValueError(f"--shard-mb is {chosen.shard_mb}; give a positive number of megabytes")
    manifest = chosen.set / MANIFEST_FILE if chosen.set.is_dir() else chosen.set
    found = sift_manifest(manifest, check="files")
    skipped = list(found.skipped)
    if not found.clips:
        more = "".join(f"\n  {reason}" for reason in skipped[:MOST_ERRORS]) or " (it has no rows)"
        raise ValueError(f"{manifest} has no clip that can be encoded{more}")
    cache = Cache(_config(chosen), chosen, manifest.parent)
    written = cache.write(found.clips, skipped)
    for reason in skipped:
        console.print(f"left out: {reason}", style="yellow", markup=False)
    size = sum(file.stat().st_size for file in chosen.out.rglob("*") if file.is_file())
    console.print(f"{written} clips, {size / 1e6:.1f} MB -> {chosen.out}")
    return 1 if skipped else 0


def _config(chosen: argparse.Namespace) -> TrainConfig:
    """The networks as a training run would find them."""
    start = {"folder": chosen.weights, "vae": chosen.vae, "text": chosen.text}
    changes: dict[str, Any] = {
        "start": {name: str(value) for name, value in start.items() if value is not None}
    }
    if chosen.preset is not None:
        changes["model"] = {"name": chosen.preset}
    return settings_from(changes)


class Cache:
    """One cache being made: networks, settings and the folder."""

    def __init__(self, config: TrainConfig, chosen: argparse.Namespace, root: Path) -> None:
        self.device = _device(chosen.device)
        start = Start(config)
        text = start.text()
        if not isinstance(text, TextEncoder):
            raise ValueError(
                f"a {config.model.name} has no text encoder of its own: name its weights by "
                "--text or --weights"
            )
        self.preset, self.chosen, self.root, self.out = config.model, chosen, root, chosen.out
        self.windows = Windows(chosen.windows, chosen.frames, chosen.zoom, chosen.seed)
        vae = start.vae()
        self.fields = cache_fields(self.preset, encoder_hash(vae), weights_hash(text)) | {
            "latents": chosen.latents,
            "videos": chosen.videos,
            "crf": chosen.crf,
            "shard_mb": chosen.shard_mb,
        }
        if self.windows.count:
            self.fields["windows"] = asdict(self.windows)
        self._checked: dict[str, list[str]] = {}
        self.vae: TinyVAE | WanVAE = vae.to(self.device).eval()
        self.text = text.to(self.device)

    def write(self, clips: Sequence[Clip], skipped: list[str]) -> int:
        """Encode what is not there yet; appends to `skipped` and gives the number of rows."""
        pieces = pieces_of(clips, self.preset, self.windows, skipped)
        self._begin(pieces)
        shards = _shards(pieces, self.preset, self.chosen)
        kept: list[Clip] = []
        for number, members in enumerate(track(shards, "shards")):
            kept += self._shard(number, members, skipped)
        write_manifest(self.out / MANIFEST_FILE, kept)
        _write_json(self.out / CACHE_FILE, self.fields)
        return len(kept)

    def _begin(self, pieces: Sequence[Piece]) -> None:
        """Refuse a folder that another run began; remember what this one is."""
        self.out.mkdir(parents=True, exist_ok=True)
        begun = self.out / BEGUN_FILE
        wanted = self.fields | {"clips": [[piece.id, piece.clip.hash] for piece in pieces]}
        if begun.is_file():
            before = json.loads(begun.read_text(encoding="utf-8"))
            for name, value in wanted.items():
                if before.get(name) != value:
                    raise ValueError(
                        f"{self.out} holds a cache made otherwise ({name} differs); give another "
                        "--out, or remove the folder"
                    )
        else:
            _write_json(begun, wanted)

    def _shard(self, number: int, pieces: Sequence[Piece], skipped: list[str]) -> list[Clip]:
        """One shard and the videos of its clips; a clip that cannot be read is left out."""
        path = self.out / f"shard-{number:04d}.safetensors"
        rows = self.out / f".rows-{number:04d}.jsonl"
        if path.is_file() and rows.is_file():
            done = sift_manifest(rows, check="none").clips
            lost = [piece.id for piece in pieces if piece.id not in {row.id for row in done}]
            skipped += [f"clip {name}: could not be read when its shard was made" for name in lost]
            return list(done)
        tensors: dict[str, Tensor] = {}
        kept = []
        for piece in pieces:
            try:
                self._check(piece.clip)
                pictures = piece.window.cut(self.root / piece.clip.video)
                kept.append(self._with_videos(piece, pictures))
            except (ValueError, OSError) as error:
                skipped.append(f"clip {piece.id}: {error}")
                continue
            latents, text = self._latents(pictures), self._text(piece.clip)
            tensors |= packed(piece.id, latents, text, self._kind)
        partial = path.with_name(f".{path.name}.partial")
        partial.write_bytes(save(tensors))  # `save_file` would make it readable by its owner alone
        partial.replace(path)
        write_manifest(rows, kept)
        return kept

    @property
    def _kind(self) -> Any:
        return self.chosen.latents

    def _check(self, clip: Clip) -> None:
        """`ValueError` when its files are not what its row says; looked at once, when its turn has
        come: decoding all that is encoded already would take its time again.
        """
        if clip.id not in self._checked:
            self._checked[clip.id] = file_faults(self.root, clip, "frames")
        if self._checked[clip.id]:
            raise ValueError("; ".join(self._checked[clip.id]))

    @torch.no_grad()
    def _latents(self, pictures: np.ndarray) -> Tensor:
        frames = torch.from_numpy(pictures)[None].to(self.device).float() / 255
        return self.vae.encode(frames)[0].float().cpu()

    def _text(self, clip: Clip) -> Tensor:
        return self.text.encode([clip.caption])[0].float().cpu()

    def _with_videos(self, piece: Piece, pictures: np.ndarray) -> Clip:
        """The row of a piece, with the videos that the cache holds."""
        clip, row = piece.clip, replace(piece.clip, id=piece.id)
        if clip.control is not None:
            name = f"videos/{piece.id}-control.mp4"
            self._video(name, piece.window.cut(self.root / clip.control))
            row = replace(row, control=name, control_hash=file_hash(self.out / name))
        if clip.control is None or self.chosen.videos == "all":
            name = f"videos/{piece.id}.mp4"
            self._video(name, pictures)
            row = replace(row, video=name, hash=file_hash(self.out / name))
        return replace(
            row,
            fps=float(self.preset.fps),
            frames=len(pictures),
            width=self.preset.width,
            height=self.preset.height,
            geometry=None,
        )

    def _video(self, name: str, pictures: np.ndarray) -> None:
        path, fps = self.out / name, self.preset.fps
        with VideoWriter(path, fps, crf=self.chosen.crf, repeatable=True) as writer:
            for picture in pictures:
                writer.write(np.ascontiguousarray(picture.transpose(1, 2, 0)))


def _device(name: str) -> torch.device:
    """ValueError where there is no such device."""
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"--device {name} cannot be used here: {reason}") from error
    return device


def _shards(
    pieces: Sequence[Piece], preset: Preset, chosen: argparse.Namespace
) -> list[Sequence[Piece]]:
    """Runs of pieces whose latents and text fit a shard, by their largest size."""
    rows, columns = preset.latent_size
    each = 1 if chosen.latents == "int8" else 2
    shards: list[list[Piece]] = []
    room = 0.0
    for piece in pieces:
        latents = latent_count(piece.window.frames)
        bytes_ = latents * preset.dit.channels * rows * columns * each
        bytes_ += 2 * preset.text.length * preset.text.dim
        if not shards or bytes_ > room:
            shards.append([])
            room = chosen.shard_mb * 1e6
        shards[-1].append(piece)
        room -= bytes_
    return list(shards)


def _write_json(path: Path, value: object) -> None:
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
    partial.replace(path)
