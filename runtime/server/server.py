"""A server's life: bind, load and warm up, serve, drain.

`start_server` is all that a caller needs; the address is bound before the networks are loaded, and
`grpc.health.v1` says NOT_SERVING until they are warm.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import grpc.aio

from c2r.models.configs import Preset
from c2r.wire.events import EndReason
from runtime.pipeline.pipeline import Pipeline, warm_up
from runtime.pipeline.render_thread import RenderScheduler, RenderThread
from runtime.pipeline.watchdog import watch
from runtime.recording.recorder import Recorder
from runtime.server.access import (
    BearerGate,
    address_of,
    check_bind,
    server_credentials,
    why_not_listening,
)
from runtime.server.admission import Admission
from runtime.server.health import Health, SessionVerdict
from runtime.server.negotiation import Negotiation
from runtime.server.service import SERVICE, RenderService
from runtime.session.session import Ending, Refusal, RefusedError, Session
from runtime.session.settings import ServeSettings

log = logging.getLogger(__name__)

SPARE_CALLS = 64
"""Calls at once beyond those of sessions: probes, and streams that have yet to say `open`."""


@dataclass(frozen=True)
class PendingPipeline:
    """A pipeline that `load` makes, on the render thread, while clients queue already."""

    preset: Preset
    load: Callable[[], Pipeline]


def add_reflection(server: grpc.aio.Server) -> None:
    """Let tools ask which calls there are; a package of its own, like health."""
    from grpc_health.v1 import health
    from grpc_reflection.v1alpha import reflection

    reflection.enable_server_reflection((SERVICE, health.SERVICE_NAME), server)


class RunningServer:
    """A server that was started; `address` is `host:port`."""

    def __init__(self, settings: ServeSettings, preset: Preset) -> None:
        self.settings = settings
        self.address = ""
        workers = max(2, min(8, os.cpu_count() or 1))
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="c2r-codec")
        self._thread = RenderThread(self._lose)
        self.lost = asyncio.Event()
        """The renderer is lost: sessions are told; only a new process can serve again."""
        self.admission = Admission(self._thread, settings)
        negotiation = Negotiation(preset, settings)
        self._negotiation = negotiation
        self._service = RenderService(
            negotiation,
            self.admission,
            RenderScheduler(self._thread),
            self._pool,
            self._session_over,
        )
        self._health = Health(off=not settings.health)
        self._verdict = SessionVerdict()
        self._tasks = set[asyncio.Task[None]]()
        gates = [] if settings.token is None else [BearerGate(settings.token)]
        self._grpc = grpc.aio.server(
            interceptors=gates,
            options=_options(settings, preset),
            maximum_concurrent_rpcs=settings.max_sessions + settings.max_waiting + SPARE_CALLS,
        )
        self._loading: asyncio.Task[None] | None = None

    async def start(self, load: Callable[[], Pipeline]) -> None:
        """Bind the address, answer calls, and begin to load. `OSError` when the port is taken."""
        self._grpc.add_generic_rpc_handlers((self._service.handlers(),))
        self._health.add_to(self._grpc)
        if self.settings.reflection:
            add_reflection(self._grpc)
        await self._health.set(serving=False)
        self._thread.start()
        self.address = address_of(self.settings.host, self._bind())
        self._service.recorder = _recorder(self.settings, self._negotiation)
        await self._grpc.start()
        self._loading = asyncio.create_task(self._load(load))

    async def ready(self) -> None:
        """Wait until sessions are served; raises what went wrong with loading."""
        assert self._loading is not None, "ready follows start"
        await asyncio.shield(self._loading)

    async def stop(self) -> None:
        """Let open sessions finish their chunk, tell them, and end. Takes `drain_s` at most."""
        await self._health.close()
        self.admission.close()
        for session in self.admission.active:
            assert session.stream is not None, "active sessions are on a stream"
            session.stream.drain()
        try:
            async with asyncio.timeout(self.settings.drain_s):
                while self.admission.active:
                    self.admission.changed.clear()
                    await self.admission.changed.wait()
        except TimeoutError:
            log.warning("%d sessions did not finish in time", len(self.admission.active))
        await self._grpc.stop(grace=1.0)
        for task in (self._loading, *self._tasks):
            if task is not None:
                task.cancel()
        await asyncio.to_thread(self._end_threads)

    def _lose(self, error: Exception) -> None:
        """What `stop` does, but that nothing can be waited for, and that it is nobody's wish."""
        log.critical("the renderer is lost: %s", error)
        self._spawn(self._health.close())
        self.admission.close()
        message = f"the renderer is lost: {error}; the server ends, connect again later"
        for session in self.admission.active:
            assert session.stream is not None, "active sessions are on a stream"
            refused = RefusedError(Refusal.FAULT, message)
            session.stream.end(Ending(EndReason.FAULT, message, error=refused))
        self.lost.set()

    def _session_over(self, session: Session) -> None:
        works = self._verdict.over(session, self.admission.active)
        if not works:
            log.error("every session is given up; health says NOT_SERVING until one ends well")
        self._spawn(self._health.set(serving=works))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)  # the loop itself keeps only weak references
        task.add_done_callback(self._tasks.discard)

    def _end_threads(self) -> None:
        if not self._thread.stop(self.settings.drain_s):
            log.warning("the render thread is busy; it ends with the program")
        self._pool.shutdown(wait=True, cancel_futures=True)
        if self._service.recorder is not None:
            self._service.recorder.close()

    def _bind(self) -> int:
        address = address_of(self.settings.host, self.settings.port)
        try:
            if self.settings.tls is None:
                return self._grpc.add_insecure_port(address)
            return self._grpc.add_secure_port(address, server_credentials(self.settings.tls))
        except RuntimeError as error:
            why = why_not_listening(self.settings.host, self.settings.port)
            raise OSError(f"cannot listen on {address}: {why or error}") from error

    async def _load(self, load: Callable[[], Pipeline]) -> None:
        pipeline = await self._thread.call(load)
        chunk_ms = await self._thread.call(warm_up, pipeline, self.settings.warm_chunks)
        log.info("warm: a chunk takes %.0f ms", chunk_ms)
        self._thread.probe = pipeline.probe
        self._spawn(watch(self._thread, chunk_ms / 1000))
        self._service.pipeline = pipeline
        self.admission.open(pipeline)
        await self._health.set(serving=True)


async def start_server(
    source: Pipeline | PendingPipeline, settings: ServeSettings
) -> RunningServer:
    """A server on its address; await its `ready` before counting on it, and `stop` it at the end.

    `ValueError` for settings that would expose it, `OSError` when it cannot listen.
    """
    check_bind(settings)
    server = RunningServer(settings, source.preset)
    load = source.load if isinstance(source, PendingPipeline) else lambda: source
    try:
        await server.start(load)
    except BaseException:
        await server.stop()
        raise
    return server


def _recorder(settings: ServeSettings, negotiation: Negotiation) -> Recorder | None:
    if settings.record is None:
        return None
    details = {"server": negotiation.server, "preset": negotiation.preset.name}
    return Recorder(settings.record, details)


def _options(settings: ServeSettings, preset: Preset) -> list[tuple[str, Any]]:
    largest = settings.message_bytes(preset)
    return [
        ("grpc.so_reuseport", 0),  # else a second server would silently share the port
        ("grpc.server_handshake_timeout_ms", 10_000),
        ("grpc.max_receive_message_length", largest),
        ("grpc.max_send_message_length", -1),
        ("grpc.max_metadata_size", 8 << 10),
        ("grpc.absolute_max_metadata_size", 16 << 10),
        ("grpc.max_concurrent_streams", settings.max_sessions + settings.max_waiting + SPARE_CALLS),
        # A client that vanished is noticed; one that pings every few seconds is not cut off.
        ("grpc.keepalive_time_ms", 20_000),
        ("grpc.keepalive_timeout_ms", 20_000),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_recv_ping_interval_without_data_ms", 1_000),
    ]
