"""What the options of all commands have in common.

A mistake is a `ValueError`, which the command turns into one line and exit code 2; that of a
misspelt option names the near one. Imports neither torch nor rich nor pydantic: `make bench-gpu`
runs where only few packages are.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Collection, Iterable, Sequence
from typing import Any, NoReturn

from c2r.spelling import did_you_mean, nearest


class Options(argparse.Namespace):
    """The options of a command line; `given` are those that it names, for `refuse`.

    A slot: commands write `vars` of their options into reports, where `given` is no setting.
    """

    __slots__ = ("given",)
    given: set[str]


class ArgumentParser(argparse.ArgumentParser):
    """`argparse`'s, with `changes`: keys of a configuration that `--key.sub VALUE` may change.

    `parse_known_args` leaves those in its rest; any other unknown option is an error.
    """

    def __init__(
        self,
        prog: str | None = None,
        description: str | None = None,
        *,
        changes: Collection[str] = (),
        **settings: Any,
    ) -> None:
        if description is not None and "\n" in description.strip():
            settings.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(prog, description=description, allow_abbrev=False, **settings)
        self.changes = changes

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        words = list(sys.argv[1:] if args is None else args)
        # Before anything else is read: `--inptu x` is told as such, not as a missing --input.
        # Options of a sub-command are read by the sub-command's own parser.
        options = [] if self._subparsers is not None else option_names(words)
        for name in options:
            if name not in self._option_string_actions:
                self._check_change(name)
        chosen = namespace if isinstance(namespace, Options) else Options()
        actions = [self._option_string_actions.get(name) for name in options]
        chosen.given = {action.dest for action in actions if action is not None}
        _, rest = super().parse_known_args(words, chosen)
        return chosen, rest

    def parse_passing_on(self, arguments: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
        """As `parse_known_args`, for a command that hands unknown options to another command.

        Only those that are nearly one of its own are errors here.
        """
        for name in option_names(arguments):
            if name in self._option_string_actions:
                continue
            found = nearest(name, self._option_string_actions, near=0.75)
            if found is not None:
                self.error(f"unknown option {name}; did you mean {found}?")
        return super().parse_known_args(arguments)

    def _check_change(self, name: str) -> None:
        """End the command unless the configuration has a key of that name."""
        head, dot, tail = name.partition(".")
        if head[2:].replace("-", "_") in self.changes:
            return
        keys = [f"--{key}" for key in self.changes]
        found = nearest(head, keys if dot else [*self._option_string_actions, *keys])
        near = "; --help lists all" if found is None else f"; did you mean {found}{dot}{tail}?"
        self.error(f"unknown option {name}{near}")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is None or value in action.choices:
            return
        known = [str(choice) for choice in action.choices]
        name = "/".join(action.option_strings) or action.metavar or action.dest
        near = did_you_mean(str(value), known)
        raise argparse.ArgumentError(
            None, f"{name} {value!r} is unknown{near or ';'} choose from {', '.join(known)}"
        )

    def error(self, message: str) -> NoReturn:
        raise ValueError(message)


def option_names(words: Sequence[str]) -> list[str]:
    """The long options among the words of a command line, without their values."""
    if "--" in words:
        words = words[: words.index("--")]
    names = [word.partition("=")[0] for word in words if word.startswith("--")]
    return [name for name in names if " " not in name]


def refuse(chosen: argparse.Namespace, options: Iterable[str], reason: str) -> None:
    """`ValueError` with the reason if the command line names one of these options.

    Settings that would have no effect are refused, so that nobody believes they had one.
    """
    for option in options:
        if option in chosen.given:
            raise ValueError(f"--{option.replace('_', '-')}: {reason}")


def silence_libraries() -> None:
    """No progress bars of other libraries beside our own. Call before these are imported."""
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")  # transformers obeys it, too
