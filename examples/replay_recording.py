"""What is in a recording that `c2r serve --record FILE` made: numbers, and its frames as PNGs.

python examples/replay_recording.py session.c2r OUT
"""

from __future__ import annotations

import sys
from pathlib import Path

from c2r.clips import write_image
from runtime.recording.replies import read_stream, recorded_replies


def main(recording: Path, out: Path, stream: int = 1) -> None:
    """Write the rendered frames of one stream."""
    replies = recorded_replies(read_stream(recording, stream))
    out.mkdir(parents=True, exist_ok=True)
    for frame_id, rgb in sorted(replies.frames.items()):
        write_image(out / f"{frame_id:05d}.png", rgb)
    print(f"{dict(replies.counts)}, ended: {replies.ended or 'not yet'}; frames in {out}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
