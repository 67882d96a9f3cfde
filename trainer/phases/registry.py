"""The table of phases, and how a run's settings are read for the phase that they name.

A setting that the chosen phase would not look at is refused, with the phases that do. A phase's
module is imported only when it is chosen, so a mistake in a file costs no waiting.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from c2r.config import parse_overrides, read_yaml
from trainer.phases.settings import (
    AlignRun,
    AutoencodeRun,
    DmdRun,
    FlowRun,
    GuideRun,
    PostTrainRun,
    TaughtRun,
)
from trainer.settings import TrainConfig, settings_from

if TYPE_CHECKING:
    from trainer.phases.phase import PhaseClass

PHASES: dict[str, tuple[str, type[TrainConfig]]] = {
    "autoencode": ("trainer.phases.autoencode:Autoencode", AutoencodeRun),
    "guide": ("trainer.phases.guide:Guide", GuideRun),
    "train_dino": ("trainer.phases.train_dino:TrainDino", TrainConfig),
    "train_text": ("trainer.phases.train_text:TrainText", TrainConfig),
    "align": ("trainer.phases.align:Align", AlignRun),
    "ground": ("trainer.phases.ground:Ground", FlowRun),
    "joint": ("trainer.phases.joint:Joint", FlowRun),
    "autoregress": ("trainer.phases.autoregress:Autoregress", FlowRun),
    "consistency": ("trainer.phases.consistency:Consistency", TaughtRun),
    "regress": ("trainer.phases.regress:Regress", TaughtRun),
    "post_train": ("trainer.phases.post_train:PostTrain", PostTrainRun),
    "dmd": ("trainer.phases.dmd:Dmd", DmdRun),
}
"""By name: the class (`module:class`) and the schema of its settings."""

SECTIONS = {item.name: None for _, schema in PHASES.values() for item in fields(schema)}
"""Every setting of the first level, of any phase, in order."""

_FLOW = ("align", "ground", "joint", "autoregress")
_STUDENTS = ("autoregress", "consistency", "regress", "post_train", "dmd")
_DENOISERS = ("align", "ground", "joint", *_STUDENTS)
ONLY_FOR: dict[str, tuple[str, ...]] = {
    "data.scenes": ("dmd",),
    "data.jitter": ("train_dino", "ground", "joint", *_STUDENTS),
    "data.text_dropout": _DENOISERS,
    "data.joint_dropout": _DENOISERS,
    "data.keep_gib": ("guide", *_STUDENTS),
    "flow.levels": _FLOW,
    "flow.mean": _FLOW,
    "flow.std": _FLOW,
    "flow.pure_noise": _FLOW,
    "flow.loss": _FLOW,
    "distil.steps": ("consistency", "regress"),
    "log.sampler": _FLOW,
    "parallel": _DENOISERS,
}
"""Parts of shared sections that only some phases look at; for others they stay at their default,
as they do in the configuration that a run writes down.
"""


def load_phase(name: str) -> PhaseClass:
    """The class of that phase; `ValueError` names the known ones."""
    module, attribute = _row(name)[0].split(":")
    phase: PhaseClass = getattr(import_module(module), attribute)
    return phase


def phase_settings(changes: Mapping[str, Any]) -> Any:
    """Settings of the phase that `changes` name, align where they name none: its own schema.

    `ValueError` names the path of what is wrong, and of what belongs to other phases.
    """
    phase = str(changes.get("phase", TrainConfig().phase))
    schema = _row(phase)[1]
    foreign = {path: owners for path, owners in _foreign(schema, changes) if owners}
    if foreign:
        raise ValueError(_belongs(foreign, phase))
    config = settings_from(schema, changes)
    default = schema()
    unread = {
        path: owners
        for path, owners in ONLY_FOR.items()
        if phase not in owners and _at(config, path) != _at(default, path)
    }
    if unread:
        raise ValueError(_belongs(unread, phase))
    return config


def read_settings(path: Path, arguments: Sequence[str] = ()) -> Any:
    """A run's settings from a YAML file and `--key.sub value` arguments; see `phase_settings`."""
    changes = _merged(read_yaml(path), parse_overrides(arguments))
    try:
        return phase_settings(changes)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _row(name: str) -> tuple[str, type[TrainConfig]]:
    if name not in PHASES:
        raise ValueError(f"phase {name!r} is unknown; phases: {', '.join(PHASES)}")
    return PHASES[name]


def _foreign(
    schema: type[TrainConfig], changes: Mapping[str, Any]
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Settings in sections that the schema has not, each with the phases that have them."""
    own = _sections(schema)
    for section, value in changes.items():
        if section in own:
            continue
        owners = {name: _sections(of) for name, (_, of) in PHASES.items()}
        below = value if isinstance(value, Mapping) and value else {"": None}
        for key in below:
            path = f"{section}.{key}" if key else section
            yield path, tuple(name for name, has in owners.items() if section in has)


def _sections(schema: type[TrainConfig]) -> set[str]:
    return {item.name for item in fields(schema)}


def _belongs(paths: Mapping[str, tuple[str, ...]], phase: str) -> str:
    """`distil.teacher belongs to phases consistency, regress, dmd; this is phase align: ...`."""
    by_owners: dict[tuple[str, ...], list[str]] = {}
    for path, owners in paths.items():
        by_owners.setdefault(owners, []).append(path)
    said = [
        f"{', '.join(names)} {'belongs' if len(names) == 1 else 'belong'} to "
        f"{'phase' if len(owners) == 1 else 'phases'} {', '.join(owners)}"
        for owners, names in by_owners.items()
    ]
    what = "it" if len(paths) == 1 else "them"
    return f"{'; '.join(said)}; this is phase {phase}: remove {what}"


def _at(config: object, path: str) -> object:
    """The value at a dotted path; None where the configuration has no such section."""
    for name in path.split("."):
        if not (is_dataclass(config) and any(item.name == name for item in fields(config))):
            return None
        config = getattr(config, name)
    return config


def _merged(changes: dict[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """Nested changes over nested changes."""
    merged = dict(changes)
    for key, value in more.items():
        below = merged.get(key)
        both = isinstance(below, dict) and isinstance(value, Mapping)
        merged[key] = _merged(below, value) if both and below is not None else value
    return merged
