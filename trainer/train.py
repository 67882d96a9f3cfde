"""Training's entry: `c2r train`, `torchrun -m trainer.train`, `python trainer/train.py`.

All three take `--config FILE [--dry-run] [--key.sub value ...]`; `trainer.command` has the rest.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path


def main(arguments: Sequence[str]) -> int:
    """Run the command; mistakes of the user are `ValueError` or `OSError`."""
    from trainer.command import main as command

    return command(arguments)


def script() -> int:
    """Run as a file or by torchrun; a mistake of the user is one line and exit code 2."""
    # As a file, Python looks beside it first, and would take our modules for others' of their name.
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    try:
        return main(sys.argv[1:])
    except (ValueError, OSError) as error:
        print(f"train: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(script())
