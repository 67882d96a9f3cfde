"""The descriptor, the build rules, the shaders and the reflected types: read, not compiled."""

from __future__ import annotations

import configparser
import json
import re
from pathlib import Path

import pytest

from tests.unreal.plugin import MODULES, PLUGIN, SOURCE, reflected

DESCRIPTOR = json.loads((PLUGIN / "C2R.uplugin").read_text(encoding="utf-8"))
SHADERS = PLUGIN / "Shaders"
CODE = (SOURCE / "C2RRuntime" / "Private" / "C2RShaders.h").read_text(encoding="utf-8")
REGISTERED = (SOURCE / "C2RRuntime" / "Private" / "C2RShaders.cpp").read_text(encoding="utf-8")
ENGINE_MODULES = {
    "Core", "CoreUObject", "DeveloperSettings", "Engine", "InputCore", "Projects", "RHI",
    "RenderCore", "Renderer", "Slate", "SlateCore", "UnrealEd", "WorkspaceMenuStructure",
}  # fmt: skip


def build_rules(module: str) -> str:
    return (SOURCE / module / f"{module}.Build.cs").read_text(encoding="utf-8")


def test_modules_and_when_they_load() -> None:
    phases = {one["Name"]: (one["Type"], one["LoadingPhase"]) for one in DESCRIPTOR["Modules"]}
    assert phases == {
        "C2RClient": ("Runtime", "PostConfigInit"),
        "C2RRuntime": ("Runtime", "PostConfigInit"),
        "C2REditor": ("Editor", "Default"),
    }
    assert DESCRIPTOR["FileVersion"] == 3
    for one in DESCRIPTOR["Modules"]:
        assert one["PlatformAllowList"] == DESCRIPTOR["SupportedTargetPlatforms"]


@pytest.mark.parametrize("module", MODULES)
def test_build_rules(module: str) -> None:
    text = build_rules(module)
    assert f"public class {module} : ModuleRules" in text
    assert f"public {module}(ReadOnlyTargetRules Target) : base(Target)" in text
    assert text.count("{") == text.count("}")
    assert text.count("(") == text.count(")")
    lists = re.findall(r"DependencyModuleNames\.Add(?:Range)?\((.*?)\);", text, re.DOTALL)
    names = set(re.findall(r'"(\w+)"', " ".join(lists)))
    assert names <= ENGINE_MODULES | set(MODULES)
    assert module not in names


@pytest.mark.parametrize("module", MODULES)
def test_a_module_names_what_it_includes(module: str) -> None:
    """Headers of another module of the plugin need it among the dependencies, and be public."""
    text = build_rules(module)
    owners = {path.name: path for path in SOURCE.rglob("*.h")}
    for source in (path for path in (SOURCE / module).rglob("*") if path.suffix in (".h", ".cpp")):
        for name in re.findall(r'#include "([^"]+)"', source.read_text(encoding="utf-8")):
            owner = owners.get(name)
            if owner is None or owner.is_relative_to(SOURCE / module):
                continue
            other = owner.relative_to(SOURCE).parts
            assert f'"{other[0]}"' in text, f"{source.name} includes {name}"
            assert other[1] == "Public", f"{source.name} includes {name}, which is private"
    if "c2r_client.h" in "".join(p.read_text() for p in (SOURCE / module).rglob("*.cpp")):
        assert module == "C2RClient" or '"C2RClient"' in text


def test_every_module_is_implemented_once() -> None:
    for module in MODULES:
        texts = (path.read_text(encoding="utf-8") for path in (SOURCE / module).rglob("*.cpp"))
        modules = re.findall(r"IMPLEMENT_MODULE\(\w+, (\w+)\)", "\n".join(texts))
        assert modules == [module]


def test_what_the_packager_copies_exists() -> None:
    parser = configparser.ConfigParser(allow_no_value=True, delimiters=("=",), comment_prefixes=";")
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read(PLUGIN / "Config" / "FilterPlugin.ini")
    for line in parser["FilterPlugin"]:
        path = PLUGIN / line.removeprefix("/").removesuffix("/...")
        assert path.exists() or "Nanopb" in line, line


SHADER_CLASSES = re.findall(r"IMPLEMENT_GLOBAL_SHADER\((\w+), \"([^\"]+)\", \"(\w+)\"", REGISTERED)


def shader_text(name: str) -> str:
    return (SHADERS / name).read_text(encoding="utf-8")


@pytest.mark.parametrize(("name", "file", "entry"), SHADER_CLASSES)
def test_shader_parameters_are_the_shaders_globals(name: str, file: str, entry: str) -> None:
    assert file.startswith("/Plugin/C2R/")
    text = shader_text(file.removeprefix("/Plugin/C2R/"))
    assert re.search(rf"\bvoid {entry}\(", text)
    body = CODE.split(f"class {name} ")[1].split("END_SHADER_PARAMETER_STRUCT")[0]
    given = set(
        re.findall(r"SHADER_PARAMETER(?:_RDG_TEXTURE(?:_UAV)?|_SAMPLER)?\(.+, (\w+)\)", body)
    )
    assert given
    declared = set(re.findall(r"^[\w<>]+ (\w+);", text, re.MULTILINE))
    assert given <= declared
    function = re.split(rf"\bvoid {entry}\(", text)[1].split("\n}\n")[0]
    used = {word for word in declared if re.search(rf"\b{word}\b", function)}
    if "SampleColour(" in function:
        used |= {"ColourTexture", "ColourSampler", "SourceRect"}
    assert used == given


def test_shaders_include_files_that_exist() -> None:
    for path in SHADERS.iterdir():
        for name in re.findall(r'#include "/Plugin/C2R/(.+)"', path.read_text(encoding="utf-8")):
            assert (SHADERS / name).is_file()


@pytest.mark.parametrize("name", ["C2RCapture.usf", "C2RPresent.usf", "C2RCanonical.ush"])
def test_shader_brackets_are_balanced(name: str) -> None:
    text = re.sub(r"//.*", "", shader_text(name))
    for opening, closing in ("()", "{}", "[]"):
        assert text.count(opening) == text.count(closing)


REFLECTED = sorted(path for path in SOURCE.rglob("*.h") if reflected(path))


@pytest.mark.parametrize("header", REFLECTED, ids=lambda path: path.name)
def test_the_header_tools_rules(header: Path) -> None:
    """Rules of UnrealHeaderTool that no C++ compiler knows."""
    text = header.read_text(encoding="utf-8")
    includes = re.findall(r'#include "([^"]+)"', text)
    assert includes[-1] == f"{header.stem}.generated.h", "the generated header comes last"
    for kind, name in re.findall(r"(?:^|\n)(?:class|struct) C2RRUNTIME_API (\w)(\w+)", text):
        assert kind in "UAF", name
    for enum in re.findall(r"UENUM\(BlueprintType\)\nenum class (\w+)( : uint8)?", text):
        assert enum[1], f"{enum[0]}: Blueprints know enums of uint8 only"
    visible = re.findall(
        r"UPROPERTY\([^)]*(?:Blueprint|EditAnywhere)[^\n]*\n\s*([\w:<>*]+) \w+", text
    )
    assert not set(visible) & {"uint64", "uint32", "uint16", "int16", "size_t"}, visible
    for signature in re.findall(r"UFUNCTION\([^\n]*\n\s*([^\n;]+);", text):
        assert not re.search(r"\b(uint64|uint32|TSharedPtr|TUniquePtr|std::)", signature), signature
    for specifiers in re.findall(r"UFUNCTION\(([^\n]*)\)", text):
        assert "Category" in specifiers, "a function of a plugin needs a category"
    assert "#if" not in text.split(".generated.h")[1], "the header tool skips most conditions"
