"""The command `c2r`: a table of sub-commands, each imported only when it is chosen.

A command's function takes the arguments after its name and gives an exit code. Mistakes of the
user arrive here as `ValueError` or `OSError` and leave as one line, without a traceback.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module

from c2r.command_line import silence_libraries
from c2r.spelling import did_you_mean

COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("engine_bridge.cli.demo:main", "play the sample game through a server, as a video"),
    "serve": ("runtime.cli.serve:main", "wait for game engines and render what they send"),
    "play": ("engine_bridge.cli.play:main", "the sample game in a window, rendered by a server"),
    "render": ("runtime.cli.render:main", "a coarse clip through the renderer, without a network"),
    "replay": ("runtime.cli.replay:main", "play a recorded session against a server"),
    "bench": ("runtime.cli.bench:main", "how fast a preset runs here, stage by stage"),
    "data": ("trainer.data.cli:main", "clips to train on: synthesize, curate, encode"),
    "export": ("export.build_trt:main", "networks as ONNX and TensorRT engines"),
    "describe": ("c2r.models.describe:main", "what a preset weighs and costs"),
    "eval": ("trainer.evaluate.command:main", "what rendered clips and long videos are worth"),
    "train": ("trainer.train:main", "one phase of training, as a configuration says"),
    "weights": ("c2r.weights.cli:main", "inspect and convert checkpoints"),
}


OWN = ("c2r", "street", "engine_bridge", "runtime", "trainer", "export")


def usage() -> str:
    """The list of commands."""
    width = max(map(len, COMMANDS))
    rows = [f"  {name:{width}}  {what}" for name, (_, what) in COMMANDS.items()]
    return "\n".join(["usage: c2r COMMAND [--help] ...", "", "commands:", *rows])


def run(arguments: Sequence[str]) -> int:
    """Run one command; 0 on success, 2 for a mistake of the user's, 130 when interrupted."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print(usage())
        return 0 if arguments else 2
    name, *rest = arguments
    if name not in COMMANDS:
        near = did_you_mean(name, COMMANDS) or "; c2r --help lists them"
        print(f"c2r: unknown command {name!r}{near}", file=sys.stderr)
        return 2
    silence_libraries()
    module, function = COMMANDS[name][0].split(":")
    try:
        return int(getattr(import_module(module), function)(rest))
    except (ValueError, OSError) as error:
        print(f"c2r {name}: {error}", file=sys.stderr)
        return 2
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] in OWN:
            raise
        print(
            f"c2r {name}: this needs the package {error.name}, which is not installed; the extras "
            'hold it: pip install -e ".[render,game]"',
            file=sys.stderr,
        )
        return 2
    except KeyboardInterrupt:
        print(f"c2r {name}: interrupted", file=sys.stderr)
        return 130


def main() -> None:
    """Entry point of the installed command."""
    # numpy's matrices are small here, and OpenBLAS's other threads spin for milliseconds after
    # each: a core's worth beside a running game. It reads this once, when numpy is imported.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
