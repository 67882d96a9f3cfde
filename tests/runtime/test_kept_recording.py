"""A recording from before the packages were rearranged, played back against today's server.

`kept_recording.c2r.gz` holds the first chunk of a session with `assets/tiny`: nine coarse frames of
the synthetic source, lossless both ways. On the machine that made it the replay is equal bit for
bit; other processors may round the last bit of a colour differently, and where they multiply
float32 faster than bfloat16, frames are 0.65 grey levels apart.
"""

from __future__ import annotations

import asyncio
import gzip
from pathlib import Path

import grpc.aio
import numpy as np

from runtime.cli.replay import play
from runtime.recording.replies import read_stream, recorded_replies
from tests.runtime.test_serve import started

KEPT = Path(__file__).with_name("kept_recording.c2r.gz")


def test_it_replays_with_the_same_frames(tmp_path):
    recording = tmp_path / "kept.c2r"
    recording.write_bytes(gzip.decompress(KEPT.read_bytes()))
    entries = read_stream(recording, 1)
    then = recorded_replies(entries)
    assert then.counts == {"rendered": 9}

    async def replayed(address: str):
        async with grpc.aio.insecure_channel(address) as channel:
            return await play(channel, entries, then, speed=1.0)

    with started("--preset", "tiny", "--precision", "float32") as process:
        assert process.stdout is not None
        address = process.stdout.readline().removeprefix("listening on ").strip()
        now = asyncio.run(replayed(address))
    assert now.counts == then.counts
    assert now.ended == then.ended
    for frame_id, frame in then.frames.items():
        apart = np.abs(now.frames[frame_id].astype(int) - frame).mean()
        assert apart <= 1, f"frame {frame_id} is {apart:.2f} grey levels from the recorded one"
