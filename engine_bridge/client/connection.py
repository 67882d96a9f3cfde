"""One stream to the server, from `open` to `ended` or until it breaks.

Three tasks: reader, writer, watchdog. Only the reader decides how the stream ended: a writer that
fails returns, because the status that explains it reaches the reader. The watchdog breaks a stream
whose server is silent or stuck. Knows nothing of earlier or later attempts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import grpc
import grpc.aio

from c2r.wire import (
    Accepted,
    ErrorCode,
    FailedFrame,
    OpenRequest,
    RenderedDecoder,
    RenderedFrame,
    WireError,
    parse_response,
    unpack_response,
)
from c2r.wire.events import ControlAck, Ended, Flow, Keepalive, SessionWarning
from c2r.wire.v1 import renderer_pb2 as pb
from engine_bridge.client.account import ClientRecord
from engine_bridge.client.channel import RENDER_STREAM, call_metadata, judge, judge_wire
from engine_bridge.client.endpoint import Endpoint
from engine_bridge.client.options import Patience
from engine_bridge.client.outgoing import Outgoing
from engine_bridge.client.status import Broken

_TICK_S = 0.25
TRAILER_S = 0.5
"""How long the stream's status may take after `Ended`."""


@dataclass(frozen=True)
class Listener:
    """Callbacks, run in the event loop. `outcomes`: some may be ready."""

    accepted: Callable[[Accepted], None]
    queued: Callable[[int], None]
    warned: Callable[[SessionWarning], None]
    acknowledged: Callable[[ControlAck], None]
    outcomes: Callable[[], None]


class Connection:
    """A stream over `channel`; call `wake` after a change of the record."""

    def __init__(
        self,
        channel: grpc.aio.Channel,
        endpoint: Endpoint,
        patience: Patience,
        record: ClientRecord,
        listener: Listener,
    ) -> None:
        self.patience, self.record, self.listener = patience, record, listener
        self.accepted: Accepted | None = None
        self.answers = 0
        self._call: Any = channel.stream_stream(RENDER_STREAM)(metadata=call_metadata(endpoint))
        self._out = Outgoing(self._call, record, listener.outcomes)
        self._decoder: RenderedDecoder | None = None
        self._heard_at = self._answered_at = asyncio.get_running_loop().time()

    def wake(self) -> None:
        """There may be something to send."""
        self._out.wake()

    def end(self, *, discard: bool) -> None:
        """Send what waits (unless `discard`), then say that no more frames follow."""
        self._out.end(discard=discard)

    async def run(self, opening: OpenRequest) -> Ended:
        """Until the server says that the session ended; `Broken` or `Refused` for all else."""
        reader = asyncio.create_task(self._read(opening))
        writer = asyncio.create_task(self._out.run(opening))
        watchdog = asyncio.create_task(self._watch())
        tasks = {reader, writer, watchdog}
        try:
            while not reader.done():
                done, tasks = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                for task in done - {reader}:
                    task.result()
            return reader.result()
        except grpc.aio.AioRpcError as error:
            raise judge(error, accepted=self.accepted is not None) from error
        except WireError as error:
            raise judge_wire(error, accepted=self.accepted is not None) from error
        finally:
            self._call.cancel()
            for task in (reader, writer, watchdog):
                task.cancel()
            await asyncio.gather(reader, writer, watchdog, return_exceptions=True)

    async def _read(self, opening: OpenRequest) -> Ended:
        while (data := await self._call.read()) is not grpc.aio.EOF:
            self._heard_at = asyncio.get_running_loop().time()
            self.record.meter.received(len(data))
            body = unpack_response(parse_response(data))
            if isinstance(body, Ended):
                await self._read_status()
                return body
            self._handle(body, opening)
        raise Broken("the server closed the stream without saying why")

    async def _read_status(self) -> None:
        """Read on to the stream's status, or the server would log a cancelled call.

        Bounded: `close` must not wait for a server that has already said all there is to say.
        """
        with suppress(grpc.aio.AioRpcError, TimeoutError):
            async with asyncio.timeout(TRAILER_S):
                while await self._call.read() is not grpc.aio.EOF:
                    continue

    def _handle(self, body: Any, opening: OpenRequest) -> None:
        if isinstance(body, Accepted):
            self._accept(body, opening)
        elif isinstance(body, Flow):
            self._follow(body)
        elif isinstance(body, SessionWarning):
            self.listener.warned(body)
        elif isinstance(body, Keepalive):
            return  # it only shows that the server is alive
        elif self._decoder is None:
            raise WireError(ErrorCode.OUT_OF_ORDER, "came before accepted", type(body).__name__)
        elif isinstance(body, ControlAck):
            if self.record.controls.acknowledge(body):
                self.listener.acknowledged(body)
        else:
            self._settle(body, self._decoder)
        self.wake()

    def _accept(self, accepted: Accepted, opening: OpenRequest) -> None:
        if self.accepted is not None:
            raise WireError(ErrorCode.OUT_OF_ORDER, "came twice", "accepted")
        asked = (opening.width, opening.height)
        if (accepted.width, accepted.height) != asked:
            granted = f"{accepted.width}x{accepted.height}"
            message = f"is {granted}, asked was {asked[0]}x{asked[1]}; open with {granted}"
            raise WireError(ErrorCode.INVALID, message, "accepted")
        self._out.accept(accepted)
        self._decoder = RenderedDecoder(accepted)
        self.accepted = accepted
        self._answered_at = self._heard_at
        self.record.meter.connected()
        if not accepted.resumed:
            self.record.account.begin_session()
        self.record.account.set_window(accepted.max_in_flight_chunks * accepted.chunk_frames)
        self.listener.accepted(accepted)

    def _follow(self, flow: Flow) -> None:
        if self.accepted is None:
            self.listener.queued(flow.queue_position)
            return
        self._out.keyframe_wanted |= flow.keyframe_wanted
        self.record.account.set_window(flow.window_frames)
        self.listener.outcomes()

    def _settle(self, message: pb.FrameReply, decoder: RenderedDecoder) -> None:
        meter, began = self.record.meter, self.record.meter.clock()
        self._answered_at = self._heard_at
        self.answers += 1
        try:
            reply = decoder.decode(message)
        except WireError as error:
            self._out.ask_for_keyframe()
            reply = FailedFrame(message.frame_id, message.capture_time_us, error.fault)
        else:
            # The server could not decode this frame, nor any later one that H.264 predicts from it.
            self._out.keyframe_wanted |= isinstance(reply, FailedFrame)
        captured = self.record.account.settle(reply)
        if captured is not None and isinstance(reply, RenderedFrame):
            meter.rendered(reply, captured, began)
        self.listener.outcomes()

    async def _watch(self) -> None:
        """Never returns: raises `Broken` when the server is silent or stuck."""
        clock, patience = asyncio.get_running_loop().time, self.patience
        tick = min(_TICK_S, patience.silence_s / 4, patience.feedback_s / 2)
        reported = clock()
        while True:
            await asyncio.sleep(tick)
            now = clock()
            if now - self._heard_at > patience.silence_s:
                raise Broken(f"nothing came from the server for {patience.silence_s:g} s")
            if not self.record.account.blocked:
                self._answered_at = now
            elif now - self._answered_at > patience.stuck_s:
                raise Broken(f"the server answered no frame for {patience.stuck_s:g} s")
            if now - reported >= self._report_every():
                reported = now
                self._out.report()

    def _report_every(self) -> float:
        """Seconds; well within the idle timeout, after which the server ends a session."""
        if self.accepted is None:
            return self.patience.feedback_s
        return min(self.patience.feedback_s, self.accepted.limits.idle_timeout_s / 3)
