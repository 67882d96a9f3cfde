"""The code blocks of a Markdown document, in order, and a folder to run them in.

A block of `sh` is run command by command, a block of `python` as a program, and a block of `python`
with `file=NAME` is written there first. A comment line `<!-- run: KIND -->` before a block changes
what is expected of it; the kinds are those of `Runner`.
"""

from __future__ import annotations

import os
import re
import shlex
import socket
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LISTENING = "listening on "
READ_SETTINGS = (
    "import sys; from pathlib import Path; from trainer.phases import read_settings; "
    "read_settings(Path(sys.argv[1]), sys.argv[2:])"
)
HANG_S = 240.0
"""Only a guard against a command that never ends."""

_BLOCK = re.compile(
    r"(?:^<!-- run: (?P<kind>[^\n]+?) -->\n+)?^```(?P<lang>\w+)(?: file=(?P<file>\S+))?\n"
    r"(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    """One code block; `kind`: what its comment says, "" without one."""

    lang: str
    text: str
    kind: str
    file: str | None

    @property
    def commands(self) -> list[str]:
        """Shell commands, one a line; continuation lines are joined, comments dropped."""
        lines = re.sub(r"\s*\\\n\s*", " ", self.text).splitlines()
        bare = (line.split("  #")[0].split(" # ")[0].strip() for line in lines)
        return [line for line in bare if line and not line.startswith("#")]


def blocks(document: Path) -> list[Block]:
    """All blocks of a document."""
    found = _BLOCK.finditer(document.read_text(encoding="utf-8"))
    return [Block(m["lang"], m["text"], m["kind"] or "", m["file"]) for m in found]


@dataclass
class Runner:
    """Runs blocks in a folder that looks like the checkout; outputs stay in it.

    Ports 50xxx become free ones. Kinds: "needs weights" (published files that nobody has here: the
    command must stop at the first of them, by name), "torchrun" (its configuration is read and
    checked), "not here" (another machine's commands).
    """

    folder: Path
    ports: dict[str, str] = field(default_factory=dict)
    servers: list[subprocess.Popen[str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        for entry in ROOT.iterdir():
            if not entry.name.startswith(".") and entry.name not in ("out", "data", "engines"):
                (self.folder / entry.name).symlink_to(entry)
        bin_folder = self.folder / ".bin"
        bin_folder.mkdir()
        for name, command in (("c2r", f"{sys.executable} -m c2r"), ("python", sys.executable)):
            shim = bin_folder / name
            shim.write_text(f'#!/bin/sh\nexec {command} "$@"\n', encoding="utf-8")
            shim.chmod(0o755)
        path = f"{bin_folder}{os.pathsep}{os.environ['PATH']}"
        self.environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)}

    def close(self) -> None:
        """End the servers."""
        for server in self.servers:
            server.terminate()
        for server in self.servers:
            server.communicate(timeout=60)

    def run(self, block: Block) -> None:
        """Run a block; AssertionError with the output of a command that does not do its part."""
        if block.kind == "not here":
            return
        if block.file is not None:
            (self.folder / block.file).write_text(block.text, encoding="utf-8")
        elif block.lang == "python":
            self._finish([sys.executable, "-c", self._with_ports(block.text)])
        elif block.lang == "sh":
            for command in block.commands:
                self._command(command, block.kind)

    def _command(self, command: str, kind: str) -> None:
        if command.startswith("make "):
            targets = command.split()[1:]
            self._finish(["make", "--dry-run", *targets])
            return
        if kind == "torchrun":
            settings = command.split(" -m trainer.train --config ")[1].split()
            self._finish([sys.executable, "-c", READ_SETTINGS, *settings])
            return
        if kind == "needs weights":
            self._stops_at_a_missing_file(command)
        elif command.startswith("c2r serve"):
            self._serve(self._with_ports(command))
        else:
            self._finish(["bash", "-euo", "pipefail", "-c", self._with_ports(command)])

    def _run(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=HANG_S,
        )

    def _finish(self, command: list[str]) -> None:
        done = self._run(command)
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"

    def _stops_at_a_missing_file(self, command: str) -> None:
        done = self._run(shlex.split(command))
        named = [word for word in shlex.split(command) if "." in word]
        missing = [word for word in named if not (self.folder / word).exists()]
        assert done.returncode == 2, f"{command}\n{done.stdout}\n{done.stderr}"
        assert any(word in done.stderr for word in missing), done.stderr
        assert len(done.stderr.strip().splitlines()) <= 2, done.stderr

    def _serve(self, command: str) -> None:
        if "--port" not in command:
            command += f" --port {self._with_ports('50051')}"
        server = subprocess.Popen(
            shlex.split(command),
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.servers.append(server)
        assert server.stdout is not None
        line = server.stdout.readline()
        assert line.startswith(LISTENING), f"{command}: {line!r}"

    def _with_ports(self, text: str) -> str:
        return re.sub(r"\b50\d{3}\b", lambda found: self._port(found[0]), text)

    def _port(self, name: str) -> str:
        if name not in self.ports:
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                self.ports[name] = str(probe.getsockname()[1])
        return self.ports[name]
