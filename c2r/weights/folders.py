"""Finds the weights that a user names: a file, an index of shards, a folder or a hub id.

A folder may hold several networks (as Wan's own and diffusers' pipelines do); the right one is
recognised by the tensor names inside the files, not by file names.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

from c2r.weights.hub import WEIGHTS, fetch, is_hub_id
from c2r.weights.layouts import Network, recognise, title
from c2r.weights.sources import FETCH_AGAIN, Source, open_file

INDEX = ".index.json"
SHARD = re.compile(r".*-\d{5}-of-\d{5}\.[a-z]+")


def open_source(path: str | Path, network: Network | None = None) -> Source:
    """The weights at `path`: a file, an `.index.json`, a folder, or a hub id (`org/name`).

    Where a folder holds several sets of weights, the one of `network` is taken. `FileNotFoundError`
    or `ValueError`, naming the file and the remedy, if there is not exactly one or it is damaged.
    """
    place = locate(path, network)
    choices = weight_files(place)
    if len(choices) == 1:
        return open_weights(choices[0])
    return _only_one(place, choices, network)


def locate(path: str | Path, network: Network | None = None) -> Path:
    """The local file or folder, downloaded first if `path` is a hub id and `network` is known."""
    place = Path(path).expanduser()
    if place.exists():
        return place
    if network and is_hub_id(str(path)):
        return fetch(str(path), network)
    raise FileNotFoundError(f"weights {path} do not exist; check the path")


def weight_files(place: Path) -> list[Path]:
    """Every set of weights in a folder and the folders in it: indices of shards, single files.

    A file stands for itself. `FileNotFoundError` if there are none.
    """
    if not place.is_dir():
        return [place]
    folders = [place, *sorted(x for x in place.iterdir() if x.is_dir() and x.name[0] != ".")]
    sets = [file for folder in folders for file in _in_folder(folder)]
    if not sets:
        raise FileNotFoundError(
            f"{place} holds no weights (no {', '.join(WEIGHTS)} file); "
            "name the folder or file that does"
        )
    return sets


def open_weights(path: Path) -> Source:
    """One set of weights: a single file or an index of shards."""
    if path.name.endswith(INDEX):
        return _open_shards(path)
    if SHARD.fullmatch(path.name):
        index = next((x for x in sorted(path.parent.iterdir()) if x.name.endswith(INDEX)), None)
        raise ValueError(
            f"{path} is one of several shards; name their index {index} or the folder"
            if index
            else f"{path} is one of several shards and there is no index (*{INDEX}) beside it; "
            f"the save or download was cut off: {FETCH_AGAIN}"
        )
    return open_file(path)


def _in_folder(folder: Path) -> list[Path]:
    files = sorted(x for x in folder.iterdir() if x.is_file() and x.name[0] != ".")
    indices = [x for x in files if x.name.endswith(tuple(end + INDEX for end in WEIGHTS))]
    single = [x for x in files if x.name.endswith(WEIGHTS)]
    if indices:
        single = [x for x in single if not SHARD.fullmatch(x.name)]
    elif shards := [x for x in single if SHARD.fullmatch(x.name)]:
        single = [x for x in single if x not in shards[1:]]  # one stands for all
    return [*indices, *single]


def _only_one(place: Path, choices: Sequence[Path], network: Network | None) -> Source:
    """The one source that holds `network`; unreadable files matter only if there is none."""
    fitting: list[Source] = []
    broken: list[str] = []
    for choice in choices:
        try:
            source = open_weights(choice)
            naming = recognise(source.entries)
        except (ValueError, FileNotFoundError) as error:
            broken.append(str(error))
            continue
        if network is None or (naming is not None and naming.network == network):
            fitting.append(source)
    if len(fitting) == 1:
        return fitting[0]
    wanted = title(network) if network else "weights"
    if fitting:
        names = ", ".join(str(source.path.relative_to(place)) for source in fitting)
        raise ValueError(f"{place} holds several files of {wanted}: {names}; name one of them")
    names = ", ".join(str(choice.relative_to(place)) for choice in choices)
    raise ValueError("; ".join([f"{place} holds no readable {wanted}, only {names}", *broken]))


def _open_shards(index: Path) -> Source:
    """All shards named by a Hugging Face index, as one source."""
    shard_of = _read_index(index)
    absent = sorted(name for name in set(shard_of.values()) if not (index.parent / name).is_file())
    if absent:
        raise FileNotFoundError(
            f"{index} names shards that are not there: {', '.join(absent)}; "
            f"put them into {index.parent}"
        )
    shards = {name: open_file(index.parent / name) for name in sorted(set(shard_of.values()))}
    lost = [name for name, shard in shard_of.items() if name not in shards[shard].entries]
    if lost:
        raise ValueError(
            f"{index} says that {shard_of[lost[0]]} holds {lost[0]}, which it does not "
            f"({len(lost)} tensors in all); index and shards are of different checkpoints: "
            f"{FETCH_AGAIN}"
        )
    return Source(
        path=index,
        files=(index, *(index.parent / name for name in shards)),
        entries={name: shards[shard].entries[name] for name, shard in shard_of.items()},
        read=lambda name: shards[shard_of[name]].read(name),
        metadata=next(iter(shards.values())).metadata,
    )


def _read_index(index: Path) -> dict[str, str]:
    """Tensor name -> shard name."""
    try:
        shard_of = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{index} is no index of shards (JSON with a `weight_map`); {FETCH_AGAIN}"
        ) from error
    well_formed = isinstance(shard_of, dict) and all(
        isinstance(shard, str) and Path(shard).name == shard for shard in shard_of.values()
    )
    if not well_formed or not shard_of:
        raise ValueError(
            f"{index}: `weight_map` must map tensors to files beside it; {FETCH_AGAIN}"
        )
    return shard_of
