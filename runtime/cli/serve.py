"""`c2r serve`: wait for game engines and render what they send.

Listens on this machine only, unless TLS files are given. Prints `listening on HOST:PORT` when it is
ready. SIGTERM, SIGHUP or Ctrl+C lets open sessions finish their chunk; a second one does not wait.
Exits with 3 when the renderer is lost, so that a supervisor starts it again.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console

from c2r.command_line import ArgumentParser, option_names, refuse
from c2r.wire.address import is_loopback
from c2r.wire.formats import SideChannel
from runtime.cli.log_lines import log_to_stderr
from runtime.cli.network_options import add_network_options, load_pipeline, read_choice
from runtime.server.access import read_token
from runtime.server.server import PendingPipeline, start_server
from runtime.session.settings import ServeSettings, TLSFiles

DEFAULTS = ServeSettings()
LOST_GRACE_S = 3.0
"""From the loss of the renderer to the end; probes and clients see NOT_SERVING meanwhile."""
LOST_EXIT = 3


def parser() -> ArgumentParser:
    """The command's options."""
    options = ArgumentParser("c2r serve", __doc__)
    options.add_argument("--host", default=DEFAULTS.host, help="address to listen on (127.0.0.1)")
    options.add_argument("--port", type=int, default=DEFAULTS.port, help="0 finds one (50051)")
    options.add_argument("--record", type=Path, help="keep all wire messages there, for c2r replay")
    options.add_argument(
        "--side-channels",
        nargs="+",
        type=SideChannel,
        choices=tuple(SideChannel),
        default=(),
        help="of the frames, taken although the renderer does not read them: for --record",
    )
    options.add_argument("--verbose", action="store_true", help="log every session")
    group = options.add_argument_group("who may connect")
    group.add_argument("--tls-cert", type=Path, help="PEM certificate; needed beyond this machine")
    group.add_argument("--tls-key", type=Path, help="its PEM key, unencrypted")
    group.add_argument("--tls-client-ca", type=Path, help="clients need a certificate signed by it")
    group.add_argument("--token-file", type=Path, help="clients need the bearer token in this file")
    group.add_argument("--reflection", action="store_true", help="let tools ask for the contract")
    group = options.add_argument_group("sessions")
    whole = {
        "--max-sessions": ("at once", DEFAULTS.max_sessions),
        "--max-waiting": ("more that may queue", DEFAULTS.max_waiting),
        "--blend-chunks": (
            "chunks over which a new prompt takes over; 0: it resets the stream",
            DEFAULTS.blend_chunks,
        ),
    }
    for name, (what, value) in whole.items():
        group.add_argument(name, type=int, default=value, help=f"{what} ({value})")
    seconds = {
        "--resume-grace": ("a session waits for its client to return", DEFAULTS.resume_grace_s),
        "--idle-timeout": ("a client may be silent", DEFAULTS.idle_timeout_s),
        "--drain-timeout": ("sessions may take to finish at the end", DEFAULTS.drain_s),
    }
    for name, (what, long) in seconds.items():
        group.add_argument(name, type=float, default=long, help=f"seconds {what} ({long:g})")
    add_network_options(options)
    return options


def settings_from(chosen: argparse.Namespace) -> ServeSettings:
    """Settings from the options; `ValueError` or `OSError` with what to change."""
    if (chosen.tls_cert is None) != (chosen.tls_key is None):
        raise ValueError("--tls-cert and --tls-key belong together; give both or neither")
    if chosen.tls_client_ca is not None and chosen.tls_cert is None:
        raise ValueError("--tls-client-ca needs --tls-cert and --tls-key")
    tls = None
    if chosen.tls_cert is not None:
        tls = TLSFiles(chosen.tls_cert, chosen.tls_key, chosen.tls_client_ca)
    return ServeSettings(
        host=chosen.host,
        port=chosen.port,
        tls=tls,
        token=None if chosen.token_file is None else read_token(chosen.token_file),
        reflection=chosen.reflection,
        record=chosen.record,
        side_channels=tuple(chosen.side_channels),
        max_sessions=chosen.max_sessions,
        max_waiting=chosen.max_waiting,
        blend_chunks=chosen.blend_chunks,
        resume_grace_s=chosen.resume_grace,
        idle_timeout_s=chosen.idle_timeout,
        drain_s=chosen.drain_timeout,
    )


async def serve(source: PendingPipeline, settings: ServeSettings, console: Console) -> bool:
    """Serve until a signal says stop; False when the renderer was lost before that."""
    stop = asyncio.Event()
    on_signals(stop.set)
    server = await start_server(source, settings)
    try:
        with console.status(f"loading {source.preset.name} and warming up"):
            ready = asyncio.ensure_future(server.ready())
            stopped = asyncio.ensure_future(stop.wait())
            await asyncio.wait({ready, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if ready.done():
            ready.result()
            print(f"listening on {server.address}", flush=True)
        lost = asyncio.ensure_future(server.lost.wait())
        await asyncio.wait({lost, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if lost.done():
            console.print("the renderer is lost: this process ends", style="bold red")
            await asyncio.wait({stopped}, timeout=LOST_GRACE_S)
            return False
        console.print("stopping: open sessions finish their chunk")
        return True
    finally:
        await server.stop()


def on_signals(stop: Callable[[], None]) -> None:
    """Have SIGINT, SIGTERM and SIGHUP call `stop` on the running loop; a second ends at once."""
    loop = asyncio.get_running_loop()
    numbers = [signal.SIGINT, signal.SIGTERM]
    # A terminal that closes; `nohup` has it ignored, and Windows does not know it.
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    for number in numbers:

        def handle(number: signal.Signals = number) -> None:
            signal.signal(number, signal.SIG_DFL)
            stop()

        try:
            loop.add_signal_handler(number, handle)
        except NotImplementedError:  # Windows has no signals in its loops
            signal.signal(number, lambda *_, handle=handle: loop.call_soon_threadsafe(handle))


def main(arguments: Sequence[str]) -> int:
    """Run the command."""
    chosen, rest = parser().parse_known_args(arguments)
    console, settings = Console(stderr=True), settings_from(chosen)
    choice = read_choice(chosen, rest)
    if "--frames" in option_names(rest):
        raise ValueError("--frames: a served stream has no length; leave it out")
    if not choice.paths.absent:
        refuse(chosen, ["seed"], "every network has weights, and clients choose the noise's seed")
    level = logging.INFO if chosen.verbose else logging.WARNING
    log_to_stderr(level)
    if not is_loopback(settings.host) and settings.token is None and chosen.tls_client_ca is None:
        notice = "anyone who reaches this port may use it: consider --token-file or --tls-client-ca"
        console.print(notice, style="bold yellow")
    source = PendingPipeline(choice.preset, lambda: load_pipeline(choice, console))
    if asyncio.run(serve(source, settings, console)):
        return 0
    # Not by the ordinary way: what the interpreter frees at its end waits for the device too.
    logging.shutdown()
    sys.stdout.flush()
    os._exit(LOST_EXIT)
