"""The targets: which library builds them, for which hardware, and how it is installed.

What cannot be built is refused here, before any work.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from c2r.exported.libraries import LIBRARIES, NVIDIA_INDEX, ONNX, RTX, TENSORRT, Library


@dataclass(frozen=True)
class Target:
    """A kind of exported engine, and the library that builds it.

    `capabilities`: compute capabilities that can be built for without the GPU; empty where one is
    built on, and for, the GPU that runs it.
    """

    name: str
    library: Library
    capabilities: tuple[int, ...] = ()
    precision: str = "bfloat16"


TARGETS = {
    ONNX: Target(ONNX, LIBRARIES[ONNX], precision="float32"),
    RTX: Target(RTX, LIBRARIES[RTX], (80, 86, 89, 120, 121)),
    TENSORRT: Target(TENSORRT, LIBRARIES[TENSORRT]),
}
TORCH_TENSORRT = Target(
    TENSORRT,
    Library(
        "torch_tensorrt",
        "torch-tensorrt",
        f"pip install torch-tensorrt {NVIDIA_INDEX} (it pins the version of torch)",
    ),
)
TURING = 75
"""TensorRT for RTX has no float32 matrix products there; the time embedding needs them."""


def get_target(name: str, via: str | None = None) -> Target:
    """The target of that name; `via='torch-tensorrt'` is the third way to a `tensorrt` one."""
    if name not in TARGETS:
        raise ValueError(f"target {name!r} is unknown; known targets: {', '.join(TARGETS)}")
    if via is None:
        return TARGETS[name]
    if via != "torch-tensorrt" or name != TENSORRT:
        raise ValueError(f"--via {via} with --target {name}: only tensorrt has torch-tensorrt")
    return TORCH_TENSORRT


FP8_SINCE = 89
"""The first compute capability with FP8 products (Ada); Hopper is 90."""


def check_fp8(capabilities: Sequence[int]) -> None:
    """`ValueError` for hardware without FP8."""
    for capability in capabilities:
        if capability < FP8_SINCE:
            raise ValueError(
                f"compute capability {capability} has no FP8: leave --quantize out for it, or "
                f"build for {FP8_SINCE} and above"
            )


def check_capabilities(target: Target, asked: Sequence[int]) -> tuple[int, ...]:
    """The compute capabilities to build for; `ValueError` for one that cannot be."""
    if not target.capabilities:
        if asked:
            raise ValueError(
                f"--compute-capability is for --target rtx; {target.name} builds for "
                + ("any device" if target.name == ONNX else "the GPU of this machine")
            )
        return ()
    if not asked:
        raise ValueError(
            "--target rtx builds without a GPU, so say for which: --compute-capability "
            f"{' | '.join(map(str, target.capabilities))} (may be given more than once)"
        )
    known = ", ".join(map(str, target.capabilities))
    for capability in asked:
        if capability == TURING:
            raise ValueError(
                f"compute capability {TURING} (Turing) has no float32 matrix products in "
                f"{target.library.distribution}, which the time embedding needs; supported: {known}"
            )
        if capability not in target.capabilities:
            hopper = "; Hopper (90) is served by --target tensorrt" if capability == 90 else ""
            raise ValueError(
                f"compute capability {capability} is not supported by "
                f"{target.library.distribution}; supported: {known}{hopper}"
            )
    return tuple(dict.fromkeys(asked))
