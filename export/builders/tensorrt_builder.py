"""An ONNX file as an engine, by TensorRT or TensorRT for RTX: their Python APIs are the same here.

`trt` is either module. Knows nothing of graphs' meaning, folders or manifests.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from c2r.exported.manifest import TensorSpec


@dataclass(frozen=True)
class BuildOptions:
    """How to build. `strip`: leave the weights out; they are refitted when the engine is loaded.

    `compute_capability` None: the GPU of this machine. `timing_cache`: where a library that tries
    kernels out keeps what it found.
    """

    compute_capability: int | None = None
    strip: bool = False
    timing_cache: Path | None = None


class Messages:
    """What the library said, for the error message; warnings are dropped, they speak of intent."""

    def __init__(self) -> None:
        self.errors: list[str] = []

    def text(self) -> str:
        """The last errors."""
        return "; ".join(self.errors[-3:]) or "no reason given"


def _logger(trt: Any, messages: Messages) -> Any:
    class Logger(trt.ILogger):
        def __init__(self) -> None:
            trt.ILogger.__init__(self)

        def log(self, severity: Any, message: str) -> None:
            # The missing driver is told at every turn of a build without a GPU.
            if severity in (self.ERROR, self.INTERNAL_ERROR) and "cudaError" not in message:
                messages.errors.append(message)

    return Logger()


def build_engine(
    trt: Any,
    onnx_file: Path,
    inputs: Sequence[TensorSpec],
    profiles: Sequence[Mapping[str, int]],
    options: BuildOptions,
) -> memoryview:
    """The serialised engine, strongly typed: the types are those of the ONNX file.

    Each profile is one exact set of values of the changing sizes. `ValueError` with the library's
    own words when it cannot be built.
    """
    messages = Messages()
    logger = _logger(trt, messages)
    builder = trt.Builder(logger)
    flags = 1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
    network = builder.create_network(flags)
    parser = trt.OnnxParser(network, logger)
    if not parser.parse_from_file(str(onnx_file)):
        found = "; ".join(parser.get_error(i).desc() for i in range(parser.num_errors))
        raise ValueError(f"{onnx_file.name} cannot be parsed for {trt.__name__}: {found}")
    config = _config(trt, builder, options)
    for profile in profiles:
        _add_profile(builder, config, inputs, profile)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise ValueError(f"{trt.__name__} cannot build {onnx_file.name}: {messages.text()}")
    _keep_timing(config, options)
    return memoryview(plan)


def _config(trt: Any, builder: Any, options: BuildOptions) -> Any:
    config = builder.create_builder_config()
    if options.compute_capability is not None:
        # One engine a capability: a refittable engine cannot be for several.
        config.num_compute_capabilities = 1
        capability = getattr(trt.ComputeCapability, f"SM{options.compute_capability}")
        config.set_compute_capability(capability, 0)
    if options.strip:
        config.set_flag(trt.BuilderFlag.STRIP_PLAN)
    if options.timing_cache is not None:
        known = options.timing_cache.read_bytes() if options.timing_cache.exists() else b""
        config.set_timing_cache(config.create_timing_cache(known), ignore_mismatch=False)
    return config


def _add_profile(
    builder: Any, config: Any, inputs: Sequence[TensorSpec], profile: Mapping[str, int]
) -> None:
    made = builder.create_optimization_profile()
    for spec in inputs:
        if any(isinstance(side, str) for side in spec.shape):
            shape = tuple(profile[side] if isinstance(side, str) else side for side in spec.shape)
            made.set_shape(spec.name, shape, shape, shape)
    index = config.add_optimization_profile(made)
    assert index >= 0, f"profile {profile} was not taken"


def _keep_timing(config: Any, options: BuildOptions) -> None:
    if options.timing_cache is not None:
        partial = options.timing_cache.with_name(f".{options.timing_cache.name}.partial")
        partial.write_bytes(bytes(config.get_timing_cache().serialize()))
        partial.replace(options.timing_cache)
