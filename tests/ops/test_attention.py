"""Attention is PyTorch's, whatever arithmetic it is computed in."""

import pytest
import torch
from torch.nn import functional

from urbanssl.ops.attention import attention


@pytest.fixture
def parts():
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(2, 3, 9, 8, generator=generator) for _ in range(3)]


def test_float32_is_pytorchs(parts):
    bias = torch.randn(2, 3, 9, 9, generator=torch.Generator().manual_seed(1))
    expected = functional.scaled_dot_product_attention(*parts, attn_mask=bias)
    assert torch.equal(attention(*parts, bias), expected)


@pytest.mark.parametrize("autocast", [False, True])
def test_bfloat16_on_cpu_is_float32_rounded_once(parts, autocast):
    short = [part.bfloat16().requires_grad_() for part in parts]
    bias = torch.randn(2, 3, 9, 9, generator=torch.Generator().manual_seed(1)).bfloat16()
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        found = attention(*short, bias)
    exact = functional.scaled_dot_product_attention(
        *(part.float() for part in short), attn_mask=bias.float()
    )
    assert found.dtype == torch.bfloat16
    assert torch.equal(found, exact.bfloat16())
    found.float().sum().backward()
    assert all(part.grad is not None and part.grad.dtype == torch.bfloat16 for part in short)
