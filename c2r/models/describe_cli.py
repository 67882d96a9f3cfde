"""`c2r describe`: print what a preset weighs and costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields

from c2r.command_line import ArgumentParser
from c2r.config import override, parse_overrides
from c2r.models.configs import Preset
from c2r.models.presets import PRESETS, get_preset


def main(arguments: Sequence[str]) -> int:
    """Run the command; unknown `--key.sub value` arguments change the preset."""
    parser = ArgumentParser(
        "c2r describe",
        "Parameters, tokens, K/V bytes and TFLOP of a preset's chunk, by counting.",
        changes=[field.name for field in fields(Preset) if field.name != "name"],
        epilog="Any part of the preset can be changed: --stream.chunk 1, --control.inject first:8.",
    )
    parser.add_argument(
        "--preset", action="append", choices=list(PRESETS), help="may be repeated (all)"
    )
    parser.add_argument("--window", type=int, help="K/V window in latents, current chunk included")
    parser.add_argument("--steps", type=int, help="denoising steps of a chunk")
    chosen, rest = parser.parse_known_args(arguments)
    changes = parse_overrides(rest)
    from c2r.models.describe import describe

    for name in chosen.preset or PRESETS:
        preset = override(get_preset(name), changes)
        print(describe(preset, window=chosen.window, steps=chosen.steps), end="\n\n")
    return 0
