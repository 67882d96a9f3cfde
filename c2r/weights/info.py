"""Describes weights: layout, network, sizes, types, and the preset they fit. Reads no tensor."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from c2r.weights.folders import locate, open_weights, weight_files
from c2r.weights.layouts import Naming, Network, recognise, title
from c2r.weights.match import describe_dit, matching_preset, shapes_in
from c2r.weights.sources import Source


@dataclass(frozen=True)
class WeightsInfo:
    """One set of weights. `layout`, `network` and `preset` are None where nothing known matches.

    `parameters` counts the tensors that would be loaded; `dtypes` (parameters of each type) and
    `bytes` likewise. `skipped` and `foreign` count tensors, as in `layouts.Naming`.
    """

    path: Path
    files: tuple[Path, ...]
    layout: str | None
    network: Network | None
    preset: str | None
    sizes: str
    parameters: int
    dtypes: Mapping[str, int]
    bytes: int
    skipped: int
    foreign: int
    metadata: Mapping[str, str]

    def text(self) -> str:
        """One fact per line."""
        kind = f"{title(self.network)}, layout {self.layout}" if self.network else "unknown"
        lines = [str(self.path), f"  network     {kind}"]
        if self.network:
            fits = self.preset or "none: other sizes or settings, or incomplete"
            lines.append(f"  preset      {fits}")
        if self.sizes:
            lines.append(f"  sizes       {self.sizes}")
        types = ", ".join(f"{name} {count:,}" for name, count in self.dtypes.items())
        lines += [
            f"  parameters  {self.parameters:,} ({types})",
            f"  bytes       {self.bytes:,} in {len(self.files)} file(s)",
        ]
        if self.skipped:
            lines.append(f"  left alone  {self.skipped} tensors beside the network's own")
        if self.foreign:
            lines.append(f"  unexpected  {self.foreign} tensors that the network does not have")
        lines += [f"  metadata    {key}: {value}" for key, value in sorted(self.metadata.items())]
        return "\n".join(lines)


def inspect_path(path: str | Path) -> tuple[WeightsInfo, ...]:
    """Every set of weights in a file or folder (a pipeline's folder holds several).

    `ValueError` or `FileNotFoundError`, with the remedy, if there is none or one is damaged.
    """
    return tuple(inspect_source(open_weights(file)) for file in weight_files(locate(path)))


def inspect_source(source: Source) -> WeightsInfo:
    """Describe one set of weights."""
    naming = recognise(source.entries)
    used = source.entries if naming is None else naming.names.values()
    dtypes: Counter[str] = Counter()
    for name in used:
        entry = source.entries[name]
        dtypes[str(entry.dtype).removeprefix("torch.")] += entry.elements
    return WeightsInfo(
        path=source.path,
        files=source.files,
        layout=naming.layout if naming else None,
        network=naming.network if naming else None,
        preset=_preset(source, naming),
        sizes=_sizes(source, naming),
        parameters=dtypes.total(),
        dtypes=dict(dtypes.most_common()),
        bytes=sum(source.entries[name].bytes for name in used),
        skipped=len(naming.skipped) if naming else 0,
        foreign=len(naming.foreign) if naming else 0,
        metadata=source.metadata,
    )


def _preset(source: Source, naming: Naming | None) -> str | None:
    if naming is None or naming.foreign:
        return None
    return matching_preset(naming.network, shapes_in(source, naming))


def _sizes(source: Source, naming: Naming | None) -> str:
    if naming is None or naming.network != "dit":
        return ""
    return describe_dit(shapes_in(source, naming))
