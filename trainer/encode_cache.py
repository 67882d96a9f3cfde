"""`c2r data encode`: a set as a cache of latents and text, in shards small enough to copy.

The cache says which VAE and text encoder made it, and training with others is refused. It holds
videos only where training looks at pixels: coarse clips, and clips that have none; `--videos all`
keeps every clip's. A row is a whole clip, or with `--windows N` there are N rows per clip, of
windows drawn as training on videos draws them. Give the same command again to continue a run that
was stopped.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from torch import Tensor

from c2r.command_line import ArgumentParser, refuse
from c2r.models.configs import Preset
from c2r.models.presets import PRESETS
from c2r.models.text import TextEncoder
from trainer.data.cache_format import MANIFEST_FILE
from trainer.data.cache_rows import WindowOptions
from trainer.data.cache_writer import CacheOptions, CacheWriter, Encode
from trainer.data.jitter import Frames
from trainer.data.manifest import MOST_ERRORS, Clip, sift_manifest
from trainer.networks.encoders import cache_fields
from trainer.networks.start import Start, encoder_hash, weights_hash
from trainer.settings import TrainConfig, settings_from


def parser() -> ArgumentParser:
    """The options of the command."""
    options = ArgumentParser("c2r data encode", __doc__)
    add = options.add_argument
    add("set", type=Path, help="folder of a set, or its manifest.jsonl")
    add("--out", type=Path, required=True, help="folder of the cache")
    add("--weights", type=Path, help="renderer whose VAE and text encoder to use")
    add("--preset", choices=sorted(PRESETS), help="without --weights (tiny)")
    add("--vae", help="weights of the VAE, in place of the renderer's")
    add("--text", help="weights of the text encoder, in place of the renderer's")
    add("--latents", choices=("int8", "float16"), default="int8", help="(int8)")
    add("--videos", choices=("control", "all"), default="control", help="(control)")
    add("--crf", type=int, default=18, help="quality of the videos, 0 to 51 (18)")
    add("--shard-mb", type=float, default=8.0, help="most megabytes per shard (8)")
    add("--windows", type=int, default=0, help="rows per training clip; 0: whole clips (0)")
    add("--frames", type=int, default=33, help="frames of a window (33)")
    add("--zoom", type=float, default=1.25, help="most scale of a window (1.25)")
    add("--seed", type=int, default=0, help="of the windows (0)")
    add("--device", default="cpu", help="where the networks run (cpu)")
    return options


def main(arguments: Sequence[str]) -> int:
    """Run the command: 0 when every clip is in the cache, 1 when some were left out."""
    chosen, console = parser().parse_args(arguments), Console()
    if not chosen.windows:
        unused = "it belongs to the windows of training clips; give --windows"
        refuse(chosen, ["frames", "zoom", "seed"], unused)
    options = _options(chosen)
    manifest = chosen.set / MANIFEST_FILE if chosen.set.is_dir() else chosen.set
    clips, skipped = _clips(manifest)
    preset, fields, encode = _encoders(_config(chosen), _device(chosen.device))
    writer = CacheWriter(chosen.out, manifest.parent, preset, options, fields, encode)
    written = writer.write(clips, skipped)
    for reason in skipped:
        console.print(f"left out: {reason}", style="yellow", markup=False)
    size = sum(file.stat().st_size for file in chosen.out.rglob("*") if file.is_file())
    console.print(f"{written} clips, {size / 1e6:.1f} MB -> {chosen.out}")
    return 1 if skipped else 0


def _options(chosen: argparse.Namespace) -> CacheOptions:
    windows = WindowOptions(chosen.windows, chosen.frames, chosen.zoom, chosen.seed)
    return CacheOptions(chosen.latents, chosen.videos, chosen.crf, chosen.shard_mb, windows)


def _clips(manifest: Path) -> tuple[tuple[Clip, ...], list[str]]:
    """The good rows, and why the others are left out."""
    sifted = sift_manifest(manifest, check="files")
    skipped = list(sifted.skipped)
    if not sifted.clips:
        more = "".join(f"\n  {reason}" for reason in skipped[:MOST_ERRORS]) or " (it has no rows)"
        raise ValueError(f"{manifest} has no clip that can be encoded{more}")
    return sifted.clips, skipped


def _config(chosen: argparse.Namespace) -> TrainConfig:
    """The networks as a training run would find them."""
    start = {"folder": chosen.weights, "vae": chosen.vae, "text": chosen.text}
    changes: dict[str, Any] = {
        "start": {name: str(value) for name, value in start.items() if value is not None}
    }
    if chosen.preset is not None:
        changes["model"] = {"name": chosen.preset}
    return settings_from(TrainConfig, changes)


def _encoders(
    config: TrainConfig, device: torch.device
) -> tuple[Preset, dict[str, object], Encode]:
    """The preset, what `cache.json` says of the networks, and a clip's latents and text."""
    start = Start(config)
    vae, text = start.vae(), start.text()
    if not isinstance(text, TextEncoder):
        raise ValueError(
            f"a {config.model.name} has no text encoder of its own: name its weights by "
            "--text or --weights"
        )
    # Hashed in float32 on the CPU: the fields do not depend on where the encoding runs.
    fields = cache_fields(config.model, encoder_hash(vae), weights_hash(text))
    vae, text = vae.to(device).eval(), text.to(device)

    @torch.no_grad()
    def encode(frames: Frames, captions: Sequence[str]) -> tuple[Tensor, Tensor]:
        pixels = torch.from_numpy(frames)[None].to(device).float() / 255
        return vae.encode(pixels)[0].float().cpu(), text.encode(captions).float().cpu()

    return config.model, fields, encode


def _device(name: str) -> torch.device:
    """ValueError where there is no such device."""
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"--device {name} cannot be used here: {reason}") from error
    return device
