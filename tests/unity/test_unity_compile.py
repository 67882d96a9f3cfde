"""Every assembly of the Unity package, compiled as Unity would: one by one, against stubs."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.unity.unity_rig import ENGINE, RUNTIME, Assembly, built, compile_assembly

STUBS = "tests/unity/stubs"
CORE = ("UnityEngine", "C2R.Runtime")

PIPELINES = {
    "URP 14": (
        Assembly("Universal", (f"{STUBS}/Universal14/*.cs",), ("UnityEngine",)),
        Assembly(
            "C2R.Universal",
            ("unity_plugin/Runtime/Universal/*.cs",),
            (*CORE, "Universal"),
            ("C2R_URP",),
        ),
    ),
    "URP 17": (
        Assembly("Universal", (f"{STUBS}/Universal17/*.cs",), ("UnityEngine",)),
        Assembly(
            "C2R.Universal",
            ("unity_plugin/Runtime/Universal/*.cs",),
            (*CORE, "Universal"),
            ("C2R_URP", "C2R_URP_17"),
        ),
    ),
    "HDRP": (
        Assembly("HighDefinition", (f"{STUBS}/HighDefinition/*.cs",), ("UnityEngine",)),
        Assembly(
            "C2R.HighDefinition",
            ("unity_plugin/Runtime/HighDefinition/*.cs",),
            (*CORE, "HighDefinition"),
            ("C2R_HDRP",),
        ),
    ),
    "editor": (
        Assembly("UnityEditor", (f"{STUBS}/UnityEditor/*.cs",), ("UnityEngine",)),
        Assembly("C2R.Editor", ("unity_plugin/Editor/*.cs",), (*CORE, "UnityEditor")),
    ),
    "tests": (
        Assembly("NUnit", (f"{STUBS}/NUnit/*.cs",)),
        Assembly("C2R.Tests", ("unity_plugin/Tests/Runtime/*.cs",), (*CORE, "NUnit")),
    ),
    "sample": (Assembly("C2R.Samples.Street", ("unity_plugin/Samples~/Street/*.cs",), CORE),),
}


@pytest.mark.parametrize("pipeline", PIPELINES)
def test_each_assembly_compiles_without_a_warning(pipeline: str, tmp_path: Path):
    shutil.copytree(built(ENGINE, RUNTIME), tmp_path, dirs_exist_ok=True)
    for assembly in PIPELINES[pipeline]:
        compile_assembly(assembly, tmp_path)
        assert (tmp_path / assembly.file).stat().st_size > 2048


@pytest.mark.parametrize("define", ["UNITY_EDITOR", "UNITY_IOS"])
def test_the_runtime_compiles_for_other_targets(define: str, tmp_path: Path):
    shutil.copytree(built(ENGINE, RUNTIME), tmp_path, dirs_exist_ok=True)
    other = Assembly(RUNTIME.name, RUNTIME.sources, RUNTIME.needs, (define,))
    compile_assembly(other, tmp_path)
