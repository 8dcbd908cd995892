"""Convolutions of small maps give what plain convolutions give."""

import itertools

import pytest
import torch
import torchvision
from torch import nn

from urbanssl.ops.small_maps import LARGEST, SmallMapConv2d, with_small_maps

KERNELS = (2, 3, (3, 1), 5, 7)


def shapes():
    for side, kernel, stride, padding in itertools.product(range(1, 8), KERNELS, (1, 2), (0, 1, 2)):
        largest = max(kernel) if isinstance(kernel, tuple) else kernel
        if side + 2 * padding >= largest:
            yield side, kernel, stride, padding


@pytest.mark.parametrize("bias", [True, False])
def test_values_and_gradients_are_those_of_a_plain_convolution(bias):
    torch.manual_seed(0)
    made_of_products = 0
    for side, kernel, stride, padding in shapes():
        plain = nn.Conv2d(5, 7, kernel, stride, padding, bias=bias).double()
        images = torch.randn(3, 5, side, side + 1, dtype=torch.double, requires_grad=True)
        expected = plain(images)
        upstream = torch.randn_like(expected)
        gradients = torch.autograd.grad(expected, [images, *plain.parameters()], upstream)
        assert type(with_small_maps(plain)) is SmallMapConv2d
        found = plain(images)
        made_of_products += max(found.shape[2:]) <= LARGEST
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-11)
        again = torch.autograd.grad(found, [images, *plain.parameters()], upstream)
        for one, two in zip(again, gradients, strict=True):
            torch.testing.assert_close(one, two, rtol=0, atol=1e-11)
    assert made_of_products > 50


def test_small_outputs_are_made_of_products_and_large_ones_are_not(monkeypatch):
    layer = with_small_maps(nn.Conv2d(2, 2, 3, padding=1))
    called = []
    conv_forward = nn.Conv2d.forward
    monkeypatch.setattr(nn.Conv2d, "forward", lambda s, x: called.append(1) or conv_forward(s, x))
    layer(torch.zeros(1, 2, 3, 3))
    assert not called
    layer(torch.zeros(1, 2, 3, 4))
    assert called


def test_a_resnet_keeps_its_weights_its_names_and_what_it_says():
    torch.manual_seed(0)
    plain = torchvision.models.resnet18(weights=None).double().eval()
    images = torch.randn(2, 3, 48, 48, dtype=torch.double)
    expected, names = plain(images), list(plain.state_dict())
    weight = plain.layer4[1].conv2.weight
    with_small_maps(plain)
    assert isinstance(plain.layer4[1].conv2, SmallMapConv2d)
    assert plain.layer4[1].conv2.weight is weight
    assert list(plain.state_dict()) == names
    torch.testing.assert_close(plain(images), expected, rtol=0, atol=1e-11)


def test_layers_that_are_not_plain_stay():
    layers = [
        nn.Conv2d(4, 4, 1),
        nn.Conv2d(4, 4, 3, groups=2),
        nn.Conv2d(4, 4, 3, dilation=2),
        nn.Conv2d(4, 4, 3, padding="same"),
        nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect"),
    ]
    assert all(type(with_small_maps(layer)) is nn.Conv2d for layer in layers)
