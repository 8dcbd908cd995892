"""The class registry: names, order and synonyms of the urban features that are detected.

The order is that of DOTA-v1.5 (16 classes). Conversion, training, prediction and scoring all take
names and numbers from here; label 0 is a class (`plane`), never the background.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence

from urbanssl.errors import LabelError

#: The classes in the order of DOTA-v1.5; a class's place here is its number everywhere.
CLASSES: tuple[str, ...] = (
    "plane",
    "baseball-diamond",
    "bridge",
    "ground-track-field",
    "small-vehicle",
    "large-vehicle",
    "ship",
    "tennis-court",
    "basketball-court",
    "storage-tank",
    "soccer-ball-field",
    "roundabout",
    "harbor",
    "swimming-pool",
    "helicopter",
    "container-crane",
)

#: The order of the 15 classes in YOLO-OBB exports of DOTA-v1.0, used when a data set names none.
YOLO_DOTA_ORDER: tuple[str, ...] = (
    "plane",
    "ship",
    "storage-tank",
    "baseball-diamond",
    "tennis-court",
    "basketball-court",
    "ground-track-field",
    "harbor",
    "bridge",
    "large-vehicle",
    "small-vehicle",
    "helicopter",
    "roundabout",
    "soccer-ball-field",
    "swimming-pool",
)

_SYNONYMS: dict[str, tuple[str, ...]] = {
    "plane": ("airplane", "aeroplane", "aircraft", "jet"),
    "baseball-diamond": ("baseball", "baseballdiamond", "baseball-field", "softball-field"),
    "bridge": ("overpass", "flyover"),
    "ground-track-field": ("running-track", "athletics-track", "track", "groundtrackfield"),
    "small-vehicle": ("car", "cars", "vehicle", "passenger-car", "van", "pickup"),
    "large-vehicle": ("truck", "bus", "lorry", "trailer"),
    "ship": ("boat", "vessel", "yacht"),
    "tennis-court": ("court", "tennis", "tenniscourt"),
    "basketball-court": ("basketball", "basketballcourt"),
    "storage-tank": ("oil-storage-tank", "oil-tank", "storagetank", "tank", "storagetanks"),
    "soccer-ball-field": ("soccer-field", "football-field", "football-pitch", "soccer-pitch"),
    "roundabout": ("traffic-circle", "rotary"),
    "harbor": ("harbour", "pier", "dock", "jetty", "marina"),
    "swimming-pool": ("pool", "swimmingpool"),
    "helicopter": ("chopper",),
    "container-crane": ("crane", "gantry-crane", "port-crane"),
}


def _key(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "", name.lower())


_LOOKUP: dict[str, str] = {
    _key(word): name for name in CLASSES for word in (name, *_SYNONYMS[name])
}


def find_class(name: str) -> str | None:
    """Return the registry's name for a class or one of its synonyms, None where there is none.

    Case, spaces, dashes and underscores do not matter: `Tennis Court`, `tennis_court` and `Court`
    are all `tennis-court`.
    """
    return _LOOKUP.get(_key(name))


def nearest_class(name: str) -> str | None:
    """Return the registry's name that is spelt most like `name`, None where nothing is near."""
    near = difflib.get_close_matches(_key(name), list(_LOOKUP), n=1, cutoff=0.6)
    return _LOOKUP[near[0]] if near else None


def resolve_class(name: str, where: str = "labels") -> str:
    """Return the registry's name for `name`.

    Args:
        name: a class name or synonym.
        where: the file and line it was read from, for the error text.

    Raises:
        LabelError: no class of the registry has that name or synonym.
    """
    found = find_class(name)
    if found is None:
        near = nearest_class(name)
        hint = f"did you mean {near!r}? " if near else ""
        raise LabelError.at(
            where,
            f"unknown class {name!r}",
            f"{hint}allowed: {', '.join(CLASSES)} (synonyms are in urbanssl.classes)",
        )
    return found


def label_of(name: str, classes: Sequence[str] = CLASSES) -> int:
    """Return the number of a class (by name or synonym) within `classes`, counted from 0."""
    return list(classes).index(resolve_class(name))
