"""Pieces of a chunk, recorded once and replayed: CUDA graphs, and their stand-in.

A piece is a function without arguments that reads and writes memory at fixed addresses. The
stand-in calls it again, so that everything around the graphs can be held against the plain twin
on any machine.
"""

from __future__ import annotations

from typing import Protocol

import torch

from runtime.graphs.schedule import Streams, Work


class Recorder(Protocol):
    """Makes replays of pieces."""

    def record(self, lane: str, piece: Work) -> Work:
        """What runs the piece again, on the lane it was recorded for. Runs it to warm up."""
        ...


class CallAgain:
    """The stand-in: a replay is a call."""

    def record(self, lane: str, piece: Work) -> Work:
        """See `Recorder`."""
        with torch.no_grad():
            piece()
        return torch.no_grad()(piece)


class CudaGraphs:
    """One CUDA graph a piece.

    Graphs of one lane never run at once and share a memory pool and the lane's stream, which also
    owns the workspace of matrix products; graphs of different lanes share neither.
    """

    WARM_UPS = 2

    def __init__(self, streams: Streams) -> None:
        self._streams = streams.streams
        self._pools = {lane: torch.cuda.graph_pool_handle() for lane in self._streams}

    @torch.no_grad()
    def record(self, lane: str, piece: Work) -> Work:
        """See `Recorder`. The first runs compile kernels, choose among them and take buffers."""
        stream = self._streams[lane]
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(self.WARM_UPS):
                piece()
        stream.synchronize()
        graph = torch.cuda.CUDAGraph()
        capture = torch.cuda.graph(
            graph, pool=self._pools[lane], stream=stream, capture_error_mode="thread_local"
        )
        with capture:
            piece()
        return graph.replay
