"""Exported engines compared with PyTorch: every stage on seeded inputs, then four chunks.

At the end of a build, and again for a folder that is there (`c2r export --verify`): on another
machine, with another driver.

Shapes: F frames of a chunk, n its latents, N tokens of a latent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from c2r.exported.libraries import ONNX, RTX
from c2r.exported.manifest import Manifest, read_manifest
from c2r.exported.names import seen_latents
from c2r.exported.open_engines import EngineOpener, capability_of, check_networks
from c2r.exported.stages import Stages, eager_stages, engine_stages
from c2r.exported.stream import rollout_of, stream_chunks, text_of
from c2r.models.build import Networks
from c2r.models.coarse_frames import dino_frames, guide_frames
from c2r.models.control import ControlInput, ControlState, strength_tensor
from c2r.models.pixels import as_bytes
from c2r.models.vae import VAEState
from c2r.streaming.rollout import StreamState
from export.folder import ExportFolder
from export.precision.calibrate import Calibration, rounded

CHUNKS = 4
SEED = 20
PROMPT = "a street at noon"


Say = Callable[[str], None]


@dataclass(frozen=True)
class Agreement:
    """How near two results are: the cosine between them, and |difference| / |expected|."""

    cosine: float
    relative_error: float


TOLERANCES = {
    "float32": Agreement(0.99999, 2e-3),
    "float16": Agreement(0.999, 5e-2),
    "bfloat16": Agreement(0.99, 0.15),
    "fp8": Agreement(0.99, 0.15),
}
"""What a build of that precision must reach, stage by stage and over the rollout. For FP8 PyTorch
rounds the same layers, but a value midway between two levels may be rounded up by one and down by
the other.
"""


def agreement(expected: Tensor, given: Tensor) -> Agreement:
    """Of two tensors of one shape. NaN and infinity agree with nothing."""
    a, b = expected.double().flatten(), given.double().flatten()
    if not bool(b.isfinite().all()):
        return Agreement(0.0, float("inf"))
    length = a.norm() * b.norm()
    cosine = float(a @ b / length) if length > 0 else float(torch.equal(a, b))
    return Agreement(cosine, float((a - b).norm() / a.norm().clamp_min(1e-12)))


def why_not_run(manifest: Manifest, device: torch.device) -> str | None:
    """Why the exported engines of `manifest` cannot run on `device`; None where they can."""
    if manifest.target == ONNX:
        return None
    if device.type != "cuda":
        return "no NVIDIA GPU here: built, not run"
    capability = capability_of(device)
    built = {entry.compute_capability for entry in manifest.engines}
    if manifest.target == RTX and capability not in built:
        return f"this GPU has compute capability {capability}, not built for"
    return None


def compare(networks: Networks, manifest: Manifest, folder: Path, say: Say) -> dict[str, Any]:
    """The comparison with PyTorch, or why it was not made; `ValueError` where they disagree."""
    device = networks.device
    reason = why_not_run(manifest, device)
    if reason is not None:
        say(f"not compared with PyTorch: {reason}")
        return {"not_run": reason}
    say("comparing with PyTorch")
    stages = engine_stages(networks, EngineOpener(manifest, folder, device))
    if not manifest.quantized:
        return dict(verify(networks, stages, manifest.precision))
    # PyTorch rounds the layers that are built in FP8: what differs is then the exported engine's
    # fault, not the rounding's, which calibration reports on its own.
    with rounded(networks, Calibration.from_manifest(manifest.calibration)):
        return dict(verify(networks, stages, manifest.quantized))


def verify_folder(networks: Networks, path: Path, say: Say) -> Manifest:
    """Compare a whole folder with PyTorch again, and leave the result in its manifest.

    `ValueError`, and the manifest left as it was, when the folder does not fit the networks or the
    libraries here (it names the field), cannot run on this machine, or disagrees.
    """
    manifest = read_manifest(path)
    check_networks(manifest, networks)
    reason = why_not_run(manifest, networks.device)
    if reason is not None:
        raise ValueError(f"{path} cannot be verified here: {reason}")
    manifest = replace(manifest, verified=compare(networks, manifest, path, say))
    folder = ExportFolder(path)
    with folder.building() as staging:
        folder.close(manifest, staging)
    return manifest


@torch.no_grad()
def verify(networks: Networks, exported: Stages, precision: str) -> dict[str, dict[str, float]]:
    """Agreement by stage and of the rollout; `ValueError` names what is over its tolerance."""
    eager = eager_stages(networks)
    agreements = dict(_stages(networks, eager, exported))
    agreements["rollout"] = agreement(_rollout(networks, eager), _rollout(networks, exported))
    allowed = TOLERANCES[precision]
    over = [
        f"{name} (cosine {one.cosine:.6f}, relative error {one.relative_error:.2g})"
        for name, one in agreements.items()
        if not (one.cosine >= allowed.cosine and one.relative_error <= allowed.relative_error)
    ]
    if over:
        raise ValueError(
            f"the exported engines do not agree with PyTorch in {', '.join(over)}; {precision} "
            f"allows a cosine of {allowed.cosine} and a relative error of "
            f"{allowed.relative_error}: build again, or in another --precision"
        )
    return {name: asdict(one) for name, one in agreements.items()}


def _stages(networks: Networks, eager: Stages, exported: Stages) -> Iterator[tuple[str, Agreement]]:
    """Each stage alone, on the same input for both."""
    preset, device = networks.preset, networks.device
    random = torch.Generator().manual_seed(SEED)
    state: ControlState | None = None
    for first in (True, False):
        if eager.dino is None or exported.dino is None:
            break
        assert eager.control is not None
        assert exported.control is not None
        label = "first" if first else "later"
        frames = dino_frames(_frames(networks, first, random), preset)
        tokens = eager.dino(frames)
        yield f"dino {label}", agreement(tokens, exported.dino(frames))
        control, following = eager.control(tokens, state)
        yield f"control {label}", agreement(control, exported.control(tokens, state)[0])
        state = following
    for level in seen_latents(preset.stream):
        yield f"denoise {level}", _denoise(networks, eager, exported, level, random)
    past: VAEState | None = None
    for label in ("first", "later"):
        shape = 1, preset.stream.chunk, preset.dit.channels, *preset.latent_size
        latents = torch.randn(shape, generator=random).to(device)
        coarse = _frames(networks, past is None, random)
        guide, strength = guide_frames(coarse, preset), strength_tensor(0.7, device)
        frames, following_vae = eager.vae(latents, past, guide, strength)
        given = exported.vae(latents, past, guide, strength)[0]
        yield f"vae {label}", agreement(frames, given)
        past = following_vae


def _frames(networks: Networks, first: bool, random: torch.Generator) -> Tensor:
    """A chunk of frames `[1, F, 3, H, W]` uint8: large soft blocks, so that DINO sees something."""
    preset = networks.preset
    count = preset.chunk_frames(first)
    coarse = torch.rand(count, 3, *preset.grid, generator=random)
    size = preset.output_size[::-1]
    frames = torch.nn.functional.interpolate(coarse, size, mode="bilinear")
    device = networks.device
    return as_bytes(frames[None]).to(device)


def _filled(networks: Networks, stages: Stages, latents: int) -> StreamState:
    """A stream whose cache holds `latents` seeded latents."""
    state, random = rollout_of(networks, stages).open([SEED]), torch.Generator().manual_seed(SEED)
    for slots in (state.cache.keys, state.cache.values):
        held = slots[:, :, : latents * state.cache.spec.tokens]
        for layer in held:
            layer.copy_(torch.randn(layer.shape, generator=random))
    state.cache.length = latents
    return state


def _denoise(
    networks: Networks, eager: Stages, exported: Stages, level: int, random: torch.Generator
) -> Agreement:
    """Velocity, and the keys and values that were written, together."""
    preset, device = networks.preset, networks.device
    shape = 1, preset.stream.chunk, preset.dit.channels, *preset.latent_size
    x = torch.randn(shape, generator=random).to(device)
    timestep = torch.full((1,), 700.0, device=device)
    control = None
    if networks.control is not None:
        wide = 1, preset.stream.chunk, preset.tokens_per_latent, preset.dit.dim
        tokens = torch.randn(wide, generator=random).to(device, networks.dit.dtype)
        strength = strength_tensor(1.0, device)
        control = ControlInput(networks.control, tokens, preset.grid, strength)
    text, results = text_of(networks, PROMPT), []
    for stages in (eager, exported):
        cache = _filled(networks, stages, level - preset.stream.chunk).cache
        velocity = stages.denoise(x, timestep, text, control=control, cache=cache)
        tensors = velocity, cache.keys, cache.values
        results.append([tensor.flatten().clone() for tensor in tensors])
    each = [agreement(expected, given) for expected, given in zip(*results, strict=True)]
    return Agreement(min(a.cosine for a in each), max(a.relative_error for a in each))


def _rollout(networks: Networks, stages: Stages) -> Tensor:
    """Frames of four chunks of one stream, from coarse frames to the decoder."""
    random = torch.Generator().manual_seed(SEED)
    chunks = (_frames(networks, index == 0, random) for index in range(CHUNKS))
    streamed = stream_chunks(networks, stages, chunks, text_of(networks, PROMPT), seed=SEED)
    return torch.cat([chunk.frames for chunk in streamed], dim=1)
