"""`make unreal`: the plugin with the native client's sources in it."""

from __future__ import annotations

import importlib.util
import re
import shutil
from pathlib import Path
from types import ModuleType

import pytest

from tests.unreal.plugin import NATIVE, PLUGIN, STUBS, compile_only

GENERATOR = shutil.which("nanopb_generator.py") or shutil.which("nanopb_generator")
SYSTEM = Path("/usr/include")


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("unreal_package", PLUGIN / "package.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


PACKAGE = load()


@pytest.fixture
def nanopb(tmp_path: Path) -> Path:
    """A folder with nanopb's files: the system's headers where there are any."""
    folder = tmp_path / "nanopb"
    folder.mkdir()
    for name in PACKAGE.NANOPB:
        if (SYSTEM / name).is_file():
            shutil.copy(SYSTEM / name, folder)
        else:
            (folder / name).write_text(f"/* {name} */\n", encoding="utf-8")
    return folder


@pytest.fixture
def packed(nanopb: Path, tmp_path: Path) -> Path:
    """The plugin as `make unreal` writes it, by the system's generator."""
    if GENERATOR is None:
        pytest.skip("nanopb's generator is missing: the plugin was not packaged")
    return PACKAGE.package(nanopb, tmp_path / "C2R", [GENERATOR]).parent


def test_the_module_has_the_client(packed: Path) -> None:
    module = packed / "Source" / "C2RClient"
    core = module / "Private" / "Core"
    assert {path.name for path in core.iterdir()} == {p.name for p in (NATIVE / "src").iterdir()}
    for header in (NATIVE / "include").iterdir():
        assert (module / "Public" / header.name).read_bytes() == header.read_bytes()
    messages = module / "Private" / "Messages" / "c2r" / "wire" / "v1" / "renderer.pb.c"
    assert "renderer.pb.h" in messages.read_text(encoding="utf-8")
    assert not (packed / "package.py").exists()


def test_every_include_of_the_client_is_in_reach(packed: Path) -> None:
    """Of the module's own include paths, the system's and the engine's libraries."""
    module = packed / "Source" / "C2RClient"
    rules = (module / "C2RClient.Build.cs").read_text(encoding="utf-8")
    private = re.findall(r'ModuleDirectory, "Private", "(\w+)"', rules)
    assert sorted(private) == ["Core", "Messages", "Nanopb"]
    paths = [module / "Public", *(module / "Private" / name for name in private)]
    outside = ("nghttp2/", "openssl/", "turbojpeg.h", "zstd.h", "lz4.h")
    for source in (module / "Private" / "Core").iterdir():
        text = source.read_text(encoding="utf-8")
        for name in re.findall(r'#include "([^"]+)"', text):
            assert any((path / name).is_file() for path in paths), f"{source.name}: {name}"
        for name in re.findall(r"#include <([^>]+\.h)>", text):
            if name.startswith("pb"):
                assert (module / "Private" / "Nanopb" / name).is_file()
            elif name.startswith(("nghttp2", "openssl", "turbo")):
                assert name.startswith(outside)


def test_the_client_compiles_with_the_modules_definitions(packed: Path, compiler: str) -> None:
    """Those sources that depend on which libraries are there; make native compiles every one."""
    if not all((SYSTEM / name).is_file() for name in ("pb.h", "turbojpeg.h")):
        pytest.skip("libraries of the native client are missing: its sources were not compiled")
    module = packed / "Source" / "C2RClient"
    rules = (module / "C2RClient.Build.cs").read_text(encoding="utf-8")
    defines = re.findall(r'PrivateDefinitions\.Add\("(\w+=1)"\)', rules)
    assert sorted(defines) == ["C2R_BUILDING=1", "C2R_WITH_JPEG=1", "C2R_WITH_OPENSSL=1"]
    flags = [f"-D{one}" for one in defines] + ["-include", str(STUBS / "hostile.h")]
    flags += [f"-I{module / 'Public'}"]
    flags += [f"-I{module / 'Private' / name}" for name in ("Core", "Messages", "Nanopb")]
    core = sorted((module / "Private" / "Core").glob("*.cpp"))
    chosen = [path for path in core if "C2R_WITH_" in path.read_text(encoding="utf-8")]
    assert len(chosen) >= 5
    for path in chosen:
        assert compile_only(path, flags, whole=True) == "", path.name


def test_a_wrong_folder_is_refused_with_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"lacks pb\.h.*git clone"):
        PACKAGE.package(tmp_path, tmp_path / "C2R", ["false"])


def test_a_generator_that_fails_says_what_it_needs(nanopb: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="pip install grpcio-tools"):
        PACKAGE.package(nanopb, tmp_path / "C2R", ["false"])


def test_another_folder_is_not_overwritten(nanopb: Path, tmp_path: Path) -> None:
    kept = tmp_path / "precious"
    kept.mkdir()
    (kept / "file").touch()
    with pytest.raises(ValueError, match="not a copy of the plugin"):
        PACKAGE.package(nanopb, kept, ["false"])
    assert (kept / "file").exists()
    assert PACKAGE.main(["--nanopb", str(nanopb), "--output", str(kept)]) == 1
