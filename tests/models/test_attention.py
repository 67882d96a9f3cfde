"""Masked attention, row by row."""

from __future__ import annotations

import torch

from c2r.kernels.attention import sdpa
from c2r.models.attention import attend_masked, block_causal


def test_masked_attention_equals_a_dense_mask():
    q, k, v = (torch.randn(2, 24, 3, 32) for _ in range(3))
    mask = block_causal(8, 2, window=4, sink=1)
    dense = mask.dense().repeat_interleave(3, 0).repeat_interleave(3, 1)
    heads_first = [part.transpose(1, 2) for part in (q, k, v)]
    expected = torch.nn.functional.scaled_dot_product_attention(
        heads_first[0], heads_first[1], heads_first[2], attn_mask=dense
    ).transpose(1, 2)
    torch.testing.assert_close(attend_masked(sdpa, mask, q, k, v), expected, atol=1e-5, rtol=1e-4)
