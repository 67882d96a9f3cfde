"""`c2r demo`: stream a synthetic coarse clip through the whole pipeline, chunk by chunk.

Draws boxes that move over a street, renders them with the `tiny` preset, and leaves a video with
the coarse frames beside the pictures, and the measured times.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np
import torch
from rich.console import Console
from rich.progress import track

from c2r.models.build import seeded_networks, seeded_notice
from c2r.models.presets import get_preset
from runtime.pipeline import Pictures, Pipeline

PROMPT = "a city street at noon, people walking, photorealistic"


def coarse_frame(index: int, width: int, height: int) -> Pictures:
    """One flat-coloured frame `[height, width, 3]`: sky, street, and boxes that move with time."""
    frame = np.empty((height, width, 3), np.uint8)
    horizon = height // 2
    frame[:horizon], frame[horizon:] = (150, 190, 230), (90, 90, 95)
    for box in range(6):
        tall, wide = height // 3 + 7 * box, width // 12
        left = int(width * box / 6 + 2.0 * index * (1 if box % 2 else -1)) % (width - wide)
        frame[horizon - tall // 2 : horizon + tall // 2, left : left + wide] = 60 + 25 * box
    return frame


def write_video(path: Path, frames: Sequence[Pictures], fps: int) -> None:
    """H.264 video of frames `[height, width, 3]`, all of one even size."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=fps)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())


def main(arguments: Sequence[str]) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser("c2r demo", description=__doc__)
    parser.add_argument("--chunks", type=int, default=8, help="chunks to render (8)")
    parser.add_argument("--seed", type=int, default=0, help="of noise and random weights (0)")
    parser.add_argument("--output", type=Path, default=Path("out"), help="folder (out)")
    chosen = parser.parse_args(arguments)
    if chosen.chunks < 1:
        raise ValueError(f"--chunks {chosen.chunks}: render at least one")
    console, preset = Console(), get_preset("tiny")
    networks = seeded_networks(preset, chosen.seed)
    console.print(seeded_notice(networks, chosen.seed), style="bold yellow")
    pipeline = Pipeline(networks)
    state, text = pipeline.open(chosen.seed), pipeline.text(pipeline.prompt(PROMPT))
    pairs: list[Pictures] = []
    stages: list[dict[str, float]] = []
    for _ in track(range(chosen.chunks), "rendering", console=console):
        count = pipeline.frames_wanted(state)
        drawn = range(len(pairs), len(pairs) + count)
        coarse = np.stack([coarse_frame(i, preset.width, preset.height) for i in drawn])
        begin = time.perf_counter()
        rendered = pipeline.render(state, coarse, text)
        write = pipeline.finalize(state, rendered)
        whole = (time.perf_counter() - begin) * 1000
        stages.append(rendered.stages_ms | {"kv_write": write, "chunk": whole})
        pairs += list(np.concatenate([coarse, rendered.pictures], axis=2))
    chosen.output.mkdir(parents=True, exist_ok=True)
    write_video(chosen.output / "demo.mp4", pairs, preset.fps)
    median = {name: float(np.median([row[name] for row in stages])) for name in stages[0]}
    report = {
        "preset": preset.name,
        "weights": f"random, seed {chosen.seed}",
        "device": str(pipeline.device),
        "threads": torch.get_num_threads(),
        "width": preset.width,
        "height": preset.height,
        "frames_rendered": len(pairs),
        "stages_ms": median,
    }
    (chosen.output / "demo.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    for name, value in median.items():
        console.print(f"  {name:10} {value:8.1f} ms a chunk")
    console.print(f"wrote {chosen.output / 'demo.mp4'} and {chosen.output / 'demo.json'}")
    return 0
