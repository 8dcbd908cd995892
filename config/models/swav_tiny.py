# SwAV with a ResNet-18, small enough for one core: what the embedded city is pretrained with.
# Caron et al. 2020; crops, prototypes and projection are scaled down with the tiles and the batch.
default_scope = "mmengine"
custom_imports = dict(imports=["urbanssl.ssl.swav_model"])

model = dict(
    type="SwAV",
    arch="resnet18",
    crops=[
        dict(count=2, size=64, scale=(0.25, 1.0)),
        dict(count=4, size=32, scale=(0.05, 0.25)),
    ],
    prototypes=64,
    projection=(256, 64),
    freeze=0.02,
    colours=dict(jitter=(0.4, 0.4, 0.4, 0.1), blur=(0.1, 1.0)),
)

optim_wrapper = dict(
    type="OptimWrapper",
    optimizer=dict(type="SGD", lr=0.1, momentum=0.9, weight_decay=1e-4),
)
auto_scale_lr = dict(base_batch_size=32)
param_scheduler = [dict(type="SwavLR", warmup=0.1, end=1.0, start=0.1, final=0.01)]

custom_hooks = [
    dict(type="FreezePrototypes", steps=0.02),
    dict(
        type="StopAtStall",
        remedy="raise `lr`, freeze prototypes for fewer steps, or take fewer prototypes",
    ),
    dict(
        type="StopAtCollapse",
        key="feature_std",
        floor=0.01,
        remedy="lower `lr`; check that tiles differ from each other",
    ),
    dict(type="ProbeBlocks"),
]
