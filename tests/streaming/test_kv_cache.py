"""The cache against passes without one, while it holds everything and after it forgets."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from c2r.models.attention import block_causal, teacher_forcing
from c2r.models.configs import DiTConfig, StreamConfig
from c2r.models.dit import DiT
from c2r.models.presets import get_preset
from c2r.models.rope import shift_time
from c2r.streaming.kv_cache import CacheSpec, KVCache
from tests.small_networks import DIT

TOKENS = 12
NOISY, CLEAN = torch.tensor([625.0]), torch.tensor([0.0])


def make_cache(window: int, sink: int = 0, dit: DiTConfig = DIT) -> KVCache:
    stream = StreamConfig(chunk=1, window=window, sink=sink)
    return KVCache(CacheSpec.of(dit, stream, TOKENS))


@torch.no_grad()
def stream_through(dit: DiT, cache, clean, noisy, text, chunk: int) -> torch.Tensor:
    """Velocity of every noisy chunk, each seen after the clean ones before it."""
    out = []
    for start in range(0, clean.shape[1], chunk):
        part = slice(start, start + chunk)
        cache.make_room(chunk)
        out.append(dit(noisy[:, part], NOISY, text, cache=cache))
        dit(clean[:, part], CLEAN, text, cache=cache)
        cache.commit(chunk)
    return torch.cat(out, dim=1)


def clips(latents: int) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(1, latents, 16, 6, 8), torch.randn(1, latents, 16, 6, 8)


@pytest.fixture
def text(dit):
    return dit.text_kv(torch.randn(1, DIT.text_len, DIT.text_dim))


@pytest.mark.parametrize("chunk", [1, 3])
def test_equals_block_causal_for_twelve_chunks(dit, text, chunk):
    latents = 12 * chunk
    clean, noisy = clips(latents)
    got = stream_through(dit, make_cache(latents), clean, noisy, text, chunk)
    places = torch.arange(latents)
    timestep = torch.cat([CLEAN.expand(latents), NOISY.expand(latents)])[None]
    expected = dit(
        torch.cat([clean, noisy], dim=1),
        timestep,
        text,
        mask=teacher_forcing(latents, chunk),
        positions=torch.cat([places, places]),
    )[:, latents:]
    assert (got - expected).abs().max() <= 1e-4 * expected.abs().max()


@torch.no_grad()
def test_sliding_window_equals_its_mask(dit, text):
    """Without a sink only distances matter, so one masked pass at true positions must agree."""
    clean, _ = clips(16)
    cache, chunk, window = make_cache(6), 2, 6
    out = []
    for start in range(0, 16, chunk):
        cache.make_room(chunk)
        out.append(dit(clean[:, start : start + chunk], CLEAN, text, cache=cache))
        cache.commit(chunk)
    expected = dit(clean, CLEAN, text, mask=block_causal(16, chunk, window=window))
    got = torch.cat(out, dim=1)
    assert (got - expected).abs().max() <= 1e-4 * expected.abs().max()
    full = dit(clean, CLEAN, text, mask=block_causal(16, chunk))
    assert (full - expected).abs().max() > 1e-3, "nothing was evicted"


def test_after_eviction_equals_a_fresh_pass_over_sink_and_window():
    """One layer: its keys depend on nothing evicted, so a fresh pass needs only what is held."""
    config = replace(DIT, layers=1)
    torch.manual_seed(0)
    dit = DiT(config).requires_grad_(False)
    text = dit.text_kv(torch.randn(1, 16, 32))
    clean, noisy = clips(20)
    cache = make_cache(window=8, sink=3, dit=config)
    got = stream_through(dit, cache, clean, noisy, text, 2)
    for start in range(0, 20, 2):
        first = max(3, start + 2 - 5)
        held = [clean[:, : min(3, start)], clean[:, first:start], noisy[:, start : start + 2]]
        x = torch.cat(held, dim=1)
        timestep = torch.tensor([[0.0] * (x.shape[1] - 2) + [625.0] * 2])
        mask = block_causal(x.shape[1], 1)
        last = (range(x.shape[1] - 2, x.shape[1]), (range(x.shape[1]),))
        mask = type(mask)((*mask.rows[:-2], last))
        expected = dit(x, timestep, text, mask=mask)[:, -2:]
        assert (got[:, start : start + 2] - expected).abs().max() <= 1e-4 * expected.abs().max()


class ListCache:
    """The reference: keeps every chunk and rotates the chosen keys for their slots from scratch."""

    def __init__(self, window: int, sink: int, layers: int) -> None:
        self.window, self.sink = window, sink
        self.history: list[list[tuple[torch.Tensor, torch.Tensor, int]]] = [
            [] for _ in range(layers)
        ]
        self.current: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}
        self.length = 0

    def make_room(self, latents: int) -> None:
        held = len(self.history[0])
        self.length = min(held, self.window - latents)

    def kept(self, layer: int) -> list[tuple[torch.Tensor, torch.Tensor, int]]:
        history = self.history[layer]
        if len(history) <= self.length:
            return history
        return history[: self.sink] + history[len(history) - (self.length - self.sink) :]

    def append(self, layer: int, k: torch.Tensor, v: torch.Tensor):
        self.current[layer] = (k, v)
        held = enumerate(self.kept(layer))
        pairs = [(shift_time(key, slot - born), value) for slot, (key, value, born) in held]
        keys, values = zip(*pairs, (k, v), strict=True)
        return torch.cat(keys, dim=1), torch.cat(values, dim=1)

    def commit(self, latents: int) -> None:
        for layer, (k, v) in self.current.items():
            parts = zip(k.chunk(latents, dim=1), v.chunk(latents, dim=1), strict=True)
            self.history[layer] += [(*pair, self.length + i) for i, pair in enumerate(parts)]


@pytest.mark.parametrize(
    ("window", "sink", "chunk"), [(8, 3, 2), (7, 1, 3), (5, 0, 1), (9, 3, 3), (6, 2, 3)]
)
def test_equals_the_reference_after_eviction(dit, text, window, sink, chunk):
    latents = 8 * chunk
    clean, noisy = clips(latents)
    got = stream_through(dit, make_cache(window, sink), clean, noisy, text, chunk)
    reference = ListCache(window, sink, DIT.layers)
    expected = stream_through(dit, reference, clean, noisy, text, chunk)
    assert (got - expected).abs().max() <= 1e-4 * expected.abs().max()


@torch.no_grad()
def test_chunks_of_mixed_length(dit, text):
    """A shorter chunk (the first of a stream, a flush at the end) shifts by its own length."""
    cache, reference = make_cache(6, 2), ListCache(6, 2, DIT.layers)
    for chunk in (1, 3, 3, 2, 3, 1, 4):
        x = torch.randn(1, chunk, 16, 6, 8)
        outs = []
        for held in (cache, reference):
            held.make_room(chunk)
            outs.append(dit(x, CLEAN, text, cache=held))
            held.commit(chunk)
        torch.testing.assert_close(outs[0], outs[1], atol=1e-4, rtol=1e-4)


def test_gradients_do_not_write(dit, text):
    clean, noisy = clips(4)
    cache = make_cache(8)
    stream_through(dit, cache, clean, noisy, text, 2)
    before = cache.keys.clone()
    x = torch.randn(1, 2, 16, 6, 8)
    with torch.no_grad():
        plain = dit(x, NOISY, text, cache=cache)
    assert not torch.equal(cache.keys, before)
    cache.keys.copy_(before)
    dit.requires_grad_(True)
    trained = dit(x, NOISY, dit.text_kv(torch.randn(1, 16, 32)), cache=cache)
    trained.square().mean().backward()
    assert torch.equal(cache.keys, before)
    assert dit.blocks[0].self_attn.k.weight.grad.abs().max() > 0
    again = dit(x, NOISY, text, cache=cache)
    torch.testing.assert_close(again.detach(), plain)


def test_bytes_are_stated_before_they_are_taken():
    preset = get_preset("wan-1.3b")
    for window, gib in ((9, 2.4), (12, 3.2), (21, 5.6)):
        stream = StreamConfig(window=window, sink=3)
        spec = CacheSpec.of(preset.dit, stream, preset.tokens_per_latent, dtype=torch.bfloat16)
        assert spec.nbytes / 2**30 == pytest.approx(gib, abs=0.05)
    small = make_cache(5)
    assert small.spec.nbytes == (small.keys.nbytes + small.values.nbytes)


def test_memory_that_cannot_be_had_is_said():
    huge = CacheSpec(10**4, 10**5, 100, 128, window=10**4, sink=0)
    with pytest.raises(ValueError, match=r"GiB.*lower the window"):
        KVCache(huge)


def test_a_chunk_beyond_the_window_is_refused():
    with pytest.raises(ValueError, match="does not fit a window of 6"):
        make_cache(6, 3).make_room(4)
    with pytest.raises(ValueError, match="raise window to 6"):
        StreamConfig(chunk=3, window=5, sink=3)
