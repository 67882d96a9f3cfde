"""Saving: names, shards, and that nothing half written ever has a final name."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from diffusers import WanTransformer3DModel
from safetensors import SafetensorError, safe_open
from torch import Tensor

from c2r.models.dit import DiT
from c2r.weights import save
from c2r.weights.folders import open_source
from c2r.weights.networks import load_control, load_dit
from c2r.weights.save import save_weights
from c2r.weights.sources import open_file
from tests.small_networks import make_adapter

State = dict[str, Tensor]
Same = Callable[..., bool]


def test_one_file_in_official_names(tmp_path: Path, dit: DiT, state: State, same: Same) -> None:
    path = tmp_path / "new" / "student.safetensors"
    assert save_weights(dit, path, metadata={"step": "100"}) == [path]
    assert open_file(path).entries.keys() == state.keys()
    with safe_open(path, framework="pt") as file:
        assert file.metadata() == {"format": "pt", "step": "100"}
    assert same(load_dit(path, dit.config, dtype=torch.float32), state)
    assert [x.name for x in path.parent.iterdir()] == [path.name]


def test_shards_with_an_index(tmp_path: Path, dit: DiT, state: State, same: Same) -> None:
    files = save_weights(dit, tmp_path, max_shard_size="100KB", metadata={"step": "1"})
    assert len(files) > 3
    assert sorted(files) == sorted(tmp_path.iterdir())
    index = json.loads(files[-1].read_text())
    assert index["metadata"]["step"] == "1"
    assert index["weight_map"].keys() == state.keys()
    assert all(file.stat().st_size < 120_000 for file in files)
    assert same(load_dit(tmp_path, dit.config, dtype=torch.float32), state)


@pytest.mark.parametrize("max_shard_size", ["5GB", "100KB"])
def test_diffusers_loads_its_layout(tmp_path: Path, dit: DiT, max_shard_size: str) -> None:
    files = save_weights(dit, tmp_path, layout="diffusers", max_shard_size=max_shard_size)
    assert files[-1].name == "config.json"
    theirs, report = WanTransformer3DModel.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(report.values())
    assert torch.equal(
        theirs.blocks[1].attn2.to_out[0].weight, dit.state_dict()["blocks.1.cross_attn.o.weight"]
    )
    assert torch.equal(theirs.scale_shift_table, dit.state_dict()["head.modulation"])
    assert theirs.config.num_attention_heads == dit.config.heads


def test_views_of_one_storage_are_counted_by_their_own_size(tmp_path: Path, state: State) -> None:
    """Tensors of a mapped file all have the whole file behind them."""
    flat = torch.cat([tensor.flatten() for tensor in state.values()])
    parts = flat.split([tensor.numel() for tensor in state.values()])
    views = {name: part.view(state[name].shape) for name, part in zip(state, parts, strict=True)}
    files = save_weights(views, tmp_path, max_shard_size="100KB")
    size = 4 * flat.numel()
    assert size / 100_000 < len(files) - 1 < 2 * size / 100_000
    source = open_source(tmp_path)
    assert all(torch.equal(source.read(name), state[name]) for name in state)


@pytest.mark.parametrize("prefix", ["", "pipe.dit."])
def test_control_is_saved_apart(tmp_path: Path, same: Same, prefix: str) -> None:
    adapter = make_adapter()
    expected = {name: tensor + 1 for name, tensor in adapter.state_dict().items()}
    files = save_weights(expected, tmp_path, layout="c2r-adapter", prefix=prefix)
    assert [file.name for file in files] == ["model.safetensors"]
    assert open_file(files[0]).entries.keys() == {prefix + name for name in expected}
    load_control(tmp_path, adapter, dtype=torch.float32)
    assert same(adapter, expected)


def test_non_contiguous_tensors_are_saved_as_seen(tmp_path: Path) -> None:
    turned = torch.arange(6.0).reshape(2, 3).T
    save_weights({"head.modulation": turned}, tmp_path / "x.safetensors")
    assert torch.equal(open_file(tmp_path / "x.safetensors").read("head.modulation"), turned)


@pytest.mark.parametrize("layout", ["c2r-adapter", "taehv", "official"])
def test_a_layout_that_the_weights_cannot_have(tmp_path: Path, dit: DiT, layout: str) -> None:
    with pytest.raises(ValueError, match="are of layout wan and cannot be saved as"):
        save_weights(dit, tmp_path / "x.safetensors", layout=layout)
    assert not list(tmp_path.iterdir())


def test_diffusers_names_need_a_plain_wan_dit(tmp_path: Path, state: State) -> None:
    state["blocks.0.gate"] = torch.zeros(1)
    with pytest.raises(ValueError, match="whole Wan DiTs"):
        save_weights(state, tmp_path / "x.safetensors", layout="diffusers")
    with pytest.raises(ValueError, match="layout unknown"):
        save_weights({"gate": torch.zeros(1)}, tmp_path / "x.safetensors", layout="diffusers")


def test_a_single_file_is_replaced(tmp_path: Path, dit: DiT, state: State, same: Same) -> None:
    save_weights({name: tensor * 0 for name, tensor in state.items()}, tmp_path)
    save_weights(dit, tmp_path)
    assert len(list(tmp_path.iterdir())) == 1
    assert same(load_dit(tmp_path, dit.config, dtype=torch.float32), state)


@pytest.mark.parametrize(
    ("first", "second"), [("5GB", "100KB"), ("100KB", "5GB"), ("100KB", "80KB")]
)
def test_shards_never_mix_with_other_weights(
    tmp_path: Path, dit: DiT, first: str, second: str
) -> None:
    save_weights(dit, tmp_path, max_shard_size=first)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(FileExistsError, match="already holds other weights"):
        save_weights(dit, tmp_path, max_shard_size=second)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def half_written(tensors: object, path: Path, metadata: object) -> None:
    path.write_bytes(b"half")
    raise SafetensorError("I/O error: No space left on device (os error 28)")


def test_a_full_disk_keeps_the_old_file(
    tmp_path: Path, dit: DiT, state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.safetensors"
    save_weights(dit, path)
    before = path.read_bytes()
    monkeypatch.setattr(save, "save_file", half_written)
    with pytest.raises(OSError, match=r"x.safetensors could not be written .*is there room for it"):
        save_weights({name: tensor * 2 for name, tensor in state.items()}, path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="limits the file size of a child process")
def test_a_real_write_error_leaves_nothing(tmp_path: Path, dit: DiT) -> None:
    import resource  # not on Windows

    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        try:
            save_weights(dit, tmp_path / "x.safetensors")
        except OSError:
            os._exit(7)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("written", [0, 1, 3])
def test_a_kill_between_shards_leaves_no_checkpoint_that_loads(
    tmp_path: Path,
    dit: DiT,
    state: State,
    same: Same,
    written: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whole shards may be there, an index never; the same save, run again, completes."""
    done: list[Path] = []
    finish = save._finish

    def killed(partial: Path, path: Path) -> Path:
        if len(done) == written:
            raise KeyboardInterrupt
        done.append(path)
        return finish(partial, path)

    with monkeypatch.context() as patch:
        patch.setattr(save, "_finish", killed)
        with pytest.raises(KeyboardInterrupt):
            save_weights(dit, tmp_path, max_shard_size="100KB")
    assert sorted(tmp_path.iterdir()) == sorted(done)
    for path in done:
        assert open_file(path).entries
    with pytest.raises((ValueError, FileNotFoundError), match=r"cut off|holds no weights"):
        load_dit(tmp_path, dit.config)
    save_weights(dit, tmp_path, max_shard_size="100KB")
    assert same(load_dit(tmp_path, dit.config, dtype=torch.float32), state)
