"""Teacher forcing: the mask, the control of both copies, levels by block."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch._dynamo.exc import FailOnRecompileLimitHit
from torch._dynamo.testing import CompileCounterWithBackend

from c2r.models.attention import block_causal, teacher_forcing
from c2r.models.dit import DiT
from tests.trainer.distill.conftest import STREAM
from trainer.distill.rollout_plan import (
    RolloutPlan,
    draw_rollout_plan,
    frames_of,
    longest_at,
    ping_pong_indices,
)
from trainer.distill.settings import DmdConfig
from trainer.phases import phase_settings
from trainer.phases.autoregress import block_levels, context_of


def allowed(row: int, column: int, latents: int, chunk: int, window: int, sink: int) -> bool:
    """Whether a query latent may see a key latent, from the words of the rule alone."""
    own, other = row % latents // chunk, column % latents // chunk
    clean_query, clean_key = row < latents, column < latents
    if not clean_key:
        return not clean_query and own == other
    if other > own or (other == own and not clean_query):
        return False
    end = min((own + 1) * chunk, latents)
    place = column % latents
    return place < sink or place >= end - (window - sink) or end <= window


@pytest.mark.parametrize(
    ("latents", "chunk", "window", "sink"),
    [(6, 2, 6, 0), (7, 3, 9, 3), (8, 2, 4, 1), (5, 1, 3, 1), (9, 3, 6, 3), (4, 1, 1, 0)],
)
def test_mask_truth_table(latents, chunk, window, sink):
    found = teacher_forcing(latents, chunk, window=window, sink=sink).dense()
    for row in range(2 * latents):
        for column in range(2 * latents):
            expected = allowed(row, column, latents, chunk, window, sink)
            assert bool(found[row, column]) == expected, (row, column)
    clean = block_causal(latents, chunk, window=window, sink=sink).dense()
    assert torch.equal(found[:latents, :latents], clean)


def test_both_copies_get_the_control_of_their_latent(loop_of, monkeypatch):
    loop = loop_of("autoregress", model={"frames": 9})
    seen: dict[str, Any] = {}
    plain = DiT.forward

    def spy(self, x, timestep, text, *, control, mask, **more):
        seen.update(x=x, timestep=timestep, tokens=control.tokens, mask=mask)
        return plain(self, x, timestep, text, control=control, mask=mask, **more)

    monkeypatch.setattr(DiT, "forward", spy)
    batch = loop.dataset.batch([0, 1])
    losses = loop.phase.losses(batch, 0)
    assert seen["x"].shape[1] == 6
    assert torch.equal(seen["tokens"][:, :3], seen["tokens"][:, 3:])
    assert not torch.equal(seen["tokens"][:, 0], seen["tokens"][:, 2])
    clean = loop.phase.encoders.latents(batch)
    assert torch.equal(seen["x"][:, :3], clean)
    assert not torch.equal(seen["x"][:, 3:], clean)
    assert not seen["timestep"][:, :3].any(), "the clean half is clean"
    noisy = seen["timestep"][:, 3:]
    assert torch.equal(noisy[:, 0], noisy[:, 1]), "one level a block of two"
    assert (noisy[:, 1] != noisy[:, 2]).all(), "another for the next block"
    assert seen["mask"].dense().equal(teacher_forcing(3, 2, window=4, sink=1).dense())
    assert losses.samples.shape == (2,)


def test_context_noise_is_the_one_of_serving():
    clean = torch.randn(2, 3, 16, 4, 6)
    config = phase_settings({"model": {"stream": {"context_noise": 250.0}}})
    context, level = context_of(clean, config, (4, 5))
    assert level == 0.25
    drawn = (context - 0.75 * clean) / 0.25
    assert drawn.std() == pytest.approx(1, abs=0.1)
    assert context_of(clean, phase_settings({}), (4, 5))[0] is clean
    assert block_levels(phase_settings({"data": {"frames": 9}}), (4, 5)).shape == (2, 3)


def test_courses():
    plan = RolloutPlan(7, range(2, 5), place=0.6)
    assert plan.blocks(3) == [range(3), range(3, 6), range(6, 7)]
    assert [plan.reached(block) for block in plan.blocks(3)] == [True, True, False]
    assert [plan.exit_of(block, 4) for block in plan.blocks(3)] == [2, 2, None]
    assert plan.exit_of(range(3), 2) == 1
    assert RolloutPlan(3, range(3)).exit_of(range(3), 4) is None
    assert RolloutPlan(3, range(3), place=0.999999).exit_of(range(3), 1) == 0
    assert frames_of(range(3)) == slice(0, 9)
    assert frames_of(range(3, 6)) == slice(9, 21)
    assert ping_pong_indices(4, 11).tolist() == [0, 1, 2, 3, 2, 1, 0, 1, 2, 3, 2]
    assert ping_pong_indices(1, 3).tolist() == [0, 0, 0]
    growing = DmdConfig(longest=13, grow_from=10, grow_until=20)
    assert [longest_at(growing, 3, step) for step in (0, 9, 10, 15, 20, 99)] == [3, 3, 3, 8, 13, 13]
    assert longest_at(DmdConfig(), 3, 50) == 3


@pytest.mark.parametrize("recompute", [False, True])
def test_compiled_blocks_share_a_graph(loop_of, recompute, monkeypatch):
    """Else dynamo would give up on the ninth block and leave the others uncompiled."""
    torch._dynamo.reset()
    counter = CompileCounterWithBackend("eager")
    torch._dynamo.register_backend(counter, name=f"counting-{recompute}")
    parallel = {"recompute": recompute, "compile": True, "compile_backend": f"counting-{recompute}"}
    loop = loop_of("autoregress", model={"frames": 9}, parallel=parallel)
    batch = loop.dataset.batch([0, 1])
    loop.phase.losses(batch, 0).total.backward()
    assert loop.phase.student.dit.config.layers == 3
    assert counter.frame_count == 1


def test_every_form_of_a_block_is_compiled(loop_of):
    """Phase consistency has more than dynamo keeps by default; it would give up on the rest."""
    torch._dynamo.reset()
    few: dict[str, Any] = {"recompile_limit": 2, "fail_on_recompile_limit_hit": True}
    parallel = {"recompute": False, "compile": True, "compile_backend": "eager"}
    with torch._dynamo.config.patch(**few):
        loop = loop_of("consistency", parallel=parallel, distil={"steps": 4})
        batch = loop.dataset.batch([0, 1])
        loop.phase.losses(batch, 0).total.backward()
    torch._dynamo.reset()
    with torch._dynamo.config.patch(**few), pytest.raises(FailOnRecompileLimitHit):
        loop.phase.losses(batch, 0)
    torch._dynamo.reset()


def test_samples_longer_than_the_window_need_no_sink(loop_of):
    """Forced, the sink is as far away as it is in the clip; streamed, it is beside the window."""
    with pytest.raises(ValueError, match=r"data\.frames to 9 or sink to 0"):
        loop_of("autoregress", model={"frames": 13, "stream": STREAM | {"window": 3}})


def test_a_first_chunk_of_its_own_is_the_servers(loop_of):
    with pytest.raises(ValueError, match=r"first_chunk is for serving"):
        loop_of("autoregress", model={"stream": STREAM | {"first_chunk": 1}})


def test_consistency_needs_the_served_levels_on_its_path(loop_of):
    with pytest.raises(ValueError, match=r"distil\.steps 6 has no level"):
        loop_of("consistency", distil={"steps": 6})


def test_framewise_students_score_their_beginning_before_rollouts_grow():
    stream = {"chunk": 1, "window": 4}
    changes = {"phase": "dmd", "data": {"frames": 9}, "model": {"stream": stream}}
    config = phase_settings(changes)
    assert {draw_rollout_plan(config, config.dmd, step).scored for step in range(40)} == {range(3)}
