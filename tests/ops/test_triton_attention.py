"""The Triton kernels of deformable attention compute what the float64 reference computes."""

import importlib.util
import os
import subprocess
import sys
from itertools import accumulate

import pytest
import torch

from urbanssl.ops.deform_attn import (
    attend,
    deformable_attention,
    deformable_attention_gradients,
    served_by_triton,
)

needs_triton = pytest.mark.skipif(
    importlib.util.find_spec("triton") is None,
    reason="Triton is not installed: it comes with PyTorch's builds for CUDA on Linux",
)
needs_gpu = pytest.mark.skipif(
    not torch.cuda.is_available(), reason="there is no CUDA GPU to run the Triton kernels on"
)
#: Largest error of output and gradients, as a share of the largest number, by type of the values.
TOLERANCE = {torch.float64: 1e-12, torch.float32: 2e-6, torch.bfloat16: 8e-3}


def case(kind, device, batch, queries, heads, channels, points, shapes):
    """Inputs of a type on a device; some points lie outside the maps."""
    torch.manual_seed(0)
    sums = torch.float64 if kind == torch.float64 else torch.float32
    length = sum(high * wide for high, wide in shapes)
    spread = (batch, queries, heads, len(shapes), points)
    value = torch.randn(batch, length, heads, channels, dtype=torch.float64).to(kind)
    spots = (1.4 * torch.rand(*spread, 2, dtype=torch.float64) - 0.2).to(sums)
    shares = torch.rand(*spread, dtype=torch.float64).to(sums)
    upstream = torch.randn(batch, queries, heads * channels, dtype=torch.float64).to(kind)
    starts = torch.tensor([0, *accumulate(high * wide for high, wide in shapes)][:-1])
    given = (value, torch.tensor(shapes), starts, spots, shares, upstream)
    return [each.to(device) for each in given]


def worst(found, expected):
    """Largest error as a share of the largest number."""
    gaps = zip(found, expected, strict=True)
    return max(float((a.double() - b).abs().max() / b.abs().max()) for a, b in gaps)


def compared(kind, device, *sizes):
    """Largest error of the kernels' output and gradients beside the float64 reference."""
    from urbanssl.ops.deform_attn_triton import attention_backward, attention_forward

    value, shapes, starts, spots, shares, upstream = case(kind, device, *sizes)
    output = attention_forward(value, shapes, starts, spots, shares)
    gradients = attention_backward(value, shapes, starts, spots, shares, upstream)
    assert output.dtype == gradients[0].dtype == kind
    plain = [each.double() for each in (value, spots, shares)]
    levels = [tuple(shape) for shape in shapes.tolist()]
    expected = deformable_attention(plain[0], levels, *plain[1:])
    by_hand = deformable_attention_gradients(plain[0], levels, *plain[1:], upstream.double())
    return worst([output, *gradients], [expected, *by_hand])


@needs_triton
def test_kernels_agree_with_the_reference_in_tritons_interpreter():
    """In a process of its own: Triton decides at import whether it interprets."""
    done = subprocess.run(
        [sys.executable, __file__],
        env={**os.environ, "TRITON_INTERPRET": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for kind, error in zip(TOLERANCE, map(float, done.stdout.split()), strict=True):
        assert error < TOLERANCE[kind], kind


@needs_triton
def test_kernels_compile_for_an_h200_where_there_is_none(tmp_path, monkeypatch):
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource, compile

    from urbanssl.ops import deform_attn_triton as kernels

    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    sizes = {"LEVELS": 4, "POINTS": 1, "CHANNELS": 32, "PADDED": 32, "BLOCK": 16}
    types = dict.fromkeys(("value", "output", "upstream"), "*bf16")
    types |= dict.fromkeys(("shapes", "starts"), "*i64") | dict.fromkeys(sizes, "constexpr")
    types |= dict.fromkeys(("length", "queries", "heads"), "i32")
    for kernel in (kernels._forward, kernels._backward):
        signature = {name: types.get(name, "*fp32") for name in kernel.arg_names}
        made = compile(ASTSource(kernel, signature, sizes), target=GPUTarget("cuda", 90, 32))
        assert made.asm["cubin"]


@needs_triton
@needs_gpu
@pytest.mark.parametrize("kind", TOLERANCE, ids=str)
def test_kernels_agree_with_the_reference_on_the_gpu(kind):
    shapes = [(32, 40), (16, 20), (8, 10), (4, 5)]
    assert compared(kind, "cuda", 2, 300, 8, 32, 4, shapes) < TOLERANCE[kind]


@needs_triton
@needs_gpu
def test_attention_on_the_gpu_is_tritons_and_has_a_gradient():
    value, shapes, starts, spots, shares, upstream = case(
        torch.float32, "cuda", 1, 20, 2, 16, 4, [(8, 8)]
    )
    assert served_by_triton(value)
    inputs = [each.requires_grad_() for each in (value, spots, shares)]
    output = attend(value, shapes, starts, spots, shares)
    assert all(g.isfinite().all() for g in torch.autograd.grad(output, inputs, upstream))


def test_on_the_processor_plain_pytorch_is_used():
    value, shapes, starts, spots, shares, _ = case(
        torch.float32, "cpu", 1, 3, 2, 4, 2, [(3, 4), (2, 2)]
    )
    assert not served_by_triton(value)
    expected = deformable_attention(value, [(3, 4), (2, 2)], spots, shares)
    assert torch.equal(attend(value, shapes, starts, spots, shares), expected)


if __name__ == "__main__":
    sizes = (1, 17, 2, 5, 2, [(5, 6), (3, 2)])
    for kind in TOLERANCE:
        sys.stdout.write(f"{compared(kind, 'cpu', *sizes)}\n")
