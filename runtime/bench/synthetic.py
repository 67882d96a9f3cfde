"""A renderer with random weights, and synthetic frames to give it: for measuring speed.

Needs neither files nor the packages that read them. Weights of the large networks are made on the
device they run on.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from c2r.models.build import Networks, build_control, build_dit, build_vae, prepare_inference
from c2r.models.configs import Preset
from c2r.models.dino import build_dino
from c2r.models.seeded import SeededText
from c2r.models.tiny_vae import TinyVAE
from runtime.core import Frames


@torch.no_grad()
def random_networks(
    preset: Preset, seed: int, device: torch.device, dtype: torch.dtype
) -> Networks:
    """Every network of a preset; layers that begin at zero are random too, so that all work counts.

    There is no text encoder: embeddings of prompts are random, too.
    """
    torch.manual_seed(seed)
    with device:
        dit, control, vae = build_dit(preset), build_control(preset), build_vae(preset)
        dino = build_dino(preset.dino, preset.grid)
    for network in (dit, control, vae.guide if isinstance(vae, TinyVAE) else None):
        for parameter in [] if network is None else network.parameters():
            if not parameter.is_meta and not parameter.any():
                nn.init.normal_(parameter, std=0.02)
    return Networks(
        preset=preset,
        dit=prepare_inference(dit, dtype, device),
        control=None if control is None else prepare_inference(control, dtype, device),
        dino=prepare_inference(dino, dtype, device),
        vae=prepare_inference(vae, dtype, device),
        text=SeededText(preset.text, seed),
        random_parts=("dit", "control", "vae", "dino", "text"),
    )


def coarse_frames(count: int, width: int, height: int, seed: int) -> Frames:
    """Frames `[count, height, width, 3]` of flat boxes that move, from a seed."""
    draw = np.random.default_rng(seed)
    frames = np.full((count, height, width, 3), 90, np.uint8)
    for _ in range(8):
        left, top = draw.integers(0, width), draw.integers(0, height)
        wide, high = draw.integers(1, width // 4 + 2), draw.integers(1, height // 3 + 2)
        speed, colour = draw.integers(-4, 5), draw.integers(0, 256, 3)
        for index, frame in enumerate(frames):
            place = (left + speed * index) % width
            frame[top : top + high, place : place + wide] = colour
    return frames


def coarse_chunk(preset: Preset, seed: int) -> Frames:
    """Frames of one later chunk."""
    return coarse_frames(preset.chunk_frames(False), *preset.output_size, seed)
