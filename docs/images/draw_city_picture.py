"""Draws docs/images/city.png: a part of two regions of the default city, boxes on the lower half.

Run `python docs/images/draw_city_picture.py` from the root of the repository.
"""

from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from urbanssl.classes import CLASSES
from urbanssl.settings import CitySettings
from urbanssl.synthetic.crime import draw_hidden
from urbanssl.synthetic.layout import regions
from urbanssl.synthetic.scene import build_region, photograph

WIDTH, HEIGHT, SEED = 1152, 960, 0
#: Left and upper edge of the part shown of every region, pixels.
PARTS = {"elm": (850, 640), "alder": (610, 170)}


def main() -> None:
    """Draw the two parts below each other and write the picture."""
    city = CitySettings()
    hidden = draw_hidden(city, SEED)
    parts = []
    for region in regions(city):
        if region.name not in PARTS:
            continue
        left, top = PARTS[region.name]
        built = build_region(region, city, SEED, hidden.build[region.number])
        picture = photograph(built, region, SEED).copy()
        if region.name == "alder":
            _draw_boxes(picture, built.labels)
        parts.append(picture[top : top + HEIGHT // 2, left : left + WIDTH])
    whole = cv2.resize(np.vstack(parts[::-1]), (768, 640), interpolation=cv2.INTER_AREA)
    image = Image.fromarray(whole).quantize(256, dither=Image.Dither.NONE)
    image.save(Path(__file__).with_name("city.png"), optimize=True)


def _draw_boxes(picture: np.ndarray, labels: list) -> None:
    for label in labels:
        hue = np.array([[[CLASSES.index(label.name) * 180 // len(CLASSES), 230, 255]]], np.uint8)
        colour = tuple(int(value) for value in cv2.cvtColor(hue, cv2.COLOR_HSV2RGB)[0, 0])
        corners = np.rint(np.array(label.corners) * 16).astype(np.int32)
        cv2.polylines(picture, [corners], True, colour, 2, cv2.LINE_AA, shift=4)


if __name__ == "__main__":
    main()
