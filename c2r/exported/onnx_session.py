"""ONNX graphs run by onnxruntime, on the CPU or on CUDA, bound to PyTorch's own memory."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from c2r.exported.libraries import LIBRARIES, ONNX
from c2r.exported.manifest import EngineEntry

ELEMENTS = {  # onnx.TensorProto.DataType
    torch.float32: 1,
    torch.uint8: 2,
    torch.int32: 6,
    torch.int64: 7,
    torch.bool: 9,
    torch.float16: 10,
    torch.bfloat16: 16,
}


class OnnxSession:
    """An ONNX file as an `EngineSession`; `onnxruntime` is the module.

    `ValueError` when it cannot run the file here.
    """

    def __init__(
        self, onnxruntime: Any, path: Path, entry: EngineEntry, device: torch.device
    ) -> None:
        self.entry = entry
        self.device = device
        provider = "CUDAExecutionProvider" if device.type == "cuda" else "CPUExecutionProvider"
        if provider not in onnxruntime.get_available_providers():
            install = LIBRARIES[ONNX].install
            raise ValueError(f"this onnxruntime has no {provider}; install it: {install}")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(path, options, providers=[provider])
        except Exception as error:  # its exception classes have no common base
            raise ValueError(f"onnxruntime cannot run {path}: {error}") from error

    def run(self, inputs: Mapping[str, Tensor], outputs: Mapping[str, Tensor]) -> None:
        binding = self._session.io_binding()
        index = self.device.index or 0
        for bind, tensors in ((binding.bind_input, inputs), (binding.bind_output, outputs)):
            for name, tensor in tensors.items():
                kind, shape = ELEMENTS[tensor.dtype], tuple(tensor.shape)
                bind(name, self.device.type, index, kind, shape, tensor.data_ptr())
        if self.device.type == "cuda":
            # onnxruntime runs on another CUDA stream, so inputs that PyTorch still computes must be
            # finished first. This is the one wait on the device; TensorRT sessions have none.
            torch.cuda.current_stream(self.device).synchronize()
        self._session.run_with_iobinding(binding)
