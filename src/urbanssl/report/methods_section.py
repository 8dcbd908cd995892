"""The last section: methods, settings in full, versions, how to cite, and limits."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from importlib import metadata
from typing import Any

import yaml
from markupsafe import Markup

from urbanssl import __version__
from urbanssl.report.blocks import Block, Heading, Items, Listing, Prose, Section, Table
from urbanssl.report.gather import Results

_PACKAGES = (
    "torch",
    "torchvision",
    "mmengine",
    "mmdet",
    "numpy",
    "pandas",
    "geopandas",
    "rasterio",
    "scikit-learn",
    "snakemake",
)

_SOURCES = (
    ("SwAV", "Caron et al. (2020), Unsupervised learning of visual features by contrasting "
     "cluster assignments, NeurIPS."),
    ("MAE", "He et al. (2022), Masked autoencoders are scalable vision learners, CVPR."),
    ("DETReg", "Bar et al. (2022), DETReg: unsupervised pretraining with region priors for object "
     "detection, CVPR."),
    ("Deformable DETR", "Zhu et al. (2021), Deformable DETR: deformable transformers for "
     "end-to-end object detection, ICLR."),
    ("ViTDet", "Li et al. (2022), Exploring plain vision transformer backbones for object "
     "detection, ECCV."),
    ("Selective Search", "Uijlings et al. (2013), Selective search for object recognition, IJCV."),
    ("Classes", "Xia et al. (2018), DOTA: a large-scale dataset for object detection in aerial "
     "images, CVPR; the 16 classes of its version 1.5."),
    ("COCO scores", "Lin et al. (2014), Microsoft COCO: common objects in context, ECCV."),
    ("MOSAIKS", "Rolf et al. (2021), A generalizable and accessible approach to machine learning "
     "with global satellite imagery, Nature Communications."),
    ("Spatial validation", "Roberts et al. (2017), Cross-validation strategies for data with "
     "temporal, spatial, hierarchical, or phylogenetic structure, Ecography."),
)  # fmt: skip


def methods_section(results: Results) -> Section:
    """Return how it was done, with what, and what it cannot say."""
    return Section("methods", "Methods, settings and limits", list(_blocks(results)))


def _blocks(results: Results) -> Iterator[Block]:
    yield Prose(
        "Tiles are cut from the scenes; two networks learn from the tiles without labels (SwAV, "
        "MAE), a third learns to find boxes from proposals and SwAV (DETReg); detectors are "
        "finetuned from each start and from random weights; features of tiles are pooled to areas, "
        "and models of the recorded rate are judged on areas and regions they have not seen."
    )
    yield Heading("Limits")
    yield Items(limits(results))
    yield Heading("Sources of the methods")
    yield Items([Markup("<strong>{}</strong>: {}").format(name, text) for name, text in _SOURCES])
    yield Heading("Settings and versions")
    text = yaml.safe_dump(
        results.settings.model_dump(mode="json"), sort_keys=False, allow_unicode=True, width=96
    )
    yield Listing("All settings of this run (YAML)", text)
    yield Table(
        "Versions on the machine that wrote this report.",
        ("software", "version"),
        [[name, version] for name, version in versions()],
        text_columns=frozenset({0, 1}),
        folded=True,
    )
    yield Heading("How to cite")
    yield Prose(
        Markup(
            "urbanssl, version {}: self-supervised detectors of urban features from overhead "
            "imagery, judged on detection and on crime rates. Name the settings hash at the top "
            "of this page too, and cite the methods you use from the list above."
        ).format(__version__)
    )


def limits(results: Results) -> list[str]:
    """Return what this run cannot say."""
    found = []
    if results.settings.embedded:
        found.append(
            "The imagery, labels and crime counts were drawn by a program. The run shows that the "
            "pipeline works and that its evaluation is honest; it shows nothing about any place."
        )
    found += [
        "Recorded crime stands in for crime. Differences in reporting and policing pass for "
        "differences in crime, and the models learn them too.",
        "Imagery has one date, crime counts a year; what was built between the two is not seen.",
        "Intervals cover what sampling of areas, blocks and seeds leaves open, not errors of the "
        "labels or of the crime table.",
    ]
    if not results.settings.pretrain.strict:
        found.append(
            "Pretraining was allowed to see imagery (never labels or rates) of test areas; "
            "pretrain.strict forbids it."
        )
    if len(results.settings.detect.seeds) == 1:
        found.append(
            "Every detector was trained once: how much its score changes from seed to seed is not "
            "known from this run."
        )
    return found


def versions() -> list[tuple[str, str]]:
    """Return name and version of Python and of the packages that matter for the numbers."""
    found: list[tuple[str, Any]] = [
        ("urbanssl", __version__),
        ("Python", platform.python_version()),
    ]
    for name in _PACKAGES:
        try:
            found.append((name, metadata.version(name)))
        except metadata.PackageNotFoundError:
            found.append((name, "not installed"))
    return found
