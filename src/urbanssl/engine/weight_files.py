"""Weights files of many origins: read as one flat state dict, their kind found by their keys."""

from __future__ import annotations

import argparse
import pickle
import re
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from mmengine.logging.history_buffer import HistoryBuffer
from numpy._core import multiarray
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save

from urbanssl.artifacts import written_whole
from urbanssl.errors import WeightsError

Kind = Literal["swav", "mae", "vit", "resnet", "detector", "other"]
_CONTAINERS = ("state_dict", "model", "module", "model_state_dict", "teacher", "net")
_DETECTOR = re.compile(r"(bbox|roi|rpn|decode)_head\.|encoder\.|decoder\.")
_WRAPPERS = ("module.", "_orig_mod.", "_module.")

#: mmpretrain's names of a vision transformer, as MAE's and timm's.
_MMPRETRAIN = (
    (r"^(?:backbone\.)?layers\.(\d+)\.ln(\d)\.", r"blocks.\1.norm\2."),
    (r"^(?:backbone\.)?layers\.(\d+)\.ffn\.layers\.0\.0\.", r"blocks.\1.mlp.fc1."),
    (r"^(?:backbone\.)?layers\.(\d+)\.ffn\.layers\.1\.", r"blocks.\1.mlp.fc2."),
    (r"^(?:backbone\.)?layers\.(\d+)\.attn\.", r"blocks.\1.attn."),
    (r"^(?:backbone\.)?patch_embed\.projection\.", r"patch_embed.proj."),
    (r"^(?:backbone\.)?ln1\.", r"norm."),
    (r"^backbone\.", r""),
)


def read_weights(path: Path) -> tuple[dict[str, torch.Tensor], Kind]:
    """Read the tensors of a weights file, whatever wrote it, and say what kind of network it is.

    Understood: safetensors; torch files of SwAV (`.pth.tar`, `module.` in front), MAE (`model`),
    torchvision, timm, mmengine and mmpretrain. Only plain data is read: a file cannot run code.

    Args:
        path: the file.

    Returns:
        name -> tensor with containers and wrappers' prefixes removed, and the kind.

    Raises:
        WeightsError: the file is not there, cannot be read or holds no tensors.
    """
    if not path.is_file():
        raise WeightsError.at(path, "is not there", "give the path of a file of weights")
    content = _read_safetensors(path) if path.suffix == ".safetensors" else _read_torch(path)
    state = _unwrap(content)
    if not state:
        raise WeightsError.at(path, "holds no tensors", "give a file of weights (a state dict)")
    for prefix in _WRAPPERS:
        while all(name.startswith(prefix) for name in state):
            state = {name[len(prefix) :]: value for name, value in state.items()}
    if any(re.match(r"(backbone\.)?layers\.\d+\.ln1\.", name) for name in state):
        state = {_from_mmpretrain(name): value for name, value in state.items()}
    if "backbone.conv1.weight" in state and not any(map(_DETECTOR.match, state)):
        # mmpretrain's ResNets: the bare network is what others call it.
        state = {name.removeprefix("backbone."): value for name, value in state.items()}
    return state, kind_of(state)


def kind_of(names: Mapping[str, Any]) -> Kind:
    """Return what kind of network the names of its tensors belong to."""
    if "prototypes.weight" in names or any(name.startswith("projection_head.") for name in names):
        return "swav"
    if "mask_token" in names and "decoder_embed.weight" in names:
        return "mae"
    if "patch_embed.proj.weight" in names:
        return "vit"
    if "conv1.weight" in names and "layer1.0.conv1.weight" in names:
        return "resnet"
    if any(map(_DETECTOR.match, names)):
        return "detector"
    return "other"


def write_weights(path: Path, state: Mapping[str, torch.Tensor], about: Mapping[str, str]) -> None:
    """Write tensors as safetensors, whole, with text metadata.

    Args:
        path: `.safetensors` file.
        state: name -> tensor; tensors that share memory are written each on their own.
        about: text -> text, stored in the header.
    """
    plain = {name: value.detach().cpu().contiguous().clone() for name, value in state.items()}
    with written_whole(path) as temporary:
        # Written by Python: safetensors' own writer does not pass on that the disk is full.
        temporary.write_bytes(save(plain, metadata=dict(about)))


def weights_about(path: Path) -> dict[str, str]:
    """Return the text metadata that `write_weights` stored."""
    with safe_open(str(path), framework="pt") as stored:
        return dict(stored.metadata() or {})


def _read_safetensors(path: Path) -> dict[str, torch.Tensor]:
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise WeightsError.at(path, str(error), "the file is damaged: make it again") from error


def _buffer_method(owner: Any, name: str) -> Any:
    """Stand in for `getattr`, which mmengine's logs ask for, for nothing but their own methods."""
    if not (owner is HistoryBuffer or isinstance(owner, HistoryBuffer)) or name.startswith("_"):
        raise pickle.UnpicklingError(f"attribute {name!r} of {type(owner).__name__} is not read")
    return getattr(owner, name)


#: What a torch file may hold besides tensors: MAE's its command line, mmengine's its logs.
_ALLOWED = (
    argparse.Namespace,
    HistoryBuffer,
    (_buffer_method, "builtins.getattr"),
    OrderedDict,
    np.ndarray,
    np.dtype,
    np.dtypes.Float64DType,
    np.dtypes.Int64DType,
    *(
        (part, f"numpy.{package}.multiarray.{part.__name__}")
        for part in (multiarray.scalar, multiarray._reconstruct)
        for package in ("core", "_core")
    ),
)


def _read_torch(path: Path) -> Any:
    try:
        with torch.serialization.safe_globals(list(_ALLOWED)):
            return torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, zipfile.BadZipFile) as error:
        raise WeightsError.at(
            path,
            f"cannot be read as plain tensors: {str(error).splitlines()[0]}",
            "save the state dict alone, best as safetensors",
        ) from error


def _unwrap(content: Any) -> dict[str, torch.Tensor]:
    """Return the tensors of a file, out of the dict of a checkpoint if it is one."""
    if not isinstance(content, Mapping):
        return {}
    for key in _CONTAINERS:
        inner = content.get(key)
        if isinstance(inner, Mapping) and any(isinstance(v, torch.Tensor) for v in inner.values()):
            return _unwrap(inner)
    return {str(k): v for k, v in content.items() if isinstance(v, torch.Tensor)}


def _from_mmpretrain(name: str) -> str:
    for pattern, replacement in _MMPRETRAIN:
        renamed = re.sub(pattern, replacement, name)
        if renamed != name:
            return renamed
    return name
