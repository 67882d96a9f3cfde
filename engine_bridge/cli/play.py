"""`c2r play`: the sample game, rendered by a running server.

In a window the keyboard walks the character (W A S D or arrows, Shift runs, Q and E turn the
camera, R goes back to the start, Escape ends). Keys 1 to 9 choose a prompt, - and = change the
strength, V switches between coarse and rendered frames. When the server is lost, the game goes on
with its coarse frames. With --headless the character follows a seeded path, and no
display is needed.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import Progress

from c2r.command_line import ArgumentParser
from c2r.wire import ServerInfo
from c2r.wire.events import ControlAck, SessionWarning
from engine_bridge.cli.game import game_for
from engine_bridge.cli.play_window import HELP, KeySettings, play_in_window
from engine_bridge.client import (
    ClientOptions,
    Endpoint,
    Presenter,
    RenderClient,
    State,
    Status,
    StreamReport,
    endpoint_from_files,
    server_info,
    stream_source,
)
from engine_bridge.client.endpoint import DEFAULT_ADDRESS
from engine_bridge.sinks.files import VideoSink
from engine_bridge.sinks.pairs import Pair, side_by_side
from street.city.take import LEVELS

PROMPTS = [
    "a city street at noon, people walking, photorealistic",
    "a city street at night, lit windows, wet asphalt, photorealistic",
    "a city street at sunset, warm light, long shadows, photorealistic",
    "a city street on an overcast day after rain, photorealistic",
]
HEADLESS_SECONDS = 20.0


def main(arguments: Sequence[str]) -> int:
    """Run the command: 0 when it played, ValueError or OSError for what the user can fix."""
    chosen = parser().parse_args(arguments)
    endpoint = endpoint_from_files(
        chosen.server,
        token_file=chosen.token_file,
        tls=chosen.tls,
        tls_ca=chosen.tls_ca,
        tls_cert=chosen.tls_cert,
        tls_key=chosen.tls_key,
        tls_name=chosen.tls_name,
    )
    _check(chosen)
    info = server_info(endpoint)
    console = Console()
    console.print(escape(_introduction(endpoint, info)))
    if chosen.headless:
        _play_headless(chosen, endpoint, info, console)
    else:
        _play_in_window(chosen, endpoint, info, console)
    return 0


def parser() -> ArgumentParser:
    """The command's options."""
    options = ArgumentParser("c2r play", __doc__)
    options.add_argument("--server", default=DEFAULT_ADDRESS, help=f"host:port ({DEFAULT_ADDRESS})")
    options.add_argument(
        "--prompt", action="append", help="what the world looks like; repeat it for the keys 1-9"
    )
    options.add_argument("--strength", type=float, default=1.0, help="of the control, 0 to 2 (1)")
    options.add_argument("--seed", type=int, default=0, help="of the city and of the noise (0)")
    options.add_argument("--level", choices=LEVELS, default="mid", help="of coarse frames (mid)")
    options.add_argument(
        "--seconds", type=float, help=f"how long (headless {HEADLESS_SECONDS:g}, window endless)"
    )
    options.add_argument("--headless", action="store_true", help="no window; a seeded path")
    options.add_argument(
        "--output", type=Path, help="with --headless: coarse and rendered side by side, an MP4"
    )
    options.add_argument("--token-file", type=Path, help="file with the server's token")
    tls = options.add_argument_group("TLS (any of these turns it on)")
    tls.add_argument("--tls", action="store_true", help="trust the system's authorities")
    tls.add_argument("--tls-ca", type=Path, help="PEM file with the server's authority")
    tls.add_argument("--tls-cert", type=Path, help="PEM file with this client's certificate")
    tls.add_argument("--tls-key", type=Path, help="PEM file with its key")
    tls.add_argument("--tls-name", help="name in the server's certificate, if not its host")
    return options


def _check(chosen: argparse.Namespace) -> None:
    seconds = chosen.seconds
    if seconds is not None and not (math.isfinite(seconds) and seconds > 0):
        raise ValueError(f"--seconds {seconds:g}: give a positive number of seconds")
    if chosen.output is not None and not chosen.headless:
        raise ValueError("--output needs --headless")
    if chosen.headless and chosen.prompt is not None and len(chosen.prompt) > 1:
        raise ValueError("--headless has no keys to choose prompts with; give one --prompt")


def _introduction(endpoint: Endpoint, info: ServerInfo) -> str:
    weights = "random weights: the output is noise" if info.random_weights else "trained weights"
    return (
        f"{endpoint.address}: {info.preset} on {info.device or 'an unnamed device'}, "
        f"{info.width}x{info.height} at {info.fps:g} frames a second, {weights}"
    )


def _options(chosen: argparse.Namespace, info: ServerInfo) -> ClientOptions:
    prompts = chosen.prompt or PROMPTS
    return ClientOptions(
        info.width,
        info.height,
        info.fps,
        prompt=prompts[0],
        strength=chosen.strength,
        seed=chosen.seed,
    )


def _client(
    chosen: argparse.Namespace, endpoint: Endpoint, info: ServerInfo, console: Console
) -> RenderClient:
    def say(status: Status) -> None:
        style = "bold red" if status.state is State.FAILED else "dim"
        console.print(escape(f"{status.state}: {status.text}"), style=style)

    def warn(warning: SessionWarning) -> None:
        console.print(escape(f"server: {warning.message}"), style="yellow")

    def acknowledge(ack: ControlAck) -> None:
        if ack.refused is not None:
            console.print(escape(f"refused: {ack.refused.message}"), style="yellow")
        else:
            console.print(f"takes effect at frame {ack.frame_id}", style="dim")

    options = _options(chosen, info)
    return RenderClient(endpoint, options, on_status=say, on_warning=warn, on_ack=acknowledge)


def _play_headless(
    chosen: argparse.Namespace, endpoint: Endpoint, info: ServerInfo, console: Console
) -> None:
    frames = max(1, round((chosen.seconds or HEADLESS_SECONDS) * info.fps))
    with ExitStack() as stack:
        source = stack.enter_context(game_for(info, chosen))
        video = None
        if chosen.output is not None:
            video = stack.enter_context(VideoSink(chosen.output, info.fps))

        def keep(pair: Pair) -> None:
            if video is not None:
                video.write(side_by_side(pair.coarse, pair.rendered), pair.frame_id)

        client = stack.enter_context(_client(chosen, endpoint, info, console))
        progress = stack.enter_context(Progress(console=console, transient=True))
        bar = progress.add_task("playing", total=frames)
        report = stream_source(
            source,
            client,
            fps=info.fps,
            frames=frames,
            on_pair=keep,
            on_progress=lambda done: progress.update(bar, completed=done),
        )
    _summarise(report, console)
    if chosen.output is not None:
        console.print(escape(f"wrote {chosen.output}"))
    if report.frames_rendered == 0:
        raise ConnectionError("no frame was rendered; try more --seconds, or see the server's log")


def _play_in_window(
    chosen: argparse.Namespace, endpoint: Endpoint, info: ServerInfo, console: Console
) -> None:
    keys = KeySettings(chosen.prompt or PROMPTS, chosen.strength)
    seconds, started = chosen.seconds or math.inf, time.perf_counter()
    with (
        game_for(info, chosen, pipe="window") as source,
        _client(chosen, endpoint, info, console) as client,
    ):
        console.print(HELP)
        play_in_window(source, client, Presenter(), keys, seconds)
        client.close(discard=True, timeout_s=2.0)
    _summarise(StreamReport.of(client.statistics, time.perf_counter() - started), console)


def _summarise(report: StreamReport, console: Console) -> None:
    latency = report.latency_ms
    drops = ", ".join(f"{n} {reason}" for reason, n in report.drops.items())
    console.print(
        f"{report.frames_sent} frames, {report.frames_rendered} rendered, "
        f"{report.frames_dropped} dropped{f' ({drops})' if drops else ''}; "
        f"{report.fps_steady:.1f} rendered a second; latency "
        f"{latency.p50:.0f} / {latency.p90:.0f} / {latency.p99:.0f} ms (p50 / p90 / p99)"
    )
