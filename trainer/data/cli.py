"""The command `c2r data`: a table of sub-commands, each imported only when it is chosen."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module

from c2r.spelling import did_you_mean

COMMANDS: dict[str, tuple[str, str]] = {
    "synthesize": ("trainer.data.synthesize.command:main", "paired clips of a seeded city"),
    "curate": ("trainer.data.curate.command:main", "real footage, cut, filtered and captioned"),
    "encode": ("trainer.encode_cache:main", "a set as shards of latents, small enough to copy"),
}


def usage() -> str:
    """The list of sub-commands."""
    width = max(map(len, COMMANDS))
    rows = [f"  {name:{width}}  {what}" for name, (_, what) in COMMANDS.items()]
    return "\n".join(["usage: c2r data COMMAND [--help] ...", "", "commands:", *rows])


def main(arguments: Sequence[str]) -> int:
    """Run one of them; 2 when it is none of the list. `--help` ends the process, as argparse's."""
    if not arguments:
        print(usage())
        return 2
    if arguments[0] in ("-h", "--help"):
        print(usage())
        raise SystemExit(0)
    name, *rest = arguments
    if name not in COMMANDS:
        near = did_you_mean(name, COMMANDS) or "; c2r data --help lists them"
        print(f"c2r data: unknown command {name!r}{near}", file=sys.stderr)
        return 2
    module, function = COMMANDS[name][0].split(":")
    return int(getattr(import_module(module), function)(rest))
