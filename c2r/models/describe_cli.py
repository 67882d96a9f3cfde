"""`c2r describe`: print what a preset weighs and costs."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from c2r.config import override, parse_overrides
from c2r.models.presets import PRESETS, get_preset


def main(arguments: Sequence[str]) -> int:
    """Run the command; unknown `--key.sub value` arguments change the preset."""
    parser = argparse.ArgumentParser(
        "c2r describe",
        description="Parameters, tokens, K/V bytes and TFLOP a chunk of a preset, by counting.",
        epilog="Any part of the preset can be changed: --stream.chunk 1, --control.inject first:8.",
    )
    parser.add_argument(
        "--preset", action="append", help=f"one of {', '.join(PRESETS)}; may be repeated (all)"
    )
    parser.add_argument("--window", type=int, help="K/V window in latents, current chunk included")
    parser.add_argument("--steps", type=int, help="denoising steps a chunk")
    chosen, rest = parser.parse_known_args(arguments)
    changes = parse_overrides(rest)
    from c2r.models.describe import describe

    for name in chosen.preset or PRESETS:
        preset = override(get_preset(name), changes)
        print(describe(preset, window=chosen.window, steps=chosen.steps), end="\n\n")
    return 0
