"""The paper's offline rendering of a whole clip: bidirectional, many steps, guided (APG)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from c2r.models.coarse_frames import dino_frames, guide_frames
from c2r.models.configs import FRAMES_PER_LATENT, latent_count
from c2r.models.control import ControlInput, strength_tensor
from c2r.streaming.noise import latent_noise
from c2r.streaming.sampler import Sampler, SamplerConfig
from runtime.core import Frames
from runtime.pipeline.finite import all_finite, check_finite
from runtime.pipeline.pipeline import Pipeline, pad_frames


@torch.no_grad()
def render_offline(
    pipeline: Pipeline,
    frames: Frames,
    *,
    prompt: str,
    negative_prompt: str | None = None,
    strength: float = 1.0,
    seed: int = 0,
    config: SamplerConfig | None = None,
    trained_length: bool = False,
    on_step: Callable[[int, int], None] | None = None,
) -> Frames:
    """Render a whole clip `[F, height, width, 3]` at once; sizes as in `Pipeline.render`.

    F that is not 4n + 1 is padded with the last frame, as the published tool does; the padding is
    cut off again. Memory grows with F: attention runs over all latents together.
    `negative_prompt` None: the preset's. `trained_length`: shorter clips are padded to the frames
    that the networks were trained with, as the release does.
    """
    count = len(frames)
    networks, preset = pipeline.networks, pipeline.preset
    least = max(count, preset.frames) if trained_length else count
    whole = -(-(least - 1) // FRAMES_PER_LATENT) * FRAMES_PER_LATENT + 1
    pixels = pipeline.upload(pad_frames(frames, whole))
    control = None
    scale = strength_tensor(strength, pipeline.device)
    if networks.control is not None:
        features = networks.dino(dino_frames(pixels, preset), batch=16)
        tokens, _ = networks.control.tokens(features)
        control = ControlInput(networks.control, tokens, preset.grid, scale)
    text = pipeline.text(pipeline.prompt(prompt))
    unwanted = preset.negative_prompt if negative_prompt is None else negative_prompt
    negative = pipeline.text(pipeline.prompt(unwanted))
    noise = latent_noise([seed], 0, latent_count(whole), 0, pipeline.rollout.latent_shape)
    sampler = Sampler(networks.dit, text, negative, control)
    clean = sampler.run(noise.to(pipeline.device), config, on_step=on_step)
    decoded = networks.vae.decode(clean, guide_frames(pixels, preset), scale)
    finite = all_finite(clean, decoded)
    rendered = pipeline.download(decoded)[:count]
    check_finite(finite)
    return np.ascontiguousarray(rendered)
