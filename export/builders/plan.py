"""What a plan of TensorRT for RTX says of itself, read without a GPU.

The library deserialises a plan only where there is a driver. But a plan carries, as text, the
graphs that it runs: their inputs and outputs with types and sizes, one graph a profile, and the
hardware that they are for. That is read here and held against what the manifest promises.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from c2r.exported.manifest import EngineEntry, TensorSpec

MAGIC = b"vtrt"
OWN_NAMES = "__mye"
PROFILE = re.compile(r" \[profile \d+\]$")
TENSOR = re.compile(
    rb' tensor=\{ [^\n]*?dims=\{ ([\d ]*)\}[^\n]*? name="([^"\n]+?)(?:\.\d+)?" [^\n]* type=(\w+) \}'
)
LISTED = re.compile(rb"\n  (inputs|outputs)=\{ ([^}\n]*)\}")
HARDWARE = re.compile(rb"\n  accelerators=\{([\w ]*)\}")
NAME = re.compile(rb'"([^"]+?)(?:\.\d+)?"')
TYPES = {
    "float": "float32",
    "half": "float16",
    "fp16": "float16",
    "b16": "bfloat16",
    "bf16": "bfloat16",
    "int64": "int64",
    "int32": "int32",
    "bool": "bool",
}


@dataclass(frozen=True)
class PlanGraph:
    """One compiled graph inside a plan: one a profile and a connected part of the network."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    hardware: tuple[str, ...]
    tensors: dict[str, tuple[str, tuple[int, ...]]]

    @property
    def listed(self) -> tuple[str, ...]:
        """Inputs and outputs."""
        return self.inputs + self.outputs


def plan_graphs(plan: bytes | memoryview) -> Iterator[PlanGraph]:
    """The graphs in a plan, in order."""
    content = bytes(plan)
    starts = [match.start() for match in re.finditer(rb"header \{\n  version = ", content)]
    for begin, end in zip(starts, [*starts[1:], len(content)], strict=True):
        # What follows `main` is code and weights: gigabytes, and no text to search.
        text = content[begin : max(begin, content.find(b"\nmain {", begin, end))]
        listed = {key: NAME.findall(value) for key, value in LISTED.findall(text)}
        found = HARDWARE.search(text)
        tensors = {
            name.decode(): (kind.decode(), tuple(map(int, dims.split())))
            for dims, name, kind in TENSOR.findall(text)
        }
        yield PlanGraph(
            tuple(name.decode() for name in listed.get(b"inputs", [])),
            tuple(name.decode() for name in listed.get(b"outputs", [])),
            tuple(found.group(1).decode().split()) if found else (),
            tensors,
        )


def check_plan(plan: bytes | memoryview, entry: EngineEntry) -> None:
    """`ValueError` unless a plan has the inputs, outputs, types, sizes, hardware of its entry."""
    if bytes(plan[: len(MAGIC)]) != MAGIC:
        raise ValueError(f"{entry.file} is no plan of TensorRT for RTX; build again")
    whole = [graph for graph in plan_graphs(plan) if graph.hardware]
    wanted = f"sm{entry.compute_capability}"
    for graph in whole:
        if graph.hardware != (wanted,):
            raise ValueError(f"{entry.file} is for {graph.hardware}, the manifest says {wanted}")
    for index, sizes in enumerate(entry.profiles or ({},)):
        _check_profile(bytes(plan), whole, entry, index, dict(sizes))


def _check_profile(
    plan: bytes, whole: list[PlanGraph], entry: EngineEntry, index: int, sizes: dict[str, int]
) -> None:
    """One profile: its graphs carry its number behind every name."""
    suffix = f" [profile {index}]" if index else ""
    own = [g for g in whole if all(PROFILE.sub("", n) + suffix == n for n in g.listed)]
    tensors = {name: value for graph in own for name, value in graph.tensors.items()}
    # Where an output is only reshaped, the compiler lists it under a name of its own.
    unnamed = [_stated(g.tensors.get(n)) for g in own for n in g.listed if OWN_NAMES in n]
    aliased = {source: output for output, source in entry.aliases.items()}
    for spec in (*entry.inputs, *entry.outputs):
        expected = _expected(spec, sizes)
        name = aliased.get(spec.name, spec.name) + suffix
        found = _stated(tensors.get(name))
        if found is None and expected in unnamed and spec.name.encode() in plan:
            found = expected
        if found != expected:
            raise ValueError(
                f"{entry.file}: profile {index} has {spec.name} as {found}, the manifest says "
                f"{expected}; build again"
            )


def _stated(found: tuple[str, tuple[int, ...]] | None) -> tuple[str | None, tuple[int, ...]] | None:
    """Type, as PyTorch names it, and sizes of a tensor of a plan."""
    return None if found is None else (TYPES.get(found[0]), found[1])


def _expected(spec: TensorSpec, sizes: dict[str, int]) -> tuple[str, tuple[int, ...]]:
    shape = tuple(sizes[side] if isinstance(side, str) else side for side in spec.shape)
    return spec.dtype, shape


def read_back(path: Path, entry: EngineEntry) -> None:
    """`check_plan` of a file."""
    check_plan(path.read_bytes(), entry)
