"""Every source of the plugin against own declarations of the engine, for four engine versions."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unreal.plugin import MODULES, SOURCE, compile_only, module_flags, sources

pytestmark = pytest.mark.usefixtures("compiler")

VIEW_EXTENSION = SOURCE / "C2RRuntime" / "Private" / "C2RViewExtension"


@pytest.mark.parametrize("minor", [3, 4, 5, 6])
@pytest.mark.parametrize("module", MODULES)
def test_the_module_compiles(module: str, minor: int, engine: Path) -> None:
    of_module = [path for path in sources() if path.is_relative_to(SOURCE / module)]
    assert of_module
    for path in of_module:
        assert compile_only(path, module_flags(engine, minor)) == "", f"{path.name}, 5.{minor}"


def changed(folder: Path, old: str, new: str) -> Path:
    """The view extension's two files with a change; the source's path."""
    for suffix in (".h", ".cpp"):
        text = VIEW_EXTENSION.with_suffix(suffix).read_text(encoding="utf-8")
        (folder / f"C2RViewExtension{suffix}").write_text(text.replace(old, new), encoding="utf-8")
    return folder / "C2RViewExtension.cpp"


def compile_changed(folder: Path, engine: Path, minor: int, old: str, new: str) -> str:
    source = changed(folder, old, new)
    return compile_only(source, [f"-I{folder}", *module_flags(engine, minor)])


def test_the_unchanged_copy_compiles(tmp_path: Path, engine: Path) -> None:
    assert compile_changed(tmp_path, engine, 6, "nothing of this kind", "") == ""


@pytest.mark.parametrize(
    ("minor", "old", "new", "complaint"),
    [
        (6, "UE_VERSION_OLDER_THAN(5, 5, 0)", "1", "marked 'override', but does not override"),
        (3, "UE_VERSION_OLDER_THAN(5, 5, 0)", "0", "marked 'override', but does not override"),
        (6, "const FSceneViewExtensionContext&", "FSceneViewExtensionContext&", "override"),
        (6, "FScreenPassTexture AfterTonemap", "void AfterTonemap", "CreateRaw"),
        (6, "bool FC2RViewExtension::IsOurs", "int near; bool FC2RViewExtension::IsOurs", "error"),
    ],
    ids=["old signature", "new signature", "not const", "callback", "a name that is a macro"],
)
def test_a_wrong_signature_is_found(
    minor: int, old: str, new: str, complaint: str, tmp_path: Path, engine: Path
) -> None:
    said = compile_changed(tmp_path, engine, minor, old, new)
    said = said.replace("\N{LEFT SINGLE QUOTATION MARK}", "'")
    said = said.replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
    assert complaint in said
