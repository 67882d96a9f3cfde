"""Clips rendered by a renderer's folder, to be measured: one video a clip, resumable.

`offline` is the many-step sampler of a bidirectional model over the whole clip; `stream` is the
rollout of a causal one, chunk by chunk, as it is served.

F frames, H W pixel rows and columns.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from c2r.clips import VideoWriter
from c2r.models.build import Networks
from c2r.models.configs import FRAMES_PER_LATENT, Preset, latent_count
from c2r.models.control import ControlInput, ControlState, strength_tensor
from c2r.models.forward_pass import TextKV
from c2r.models.vae import VAEState
from c2r.streaming.guidance import GuidanceConfig
from c2r.streaming.noise import latent_noise
from c2r.streaming.rollout import Rollout
from c2r.streaming.sampler import Sampler, SamplerConfig
from trainer.data.manifest import Clip
from trainer.evaluate.score import Asked, expected_of
from trainer.evaluate.videos import Pictures, as_frames, read_video

HOW = "how.json"
FRAMES_AT_ONCE = 16
CRF = 10
"""x264's quality of the outputs: as of the clips themselves, so that codec noise is alike."""


@dataclass(frozen=True)
class Rendering:
    """How clips are rendered. `steps` and `guidance` are for `offline` only; with
    `control` off the model renders without any.
    """

    mode: Literal["offline", "stream"] = "offline"
    steps: int = 50
    guidance: GuidanceConfig = field(default_factory=GuidanceConfig)
    strength: float = 1.0
    control: bool = True
    seed: int = 0

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
    asked: Mapping[str, Asked] | None = None,
    on_clip: Callable[[int, int], None] = lambda done, of: None,
) -> None:
    """Write `<clip id>.mp4` of every clip into `into`; those that are there are kept.

    `weights` names the renderer, by a hash of what it is. `ValueError` when the folder holds
    renders made in another way.
    """
    how = _how(networks, weights, rendering, frames, asked)
    _claim(into, how)
    for done, clip in enumerate(clips):
        path = into / f"{clip.id}.mp4"
        if not path.is_file():
            check_fits(networks.preset, clip)
            assert clip.control is not None, "clips without a coarse twin are left out before"
            coarse = read_video(data / clip.control, expected_of(clip, frames))
            caption = (asked or {})[clip.id].caption if clip.id in (asked or {}) else clip.caption
            pictures = render(networks, coarse, caption, rendering)
            with VideoWriter(path, clip.fps, crf=CRF) as writer:
                for picture in pictures:
                    writer.write(picture)
        on_clip(done + 1, len(clips))


def _how(
    networks: Networks,
    weights: str,
    rendering: Rendering,
    frames: int | None,
    asked: Mapping[str, Asked] | None,
) -> dict[str, Any]:
    settings = asdict(rendering) | {"weights": weights, "frames": frames}
    settings["stream"] = asdict(networks.preset.stream)
    settings["dtype"] = str(networks.dit.dtype)
    settings["captions"] = {clip: row.caption for clip, row in (asked or {}).items()}
    return json.loads(json.dumps(settings))  # as it will be read back: lists, no tuples


def _claim(into: Path, how: dict[str, Any]) -> None:
    """Mark the folder as made in this way, or refuse it when it was made in another."""
    file = into / HOW
    if file.is_file():
        try:
            before = json.loads(file.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ValueError(f"{file} cannot be read ({error}); remove {into}") from error
        changed = sorted(key for key in {*before, *how} if before.get(key) != how.get(key))
        if changed:
            raise ValueError(
                f"{into} holds renders made in another way ({', '.join(changed)} differ); "
                "give another --out or name, or remove that folder"
            )
        return
    if into.is_dir() and any(into.glob("*.mp4")):
        raise ValueError(f"{into} holds videos but no {HOW}; give another --out or name")
    into.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(f".{HOW}.partial")
    partial.write_text(json.dumps(how, indent=1) + "\n", encoding="utf-8")
    partial.replace(file)


def check_fits(preset: Preset, clip: Clip) -> None:
    """ValueError unless the renderer's frame is the clip's."""
    if (preset.width, preset.height) != (clip.width, clip.height):
        raise ValueError(
            f"clip {clip.id} is {clip.width}x{clip.height}, the renderer makes {preset.width}x"
            f"{preset.height}; change it with --width and --height, or choose other clips"
        )


@torch.no_grad()
def render(networks: Networks, coarse: Pictures, prompt: str, rendering: Rendering) -> Pictures:
    """Pictures of a clip `[F, H, W, 3]`; what does not fill a latent or a chunk is padded with the
    last frame, and the padding cut off again.
    """
    text = text_of(networks, prompt)
    if rendering.mode == "stream":
        return _stream(networks, coarse, text, rendering)
    count = len(coarse)
    whole = -(-(count - 1) // FRAMES_PER_LATENT) * FRAMES_PER_LATENT + 1
    control, _ = _control(networks, _padded(coarse, whole), None, rendering)
    sampler = Sampler(networks.dit, text, text_of(networks, ""), control)
    shape = (networks.preset.dit.channels, *networks.preset.latent_size)
    noise = latent_noise([rendering.seed], 0, latent_count(whole), 0, shape)
    config = SamplerConfig(rendering.steps, networks.preset.stream.shift, rendering.guidance)
    clean = sampler.run(noise.to(networks.device), config)
    return _pictures(networks.vae.decode(clean))[:count]


def _stream(networks: Networks, coarse: Pictures, text: TextKV, rendering: Rendering) -> Pictures:
    preset, control_network = networks.preset, networks.control
    rollout = Rollout(
        networks.dit,
        preset.stream,
        preset.latent_size,
        control_layers=0 if control_network is None else len(control_network.blocks),
    )
    state = rollout.open([rendering.seed])
    carried: ControlState | None = None
    decoder: VAEState | None = None
    parts: list[Pictures] = []
    done = 0
    while done < len(coarse):
        wanted = preset.chunk_frames(first=done == 0)
        frames = _padded(coarse[done : done + wanted], wanted)
        control, carried = _control(networks, frames, carried, rendering)
        chunk = rollout.generate(state, text, control)
        decoded, decoder = networks.vae.decode_chunk(chunk.clean, decoder)
        parts.append(_pictures(decoded))
        rollout.finalize(state, chunk)
        done += wanted
    return np.concatenate(parts)[: len(coarse)]


def text_of(networks: Networks, prompt: str) -> TextKV:
    """Keys and values of a prompt for every layer."""
    embeddings = networks.text.encode([prompt]).to(networks.device)
    return networks.dit.text_kv(embeddings, networks.control)


def _padded(frames: Pictures, count: int) -> Pictures:
    return np.concatenate([frames, np.repeat(frames[-1:], count - len(frames), axis=0)])


def _control(
    networks: Networks, frames: Pictures, state: ControlState | None, rendering: Rendering
) -> tuple[ControlInput | None, ControlState | None]:
    if networks.control is None or not rendering.control:
        return None, None
    device = networks.device
    features = networks.dino(as_frames(frames)[None].to(device), batch=FRAMES_AT_ONCE)
    tokens, state = networks.control.tokens(features, state)
    scale = strength_tensor(rendering.strength, device)
    return ControlInput(networks.control, tokens, networks.preset.grid, scale), state


def _pictures(decoded: Tensor) -> Pictures:
    """`[1, F, 3, H, W]` in [0, 1] as 8-bit pictures `[F, H, W, 3]`."""
    pixels = (decoded[0].float() * 255).round().clamp(0, 255).to(torch.uint8)
    return pixels.permute(0, 2, 3, 1).contiguous().cpu().numpy()
