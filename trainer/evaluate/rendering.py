"""Rendering clips to measure: one video per clip, resumable.

`offline` is the many-step sampler of a bidirectional model over the whole clip; `stream` is the
rollout of a causal one, chunk by chunk, as it is served.

F frames, H W pixel rows and columns.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from c2r.clips import VideoWriter
from c2r.exported.stages import eager_stages
from c2r.exported.stream import stream_chunks, text_of
from c2r.models.build import Networks
from c2r.models.coarse_frames import dino_frames, guide_frames
from c2r.models.configs import FRAMES_PER_LATENT, Preset, latent_count
from c2r.models.control import ControlInput, strength_tensor
from c2r.models.forward_pass import TextKV
from c2r.models.pixels import eight_bit
from c2r.streaming.guidance import GuidanceConfig
from c2r.streaming.noise import latent_noise
from c2r.streaming.sampler import Sampler, SamplerConfig
from c2r.streaming.solvers import SolverName
from trainer.data.manifest import Clip
from trainer.evaluate.results import write_whole
from trainer.evaluate.score import ClipPrompt, expected_of
from trainer.evaluate.videos import Frames, as_tensor, read_video

HOW = "how.json"
FRAMES_AT_ONCE = 16
CRF = 10
"""x264's quality of the outputs, that of the clips: the same codec noise in all videos."""


@dataclass(frozen=True)
class Rendering:
    """How clips are rendered. `steps`, `guidance` and `solver` are for `offline` only."""

    mode: Literal["offline", "stream"] = "offline"
    steps: int = 50
    guidance: GuidanceConfig = field(default_factory=GuidanceConfig)
    strength: float = 1.0
    control: bool = True
    seed: int = 0
    solver: SolverName = "euler"

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ValueError(f"--steps {self.steps}: a sampler needs at least 1")


def render_clips(
    networks: Networks,
    weights: str,
    data: Path,
    clips: Sequence[Clip],
    into: Path,
    rendering: Rendering,
    *,
    frames: int | None = None,
    prompts: Mapping[str, ClipPrompt] | None = None,
    on_clip: Callable[[int, int], None] = lambda done, of: None,
) -> None:
    """Write `<clip id>.mp4` of every clip into `into`; existing ones are kept.

    `weights`: a hash of the renderer's. `ValueError` when the folder holds renders with other
    settings.
    """
    how = _how(networks, weights, rendering, frames, prompts)
    _claim(into, how)
    for done, clip in enumerate(clips):
        path = into / f"{clip.id}.mp4"
        if not path.is_file():
            size = coarse_size(networks.preset, clip)
            assert clip.control is not None, (
                "clips without a coarse counterpart are left out before"
            )
            coarse = read_video(data / clip.control, expected_of(clip, frames))
            prompt = (prompts or {}).get(clip.id)
            caption = clip.caption if prompt is None else prompt.caption
            with VideoWriter(path, clip.fps, crf=CRF) as writer:
                shown = render(networks, resized(coarse, *size), caption, rendering)
                for frame in resized(shown, clip.width, clip.height):
                    writer.write(frame)
        on_clip(done + 1, len(clips))


def _how(
    networks: Networks,
    weights: str,
    rendering: Rendering,
    frames: int | None,
    prompts: Mapping[str, ClipPrompt] | None,
) -> dict[str, Any]:
    settings = asdict(rendering) | {"weights": weights, "frames": frames}
    settings["stream"] = asdict(networks.preset.stream)
    settings["dtype"] = str(networks.dit.dtype)
    settings["captions"] = {clip: row.caption for clip, row in (prompts or {}).items()}
    return json.loads(json.dumps(settings))  # as it will be read back: lists, no tuples


def _claim(into: Path, how: dict[str, Any]) -> None:
    """Note in the folder how its videos are rendered; `ValueError` when they were otherwise.

    Without the note, a second run with other settings would keep the old videos and report them
    under its own name.
    """
    file = into / HOW
    if file.is_file():
        try:
            before = json.loads(file.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ValueError(f"{file} cannot be read ({error}); remove {into}") from error
        changed = sorted(key for key in {*before, *how} if before.get(key) != how.get(key))
        if changed:
            raise ValueError(
                f"{into} holds renders with other settings ({', '.join(changed)} differ); "
                "give another --out or name, or remove that folder"
            )
        return
    if into.is_dir() and any(into.glob("*.mp4")):
        raise ValueError(f"{into} holds videos but no {HOW}; give another --out or name")
    write_whole(file, json.dumps(how, indent=1) + "\n")


def coarse_size(preset: Preset, clip: Clip) -> tuple[int, int]:
    """Width and height of the coarse frames that the renderer is given of a clip.

    Those of the DiT's size pass as they are, to a guided renderer too, whose frames are then
    averaged down to it.
    """
    if (clip.width, clip.height) == (preset.width, preset.height):
        return preset.width, preset.height
    scale = scale_to(preset, clip)
    return clip.width // scale, clip.height // scale


def scale_to(preset: Preset, clip: Clip) -> int:
    """How many times larger the clip is than what the renderer makes; `ValueError` unless whole.

    A smaller renderer gets the clip's coarse frames scaled down, and its frames are scaled up: what
    a game would do with it on the same screen.
    """
    width, height = preset.output_size
    scale = clip.width // width
    if scale < 1 or (clip.width, clip.height) != (scale * width, scale * height):
        raise ValueError(
            f"clip {clip.id} is {clip.width}x{clip.height}, the renderer makes {width}x{height}; "
            "choose clips of its size or of a multiple of it"
        )
    return scale


def resized(frames: Frames, width: int, height: int) -> Frames:
    """Frames `[F, H, W, 3]` at another size: averaged down, bicubic up, or as they are."""
    if frames.shape[1:3] == (height, width):
        return frames
    down = height < frames.shape[1]
    pixels = as_tensor(frames).float()
    pixels = F.interpolate(
        pixels, (height, width), mode="area" if down else "bicubic", antialias=False
    )
    return _eight_bit(pixels[None] / 255)


@torch.no_grad()
def render(networks: Networks, coarse: Frames, prompt: str, rendering: Rendering) -> Frames:
    """Rendered frames of a coarse clip, both `[F, H, W, 3]`.

    What does not fill a latent or a chunk is padded with the last frame; the padding is cut off.
    """
    text = text_of(networks, prompt)
    if rendering.mode == "stream":
        return _stream(networks, coarse, text, rendering)
    count = len(coarse)
    whole = -(-(count - 1) // FRAMES_PER_LATENT) * FRAMES_PER_LATENT + 1
    pixels = as_tensor(_padded(coarse, whole))[None].to(networks.device)
    control = _control(networks, pixels, rendering)
    negative = text_of(networks, networks.preset.negative_prompt)
    sampler = Sampler(networks.dit, text, negative, control)
    shape = (networks.preset.dit.channels, *networks.preset.latent_size)
    noise = latent_noise([rendering.seed], 0, latent_count(whole), 0, shape)
    shift = networks.preset.stream.shift
    config = SamplerConfig(rendering.steps, shift, rendering.guidance, rendering.solver)
    clean = sampler.run(noise.to(networks.device), config)
    guide = guide_frames(pixels, networks.preset)
    return _eight_bit(networks.vae.decode(clean, guide, _strength(rendering)))[:count]


def _stream(networks: Networks, coarse: Frames, text: TextKV, rendering: Rendering) -> Frames:
    stages = eager_stages(networks)
    if not rendering.control:
        stages = replace(stages, dino=None, control=None)
    chunks = stream_chunks(
        networks,
        stages,
        _chunks(networks, coarse),
        text,
        seed=rendering.seed,
        strength=_strength(rendering),
    )
    return np.concatenate([_eight_bit(chunk.frames) for chunk in chunks])[: len(coarse)]


def _chunks(networks: Networks, coarse: Frames) -> Iterator[Tensor]:
    """A clip as whole chunks `[1, F, 3, H, W]`, on the networks' device."""
    done = 0
    while done < len(coarse):
        wanted = networks.preset.chunk_frames(first=done == 0)
        frames = _padded(coarse[done : done + wanted], wanted)
        yield as_tensor(frames)[None].to(networks.device)
        done += wanted


def _padded(frames: Frames, count: int) -> Frames:
    return np.concatenate([frames, np.repeat(frames[-1:], count - len(frames), axis=0)])


def _strength(rendering: Rendering) -> float:
    """Of control and of the decoder's guide; without control both are off."""
    return rendering.strength if rendering.control else 0.0


def _control(networks: Networks, frames: Tensor, rendering: Rendering) -> ControlInput | None:
    """The control of a clip `[1, F, 3, H, W]`; None where the renderer has none or it is off."""
    if networks.control is None or not rendering.control:
        return None
    features = networks.dino(dino_frames(frames, networks.preset), batch=FRAMES_AT_ONCE)
    tokens, _ = networks.control.tokens(features, None)
    scale = strength_tensor(rendering.strength, networks.device)
    return ControlInput(networks.control, tokens, networks.preset.grid, scale)


def _eight_bit(decoded: Tensor) -> Frames:
    """`[1, F, 3, H, W]` in [0, 1] as 8-bit frames `[F, H, W, 3]`."""
    return eight_bit(decoded).cpu().numpy()
