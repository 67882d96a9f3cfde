"""The package as a whole: what importing it brings in, and whether its stubs are up to date."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

from c2r.wire import v1
from c2r.wire.v1 import renderer_pb2 as pb

ROOT = Path(__file__).resolve().parents[2]
PROTO = ROOT / "proto" / "c2r" / "wire" / "v1" / "renderer.proto"


def modules_after(statement: str) -> set[str]:
    code = f"import json, sys; {statement}; print(json.dumps(sorted(sys.modules)))"
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    return set(json.loads(run.stdout))


def test_importing_the_wire_brings_in_nothing_heavy() -> None:
    modules = modules_after("import c2r.wire")
    assert "c2r.wire.convert" in modules
    heavy = {"torch", "av", "grpc", "transformers", "zstandard", "lz4", "simplejpeg", "PIL"}
    assert not modules & heavy


def test_stubs_were_generated_from_the_contract_as_it_is() -> None:
    text = PROTO.read_text(encoding="utf-8")
    digest = hashlib.sha256(text.encode()).hexdigest()
    assert digest == v1.PROTO_SHA256, "run `make proto`"


def test_the_service_has_the_calls_of_the_contract() -> None:
    service = pb.DESCRIPTOR.services_by_name["RenderService"]
    assert service.full_name == "c2r.wire.v1.RenderService"
    calls = {call.name: (call.client_streaming, call.server_streaming) for call in service.methods}
    assert calls == {"RenderStream": (True, True), "GetServerInfo": (False, False)}


def test_no_name_collides_with_a_windows_macro() -> None:
    macros = {"near", "far", "small", "interface", "in", "out", "min", "max", "error", "delete"}
    names = {
        field.name
        for message in pb.DESCRIPTOR.message_types_by_name.values()
        for field in message.fields
    } | set(pb.DESCRIPTOR.message_types_by_name)
    assert not {name for name in names if name.lower() in macros or name == "GetObject"}
