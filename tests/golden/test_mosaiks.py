"""MOSAIKS random convolutional features against numbers of the original implementation."""

import numpy as np
import pytest
import torch

from urbanssl.features.rcf import convolved_features, grab_patches, whitened_filters


@pytest.fixture
def vectors(golden):
    return golden("mosaiks_rcf.npz")


def test_filters_are_whitened_as_in_the_original(vectors):
    names = [n for n in vectors.data if n.startswith("filters_zca")]
    assert names
    for name in names:
        reference = vectors[name]
        ours = whitened_filters(vectors["patches"], float(name.removeprefix("filters_zca")))
        vectors.compare(name, ours, reference, atol=1e-3 * np.abs(reference).max())


def test_filters_of_uint8_patches(vectors):
    reference = vectors["filters_u8"]
    ours = whitened_filters(vectors["patches_u8"], 1e-3)
    vectors.compare("filters_u8", ours, reference, atol=1e-3 * np.abs(reference).max())


def test_features_of_every_case(vectors):
    cases = [case for case in vectors.cases("cfg") if f"{case}_features" in vectors]
    assert cases
    images, filters = torch.from_numpy(vectors["images"]), torch.from_numpy(vectors["filters"])
    for case in cases:
        bias, pool, stride, chunk = vectors[f"{case}_cfg"].tolist()
        ours = convolved_features(images, filters, bias, int(pool), int(stride), int(chunk))
        vectors.compare(f"{case} features", ours, vectors[f"{case}_features"], rtol=1e-4, atol=1e-6)


def test_patches_are_drawn_as_in_the_original(vectors):
    cases = [case for case in vectors.cases("cfg") if f"{case}_patches" in vectors]
    assert cases
    for case in cases:
        patch, total, threads, seed = (int(n) for n in vectors[f"{case}_cfg"])
        patches, order = grab_patches(vectors[f"{case}_images"], patch, total, threads, seed)
        vectors.compare(f"{case} patches", patches, vectors[f"{case}_patches"])
        vectors.compare(f"{case} permutation", order, vectors[f"{case}_perm"])
