"""What is in a recording that `c2r serve --record FILE` made, and its rendered frames as PNGs.

    python examples/replay_recording.py session.c2r OUT
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

from c2r.clips import write_image
from c2r.wire import RenderedFrame, parse_response
from c2r.wire.rendered_stream import RenderedDecoder
from c2r.wire.handshake import Accepted
from c2r.wire.convert import unpack_response
from runtime.recording.recorder import Kind, read_entries, read_header


def main(recording: Path, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    kinds: Counter[str] = Counter()
    with recording.open("rb") as file:
        print(read_header(file, str(recording)))
        for entry in read_entries(file, str(recording)):
            kinds[entry.kind.name.lower()] += 1
    print(dict(kinds))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
