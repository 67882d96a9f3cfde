"""The Unity package as files: manifest, assemblies, metas, syntax, and what must stay in step."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.table import FILE
from tests.native import native_abi as abi
from tests.unity.metas import assets, guid, meta_of, text
from tests.unity.unity_rig import HERE, PACKAGE, ROOT

SOURCES = sorted(PACKAGE.rglob("*.cs"))
OWN = SOURCES + sorted(HERE.rglob("*.cs"))
DEFINITIONS = sorted(PACKAGE.rglob("*.asmdef"))
UNITYS = {
    "Unity.RenderPipelines.Core.Runtime",
    "Unity.RenderPipelines.Universal.Runtime",
    "Unity.RenderPipelines.HighDefinition.Runtime",
    "UnityEngine.TestRunner",
    "UnityEditor.TestRunner",
}


def loaded(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_the_manifest_is_one():
    manifest = loaded(PACKAGE / "package.json")
    assert re.fullmatch(r"com\.[a-z0-9.-]+", manifest["name"])
    assert re.fullmatch(r"\d+\.\d+\.\d+", manifest["version"])
    assert manifest["unity"] == "2022.3"
    assert f"[{manifest['version']}]" in (PACKAGE / "CHANGELOG.md").read_text(encoding="utf-8")
    for sample in manifest["samples"]:
        assert list((PACKAGE / sample["path"]).glob("*.asmdef"))
    for key in ("documentationUrl", "changelogUrl", "licensesUrl"):
        assert (PACKAGE / manifest[key]).is_file()


@pytest.mark.parametrize("path", DEFINITIONS, ids=named)
def test_assembly_definitions_are_whole(path: Path):
    definition = loaded(path)
    assert definition["name"] == path.stem
    names = {one.stem for one in DEFINITIONS}
    assert set(definition["references"]) <= names | UNITYS
    assert definition["references"].count(definition["name"]) == 0
    for define in definition["versionDefines"]:
        assert define.keys() == {"name", "expression", "define"}
    pipelines = [one for one in definition["references"] if "RenderPipelines" in one]
    defined = {define["define"] for define in definition["versionDefines"]}
    # Without its pipeline in the project, an assembly must not be compiled at all.
    assert set(definition["defineConstraints"]) & defined if pipelines else not defined
    editor = "Editor" in path.parts[-2:][0]
    assert definition["includePlatforms"] == (["Editor"] if editor else [])


@pytest.mark.parametrize("path", DEFINITIONS, ids=named)
def test_unsafe_code_is_allowed_where_it_is(path: Path):
    own = [one for one in path.parent.rglob("*.cs") if _definition(one) == path]
    used = any(re.search(r"\bunsafe\b", _code(one)) for one in own)
    assert own
    assert loaded(path)["allowUnsafeCode"] is used


def _code(source: Path) -> str:
    """A file without its comments."""
    return re.sub(r"//.*", "", source.read_text(encoding="utf-8"))


def _definition(source: Path) -> Path:
    for folder in source.parents:
        if definitions := list(folder.glob("*.asmdef")):
            return definitions[0]
    raise AssertionError(f"{source} belongs to no assembly")


def test_every_asset_has_its_meta_and_no_meta_is_alone():
    there = list(assets())
    assert {meta_of(path) for path in there} == set(PACKAGE.rglob("*.meta"))
    for path in there:
        assert meta_of(path).read_text(encoding="utf-8") == text(path), named(path)
    assert len({guid(path) for path in there}) == len(there)


@pytest.mark.parametrize("path", OWN, ids=named)
def test_every_file_parses(path: Path):
    tree_sitter = pytest.importorskip("tree_sitter", reason="C# was not parsed: no tree-sitter")
    grammar = pytest.importorskip("tree_sitter_c_sharp", reason="C# was not parsed: no grammar")
    parser = tree_sitter.Parser(tree_sitter.Language(grammar.language()))
    tree = parser.parse(path.read_bytes())
    assert not tree.root_node.has_error, _first_error(tree.root_node)


def _first_error(node: Any) -> str:
    for child in node.children:
        if child.has_error:
            return _first_error(child)
    return f"line {node.start_point[0] + 1}: {node.type}"


@pytest.mark.parametrize("path", SOURCES, ids=named)
def test_files_are_short_and_say_what_they_are(path: Path):
    lines = path.read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 350
    assert max(map(len, lines)) <= 130
    if path.name != "AssemblyInfo.cs":
        assert any("/// <summary>" in line or line.startswith("//") for line in lines)


def test_structures_have_the_fields_of_the_header():
    """Their sizes are compared with the library at run time."""
    source = "".join(
        (PACKAGE / "Runtime" / "Interop" / f"{name}.cs").read_text(encoding="utf-8")
        for name in ("NativeRequests", "NativeAnswers")
    )
    # C2R's plugin brings no TLS layer of its own, so that c2r_tls has no counterpart.
    for name, structure in abi.STRUCTS.items():
        if name == "c2r_tls":
            continue
        counterpart = "Native" + name.removeprefix("c2r_").title()
        body = re.search(rf"struct {counterpart}\s*{{(.*?)\n    }}", source, re.DOTALL)
        assert body is not None, counterpart
        fields = re.findall(r"public (?:fixed )?[\w*]+ (\w+)(?:\[[\w.]+\])?;", body[1])
        declared: Any = structure._fields_
        wanted = [field[0].replace("_", "") for field in declared]
        assert [field.lower() for field in fields] == wanted, counterpart


def test_only_calls_of_the_header_are_imported():
    header = (abi.INCLUDE / "c2r_client.h").read_text(encoding="utf-8")
    source = _code(PACKAGE / "Runtime/Interop/NativeMethods.cs")
    imported = set(re.findall(r"extern \w+ (c2r_\w+)\(", source))
    exported = set(re.findall(r"C2R_API .*?(c2r_\w+)\(", header))
    assert imported <= exported
    assert len(imported) > 15
    # Nothing that needs marshalling, or calls back: IL2CPP would have to know of it.
    assert not re.search(r"delegate|MarshalAs|Action|Func|string\W+\w+[,)]", source)


def test_enumerations_have_the_headers_numbers():
    source = (PACKAGE / "Runtime/Interop/NativeEnums.cs").read_text(encoding="utf-8")
    prefixes = {
        "NativeCode": "C2R_E_",
        "NativeState": "C2R_STATE_",
        "NativeOutcome": "C2R_OUTCOME_",
        "NativePixels": "C2R_PIXELS_",
        "NativeRows": "C2R_ROWS_",
        "NativeDepthFormat": "C2R_DEPTH_",
        "NativeStruct": "C2R_STRUCT_",
    }
    for name, prefix in prefixes.items():
        body = re.search(rf"enum {name}[^{{]*{{(.*?)}}", source, re.DOTALL)
        assert body is not None
        for member, number in re.findall(r"(\w+) = (-?\d+)", body[1]):
            snake = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", member).upper()
            header_name = "C2R_OK" if snake == "OK" else prefix + snake
            assert abi.NUMBERS[header_name] == int(number), f"{name}.{member}"


def test_public_numbers_are_those_of_the_native_ones():
    types = (PACKAGE / "Runtime/Component/C2RTypes.cs").read_text(encoding="utf-8")
    enums = (PACKAGE / "Runtime/Interop/NativeEnums.cs").read_text(encoding="utf-8")

    def numbers(source: str, name: str) -> list[int]:
        body = re.search(rf"enum {name}[^{{]*{{(.*?)\n    }}", source, re.DOTALL)
        assert body is not None
        return sorted(int(one) for one in re.findall(r"= (-?\d+)", body[1]))

    assert numbers(types, "C2RState") == numbers(enums, "NativeState")
    public = [one for one in numbers(types, "C2RError") if one > -100]
    assert public == numbers(enums, "NativeCode")


def test_the_packages_copy_of_the_conformance_table_is_the_table():
    copy = PACKAGE / "Tests/Runtime/Resources/C2R/conventions.json"
    assert copy.read_bytes() == FILE.read_bytes()


def test_the_shader_has_the_numbers_of_its_counterpart_in_c_sharp():
    folder = PACKAGE / "Runtime"
    shader = (folder / "Shaders/Resources/C2R/C2RCanonical.shader").read_text(encoding="utf-8")
    counterpart = (folder / "Internal/Canonical.cs").read_text(encoding="utf-8")
    for number in ("0.0031308", "12.92", "1.055", "2.4", "0.055"):
        assert number in shader
        assert number in counterpart
    assert shader.count("CGPROGRAM") == shader.count("ENDCG") - 1 == shader.count('Name "')
    assert shader.count("{") == shader.count("}")
    source = (folder / "Internal/Canonicaliser.cs").read_text(encoding="utf-8")
    passes = [int(one) for one in re.findall(r"Pass = (\d);", source)]
    assert passes == list(range(shader.count('Name "')))
    for name in re.findall(r'PropertyToID\("(\w+)"\)', source):
        assert name in shader


def test_loaded_shaders_are_there():
    for path in SOURCES:
        for name in re.findall(r'ShaderName = "([\w/]+)"', path.read_text(encoding="utf-8")):
            assert (PACKAGE / "Runtime/Shaders/Resources" / f"{name}.shader").is_file()


def test_links_of_the_documentation_lead_somewhere():
    for path in [*PACKAGE.glob("*.md"), *(PACKAGE / "Documentation~").glob("*.md")]:
        for link in re.findall(r"\]\(([^)]+)\)", path.read_text(encoding="utf-8")):
            assert link.startswith("http") or (path.parent / link).exists(), f"{path}: {link}"


def test_steps_of_the_documentation_name_what_there_is():
    steps = (PACKAGE / "Documentation~/index.md").read_text(encoding="utf-8")
    editor = "".join(path.read_text(encoding="utf-8") for path in SOURCES)
    for menu in ("Tools/C2R/Install Native Library", "Window/C2R/Buffers"):
        assert menu.replace("/", " > ") in steps
        assert f'"{menu}"' in editor
    assert [int(one) for one in re.findall(r"^(\d+)\. ", steps, re.MULTILINE)] == list(range(1, 10))
