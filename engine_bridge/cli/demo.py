"""`c2r demo`: the whole chain on one machine.

Starts a render server, plays the sample game through it over gRPC without a window, and leaves a
video with coarse and rendered frames side by side, a contact sheet, and the numbers of the run.
Options that are not listed here go to `c2r serve`: --preset, --weights, --stream.window 12 ...
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from queue import Empty, Queue
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import Progress

from c2r.command_line import ArgumentParser
from c2r.report import versions
from c2r.wire import ServerInfo
from engine_bridge.cli.game import game_for
from engine_bridge.client import (
    ClientOptions,
    RenderClient,
    StreamReport,
    server_info,
    stream_source,
)
from engine_bridge.sinks.contact_sheet import ContactSheet
from engine_bridge.sinks.files import VideoSink
from engine_bridge.sinks.pairs import Pair, side_by_side
from street.city.take import LEVELS

PROMPT = (
    "A city street at noon under a clear sky, tall brick buildings, cars, people walking, "
    "photorealistic"
)
LISTENING = "listening on "


def parser() -> ArgumentParser:
    """The command's options; what is not among them belongs to `c2r serve`."""
    options = ArgumentParser("c2r demo", __doc__)
    options.add_argument("--seconds", type=float, default=20.0, help="of play (20)")
    options.add_argument("--prompt", default=PROMPT, help="what the world looks like")
    options.add_argument(
        "--then",
        nargs=2,
        action="append",
        default=[],
        metavar=("SECOND", "PROMPT"),
        help="another prompt from that second on; may be given again",
    )
    options.add_argument("--apart", action="store_true", help="coarse.mp4 and pictures.mp4, too")
    options.add_argument("--strength", type=float, default=1.0, help="of the control, 0 to 2 (1)")
    options.add_argument("--seed", type=int, default=0, help="of city, noise, random weights (0)")
    options.add_argument("--level", choices=LEVELS, default="mid", help="of coarse frames (mid)")
    options.add_argument("--output", type=Path, default=Path("out"), help="folder (out)")
    options.add_argument("--start-timeout", type=float, default=300.0, help="seconds to load (300)")
    return options


def main(arguments: Sequence[str]) -> int:
    """Run the command; unknown options go to the server."""
    chosen, for_server = parser().parse_passing_on(arguments)
    if "--random-weights" in for_server:
        for_server += ["--seed", str(chosen.seed)]
    if not 0 < chosen.seconds < float("inf"):
        raise ValueError(f"--seconds {chosen.seconds:g}: give a positive number of seconds")
    chosen.then = [_change(second, prompt, chosen.seconds) for second, prompt in chosen.then]
    console = Console()
    with started_server(for_server, chosen.start_timeout) as address:
        info = server_info(address)
        console.print(f"{info.preset} {info.width}x{info.height} is ready at {address}")
        report = play(chosen, address, info, console)
    write_report(chosen.output / "demo.json", info, report)
    latency = report.latency_ms
    console.print(
        f"{report.frames_sent} frames sent, {report.frames_rendered} rendered, "
        f"{report.frames_dropped} dropped; {report.fps_steady:.1f} rendered a second, first after "
        f"{report.ttff_ms or 0:.0f} ms, latency {latency.p50:.0f} / {latency.p90:.0f} / "
        f"{latency.p99:.0f} ms (p50 / p90 / p99)"
    )
    console.print(escape(f"wrote demo.mp4, demo.png and demo.json in {chosen.output}"))
    return 0


def _change(second: str, prompt: str, seconds: float) -> tuple[float, str]:
    """One `--then`; ValueError unless its second is one of the run's."""
    try:
        at = float(second)
    except ValueError:
        at = -1.0
    if not 0 < at < seconds:
        raise ValueError(
            f"--then {second}: give a second of the run, above 0 and below {seconds:g}"
        )
    return at, prompt


@contextmanager
def started_server(options: Sequence[str], timeout_s: float) -> Iterator[str]:
    """Runs `c2r serve` on a free port and gives its address; stops it at the end of the block.

    `ConnectionError` when it ends before it listens, or does not listen in time.
    """
    command = [sys.executable, "-m", "c2r", "serve", "--port", "0", *options]
    # OpenMP threads that spin while they wait would slow the game, which shares these cores.
    settings = {"OMP_WAIT_POLICY": "PASSIVE", **os.environ}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=settings) as process:
        try:
            yield _address(process, timeout_s)
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()


def _address(process: subprocess.Popen[str], timeout_s: float) -> str:
    """The address that the server prints when it is ready; later output is discarded."""
    addresses: Queue[str | None] = Queue()

    def read() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith(LISTENING):
                addresses.put(line.removeprefix(LISTENING).strip())
        addresses.put(None)

    threading.Thread(target=read, daemon=True).start()
    try:
        address = addresses.get(timeout=timeout_s)
    except Empty as error:
        raise ConnectionError(
            f"the server was not ready within {timeout_s:g} s; raise --start-timeout"
        ) from error
    if address is None:
        raise ConnectionError("the server ended before it was ready; its message is above")
    return address


def play(
    chosen: argparse.Namespace, address: str, info: ServerInfo, console: Console
) -> StreamReport:
    """Play the game in real time through the server; writes the videos and the contact sheet."""
    options = ClientOptions(
        info.width,
        info.height,
        info.fps,
        prompt=chosen.prompt,
        strength=chosen.strength,
        seed=chosen.seed,
    )
    sheet, frames = ContactSheet(), max(1, round(chosen.seconds * info.fps))
    with ExitStack() as stack:
        source = stack.enter_context(game_for(info, chosen))
        names = ("demo", "coarse", "pictures") if chosen.apart else ("demo",)
        videos = [
            stack.enter_context(VideoSink(chosen.output / f"{name}.mp4", info.fps))
            for name in names
        ]

        def keep(pair: Pair) -> None:
            shown = side_by_side(pair.coarse, pair.rendered), pair.coarse, pair.rendered
            for video, image in zip(videos, shown, strict=False):
                video.write(image, pair.frame_id)
            sheet.add(pair)

        client = stack.enter_context(RenderClient(address, options))
        progress = stack.enter_context(Progress(console=console, transient=True))
        bar = progress.add_task("playing", total=frames)
        changes = {max(1, round(second * info.fps)): prompt for second, prompt in chosen.then}

        def sent(done: int) -> None:
            progress.update(bar, completed=done)
            if done in changes:
                client.set_control(prompt=changes[done])

        report = stream_source(
            source,
            client,
            fps=info.fps,
            frames=frames,
            on_pair=keep,
            on_progress=sent,
        )
    sheet.save(chosen.output / "demo.png")
    return report


def write_report(path: Path, info: ServerInfo, report: StreamReport) -> None:
    """The numbers of the run as JSON."""
    report_json: dict[str, Any] = {
        "preset": info.preset,
        "weights": "random" if info.random_weights else "given",
        "device": info.device,
        "width": info.width,
        "height": info.height,
        **report.as_json(),
        "versions": versions(),
    }
    path.write_text(json.dumps(report_json, indent=2) + "\n", encoding="utf-8")
