"""Turns the steps of a chunk into replays: CUDA graphs, or plain calls where there is no CUDA.

A step is a function without arguments that reads and writes memory at fixed addresses. Plain calls
stand in for graphs, so that everything around them can be compared with the reference pipeline on
any machine.
"""

from __future__ import annotations

from typing import Protocol

import torch

from runtime.graphs.schedule import CudaStreams, Work


class Capture(Protocol):
    """Makes replays of steps."""

    def capture(self, stream: str, step: Work) -> Work:
        """What runs the step again, on the stream it was captured for. Runs it to warm up."""
        ...


class PlainCalls:
    """A replay is a call of the step."""

    def capture(self, stream: str, step: Work) -> Work:
        with torch.no_grad():
            step()
        return torch.no_grad()(step)


class CudaGraphs:
    """One CUDA graph per step.

    Graphs of one stream share a memory pool: they never run at the same time, so the temporary
    memory of one may be that of the next. Graphs of different streams do overlap; with a common
    pool one would overwrite intermediate results of the other. Workspaces of cuBLAS belong to a
    stream, too, hence a graph has to be captured on the stream that replays it.
    """

    WARM_UPS = 2

    def __init__(self, streams: CudaStreams) -> None:
        self._streams = streams.streams
        self._pools = {name: torch.cuda.graph_pool_handle() for name in self._streams}

    @torch.no_grad()
    def capture(self, stream: str, step: Work) -> Work:
        cuda_stream = self._streams[stream]
        cuda_stream.wait_stream(torch.cuda.current_stream())
        # What may not happen during a capture happens here: kernels are compiled and chosen by
        # measurement, libraries allocate their workspaces, static buffers come into being.
        with torch.cuda.stream(cuda_stream):
            for _ in range(self.WARM_UPS):
                step()
        cuda_stream.synchronize()
        graph = torch.cuda.CUDAGraph()
        # `thread_local`: the default mode would also fail the capture for unsafe calls of other
        # threads, such as a gRPC thread that pins memory.
        capture = torch.cuda.graph(
            graph,
            pool=self._pools[stream],
            stream=cuda_stream,
            capture_error_mode="thread_local",
        )
        with capture:
            step()
        return graph.replay
