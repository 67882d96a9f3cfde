"""Rotary positions against complex numbers in float64."""

from __future__ import annotations

import torch

from c2r.models.rope import axis_widths, rope_table, rotate, shift_time


def complex_rotation(x: torch.Tensor, positions: torch.Tensor, grid: tuple[int, int]):
    """The textbook form: x e^{i p f}, axis by axis."""
    angles = []
    latents, (rows, columns) = len(positions), grid
    place = torch.cartesian_prod(positions, torch.arange(rows), torch.arange(columns))
    for axis, width in enumerate(axis_widths(x.shape[-1])):
        frequency = 10000.0 ** (-torch.arange(0, width, 2).double() / width)
        angles.append(place[:, axis, None].double() * frequency)
    assert place.shape[0] == latents * rows * columns
    turn = torch.polar(torch.ones(()).double(), torch.cat(angles, dim=1))[:, None]
    pairs = torch.view_as_complex(x.double().unflatten(-1, (-1, 2)))
    return torch.view_as_real(pairs * turn).flatten(-2)


def test_wan_split_of_a_head():
    assert axis_widths(128) == (44, 42, 42)
    assert sum(axis_widths(64)) == 64


def test_against_complex_numbers():
    positions = torch.tensor([3, 7, 20])
    x = torch.randn(2, 3 * 4 * 5, 2, 64)
    table = rope_table(positions, (4, 5), 64)
    expected = complex_rotation(x, positions, (4, 5))
    assert (rotate(x, table).double() - expected).abs().max() < 2e-5


def test_shift_equals_rotating_at_the_new_place():
    x = torch.randn(1, 2 * 6, 2, 64)
    here = rotate(x, rope_table(torch.tensor([9, 10]), (2, 3), 64))
    there = rotate(x, rope_table(torch.tensor([6, 7]), (2, 3), 64))
    torch.testing.assert_close(shift_time(here, -3), there, atol=1e-5, rtol=1e-5)


def test_half_precision_is_rotated_in_float32():
    """Only the result is rounded: as close to the exact rotation as its own dtype allows."""
    positions = torch.tensor([5, 20])
    x = torch.randn(1, 2 * 12, 2, 64).bfloat16()
    got = rotate(x, rope_table(positions, (3, 4), 64))
    assert got.dtype == torch.bfloat16
    exact = complex_rotation(x.float(), positions, (3, 4))
    assert torch.equal(got, exact.bfloat16()) or (got.double() - exact).abs().max() < 2**-7
    wrong = (got.double() - exact).abs() > 2**-8 * exact.abs() + 1e-6
    assert wrong.double().mean() < 0.01
