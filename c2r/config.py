"""Configuration: frozen dataclasses are the schema, YAML is a difference from it.

A file and command-line overrides (`--key.sub value`) change a base value; whatever the schema does
not know fails with its path. The resolved copy goes beside the run, so that it can be repeated.
Imports no torch.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import TypeAdapter, ValidationError

from c2r.spelling import did_you_mean

Config = TypeVar("Config")


def _dataclasses_of(hint: Any) -> list[type]:
    """The dataclasses among the alternatives of a type hint."""
    union = isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union
    options = typing.get_args(hint) if union else (hint,)
    return [option for option in options if is_dataclass(option) and isinstance(option, type)]


def _merge(schema: type, base: Any, changes: Mapping[str, Any], path: str) -> dict[str, Any]:
    """`base` as nested dictionaries with the changes laid over it; unknown keys are errors."""
    hints = typing.get_type_hints(schema)
    known = [field.name for field in fields(schema) if field.init]
    merged = {name: getattr(base, name) for name in known}
    for key, value in changes.items():
        place = f"{path}.{key}" if path else str(key)
        if key not in known:
            places = [f"{path}.{name}" if path else name for name in known]
            near = did_you_mean(place, places) or f"; known there: {', '.join(known)}"
            raise ValueError(f"unknown key {place!r}{near}")
        inner = _dataclasses_of(hints[key])
        if inner and isinstance(value, Mapping):
            kind = _chosen(inner, merged[key], value, place)
            start = merged[key] if type(merged[key]) is kind else kind()
            merged[key] = kind(**_checked(kind, _merge(kind, start, value, place), place))
        else:
            merged[key] = value
    return merged


def _chosen(options: list[type], base: Any, value: Mapping[str, Any], path: str) -> type:
    """The dataclass meant: the one whose `kind` is named, else that of the base value.

    A dataclass with `class_of_kind(kind)` is asked; else the alternatives of the hint are.
    """
    of_kind = getattr(options[0], "class_of_kind", None)
    if "kind" in value and of_kind is not None:
        chosen: type = of_kind(value["kind"])
        return chosen
    if "kind" in value and len(options) > 1:
        kinds = {option.kind: option for option in options if hasattr(option, "kind")}
        if value["kind"] not in kinds:
            near = did_you_mean(str(value["kind"]), kinds)
            raise ValueError(
                f"{path}.kind is {value['kind']!r}{near or ';'} known: {', '.join(kinds)}"
            )
        return kinds[value["kind"]]
    return type(base) if isinstance(base, tuple(options)) else options[0]


def _checked(schema: type, values: Mapping[str, Any], path: str) -> dict[str, Any]:
    """Each value as its field's type wants it; `ValueError` with the path if it cannot be."""
    hints, checked = typing.get_type_hints(schema), {}
    for key, value in values.items():
        place = f"{path}.{key}" if path else key
        if isinstance(value, bool) and hints[key] in (int, float, int | None, float | None):
            raise ValueError(f"{place}: a number is wanted (got {value!r})")
        try:
            checked[key] = TypeAdapter(hints[key]).validate_python(value)
        except ValidationError as error:
            first = error.errors()[0]
            raise ValueError(f"{place}: {first['msg']} (got {value!r})") from error
    return checked


def override(base: Config, changes: Mapping[str, Any]) -> Config:
    """A copy of a config dataclass with nested changes; `ValueError` names the path at fault."""
    schema = type(base)
    assert is_dataclass(base)
    try:
        return schema(**_checked(schema, _merge(schema, base, changes, ""), ""))
    except TypeError as error:
        raise ValueError(f"the configuration is not complete: {error}") from error


def read_yaml(path: Path) -> dict[str, Any]:
    """A YAML mapping; `ValueError` with file and line for anything else."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise ValueError(f"cannot read the configuration {path}: {reason}") from error
    except yaml.YAMLError as error:
        raise ValueError(f"{path} is not YAML: {error}") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ValueError(f"{path} must hold `key: value` lines, not a {type(content).__name__}")
    return content


def parse_overrides(arguments: Sequence[str]) -> dict[str, Any]:
    """`["--key.sub", "3", "--other=x"]` as nested changes; values are read as YAML."""
    changes: dict[str, Any] = {}
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        if not word.startswith("--") or word == "--":
            raise ValueError(f"expected --key.sub VALUE, found {word!r}")
        key, equals, value = word[2:].partition("=")
        if not equals:
            if not rest:
                raise ValueError(f"--{key} needs a value")
            value = rest.pop(0)
        *parents, last = key.replace("-", "_").split(".")
        place = changes
        for parent in parents:
            place = place.setdefault(parent, {})
            if not isinstance(place, dict):
                raise ValueError(f"--{key} goes below a key that was given a value of its own")
        if isinstance(place.get(last), dict):
            raise ValueError(f"--{key} would undo what was given below it; leave one of them out")
        try:
            place[last] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise ValueError(f"--{key} {value!r} cannot be read as a value") from error
    return changes


def load_config(base: Config, path: Path | None = None, arguments: Sequence[str] = ()) -> Config:
    """`base`, changed by a YAML file and then by command-line overrides."""
    config = base if path is None else override(base, read_yaml(path))
    return override(config, parse_overrides(arguments))


def save_config(config: Any, path: Path) -> None:
    """Write the resolved configuration as YAML that `load_config` reads back to an equal one."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: plain(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [plain(item) for item in value]
        return str(value) if isinstance(value, Path) else value

    text = yaml.safe_dump(plain(dataclasses.asdict(config)), sort_keys=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
