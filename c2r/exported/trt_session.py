"""Plans of TensorRT and of TensorRT for RTX, run on the current CUDA stream.

The engine is given the addresses of PyTorch's memory: nothing passes through the host, and no call
waits for the device.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from c2r.exported.engine_session import sizes_of
from c2r.exported.manifest import EngineEntry, TensorSpec

log = logging.getLogger(__name__)


class TensorRTSession:
    """A plan as an `EngineSession`; `trt` is the module `tensorrt` or `tensorrt_rtx`.

    `onnx_file`: where a plan without weights takes them from. `ValueError` when the plan cannot be
    run here, or is not what its entry says.
    """

    def __init__(
        self,
        trt: Any,
        path: Path,
        entry: EngineEntry,
        device: torch.device,
        onnx_file: Path | None = None,
    ) -> None:
        if device.type != "cuda":
            raise ValueError(f"{path.name} needs an NVIDIA GPU; this device is {device}")
        self.entry = entry
        self.device = device
        self._trt = trt
        self._logger = trt.Logger(trt.Logger.ERROR)
        self._runtime = trt.Runtime(self._logger)
        self._engine = self._runtime.deserialize_cuda_engine(path.read_bytes())
        if self._engine is None:
            raise ValueError(
                f"{path} cannot be loaded by {trt.__name__} {trt.__version__} on "
                f"{torch.cuda.get_device_name(device)}; build it for this device"
            )
        if onnx_file is not None:
            self._refit(onnx_file)
        self._names = self._named()
        self._check(path)
        self._cache_file = path.with_suffix(".kernels")
        self._context = self._make_context()
        self._profile = 0
        self._ready: set[int] = set()

    def run(self, inputs: Mapping[str, Tensor], outputs: Mapping[str, Tensor]) -> None:
        sizes = sizes_of(self.entry, inputs)
        stream = torch.cuda.current_stream(self.device).cuda_stream
        profiles = [dict(profile) for profile in self.entry.profiles]
        profile = profiles.index(sizes) if profiles else 0
        if profile != self._profile:
            self._context.set_optimization_profile_async(profile, stream)
            self._profile = profile
        for name, tensor in inputs.items():
            self._context.set_input_shape(self._names[name], tuple(tensor.shape))
            self._context.set_tensor_address(self._names[name], tensor.data_ptr())
        for name, tensor in outputs.items():
            self._context.set_tensor_address(self._names[name], tensor.data_ptr())
        if not self._context.execute_async_v3(stream):
            raise RuntimeError(f"engine {self.entry.file} failed")
        if profile not in self._ready:
            self._ready.add(profile)
            self._keep_kernels()

    def _refit(self, onnx_file: Path) -> None:
        """Give a plan without weights those of the ONNX file that it was built from."""
        refitter = self._trt.Refitter(self._engine, self._logger)
        parser = self._trt.OnnxParserRefitter(refitter, self._logger)
        if not parser.refit_from_file(str(onnx_file)) or not refitter.refit_cuda_engine():
            raise ValueError(f"{self.entry.file} did not take the weights of {onnx_file}")

    def _make_context(self) -> Any:
        """TensorRT for RTX compiles its kernels on this GPU; they are cached beside the plan."""
        if not hasattr(self._trt, "IRuntimeCache"):
            return self._engine.create_execution_context()
        config = self._engine.create_runtime_config()
        self._kernels = config.create_runtime_cache()
        if self._cache_file.exists():
            self._kernels.deserialize(self._cache_file.read_bytes())
        config.set_runtime_cache(self._kernels)
        return self._engine.create_execution_context(config)

    def _keep_kernels(self) -> None:
        if not hasattr(self._trt, "IRuntimeCache"):
            return
        partial = self._cache_file.with_name(f".{self._cache_file.name}.partial")
        try:
            partial.write_bytes(bytes(self._kernels.serialize()))
            partial.replace(self._cache_file)
        except OSError as error:  # a game may be installed where it cannot write
            log.warning("kernels are compiled again at the next start: %s", error)

    def _named(self) -> dict[str, str]:
        """Our name -> the plan's; torch-tensorrt renames the tensors but keeps their order."""
        wanted = [spec.name for spec in (*self.entry.inputs, *self.entry.outputs)]
        if not self.entry.build.get("by_position"):
            return {name: name for name in wanted}
        count = self._engine.num_io_tensors
        return dict(zip(wanted, map(self._engine.get_tensor_name, range(count)), strict=True))

    def _check(self, path: Path) -> None:
        """`ValueError` where inputs, outputs, types or profiles differ from the manifest."""
        engine = self._engine
        names = {engine.get_tensor_name(i) for i in range(engine.num_io_tensors)}
        if names != {*self._names.values()}:
            differ = ", ".join(sorted(names ^ {*self._names.values()}))
            raise ValueError(f"{path}: inputs and outputs differ from the manifest in {differ}")
        for spec in (*self.entry.inputs, *self.entry.outputs):
            self._check_type(path, spec)
        profiles = max(1, len(self.entry.profiles))
        if engine.num_optimization_profiles != profiles:
            raise ValueError(
                f"{path}: profiles: the engine has {engine.num_optimization_profiles}, the "
                f"manifest {profiles}"
            )

    def _check_type(self, path: Path, spec: TensorSpec) -> None:
        types = {"float32": "FLOAT", "float16": "HALF", "bfloat16": "BF16", "int64": "INT64"}
        dtype = self._engine.get_tensor_dtype(self._names[spec.name]).name
        if dtype != types[spec.dtype]:
            raise ValueError(f"{path}: {spec.name} is {dtype}, the manifest says {spec.dtype}")
