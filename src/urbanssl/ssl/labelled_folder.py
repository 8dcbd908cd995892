"""A folder of labelled images, one folder a class, that features are probed with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from urbanssl.errors import TrainingError

_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".tif", ".tiff"})


@dataclass(frozen=True)
class LabelledImages:
    """Images of known classes.

    Attributes:
        files: the images, N of them.
        labels: `(N,)` numbers of their classes.
        learn: `(N,)` whether a probe learns from the image or is tested on it.
        classes: names of the classes.
    """

    files: tuple[Path, ...]
    labels: NDArray[np.int64]
    learn: NDArray[np.bool_]
    classes: tuple[str, ...]

    def read(self, size: int) -> NDArray[np.uint8]:
        """Return the images as `(N, size, size, 3)` uint8, resized."""
        images = np.empty((len(self.files), size, size, 3), np.uint8)
        for place, path in enumerate(self.files):
            with Image.open(path) as image:
                smaller = image.convert("RGB").resize((size, size), Image.Resampling.BILINEAR)
                images[place] = np.asarray(smaller)
        return images


def labelled_images(folder: Path, most: int | None = None, seed: int = 0) -> LabelledImages:
    """Find the images of a folder: `class/image`, or `train/class/image` and `test/class/image`.

    Without `train` and `test`, every second image in a random order is learned from.

    Args:
        folder: with one folder a class.
        most: at most so many images, drawn at random; None takes all.
        seed: of the random order.

    Raises:
        TrainingError: there are fewer than two classes with images.
    """
    split = all((folder / part).is_dir() for part in ("train", "test"))
    parts = [folder / "train", folder / "test"] if split else [folder]
    found = [
        (path, path.parent.name, part.name)
        for part in parts
        for path in sorted(part.glob("*/*"))
        if path.suffix.lower() in _SUFFIXES
    ]
    classes = tuple(sorted({name for _, name, _ in found}))
    if len(classes) < 2:
        raise TrainingError.at(
            folder,
            f"images of {len(classes)} classes; a probe tells classes apart",
            "give a folder with one folder of images (jpg, png, tif) for each of two classes",
        )
    order = np.random.default_rng(seed).permutation(len(found))[:most]
    learn = [found[n][2] == "train" if split else place % 2 == 0 for place, n in enumerate(order)]
    return LabelledImages(
        files=tuple(found[n][0] for n in order),
        labels=np.array([classes.index(found[n][1]) for n in order]),
        learn=np.array(learn),
        classes=classes,
    )
