# SwAV with a ResNet-18, small enough for one core: what the embedded city is pretrained with.
# Caron et al. 2020; crops, prototypes and projection are scaled down with the tiles and the batch.
default_scope = "mmengine"
custom_imports = dict(imports=["urbanssl.ssl.swav_model"])
sync_bn = "torch"

model = dict(
    type="SwAV",
    arch="resnet18",
    crops=[
        dict(count=2, size=48, scale=(0.1, 0.6)),
        dict(count=2, size=32, scale=(0.03, 0.1)),
    ],
    prototypes=32,
    projection=(256, 64),
    epsilon=0.03,  # at 0.05 a batch of 32 got flat codes and collapsed within 40 steps
    freeze=0.02,
    colours=dict(jitter=(0.4, 0.4, 0.4, 0.1), blur=(0.1, 1.0)),
)

optim_wrapper = dict(
    type="OptimWrapper",
    optimizer=dict(type="AdamW", lr=3e-4, weight_decay=1e-2, fused=True),
)
auto_scale_lr = dict(base_batch_size=32)
param_scheduler = [dict(type="SwavLR", warmup=0.1, end=1.0, start=0.1, final=0.01)]

custom_hooks = [
    dict(type="FreezePrototypes"),
    dict(
        type="StopAtStall",
        stop=False,  # so few steps may end near ln K; the probe and the curve tell
        remedy="raise `lr`, freeze prototypes for fewer steps, or take fewer prototypes",
    ),
    dict(
        type="StopAtCollapse",
        key="feature_std",
        floor=0.01,
        remedy="lower `lr`; check that tiles differ from each other",
    ),
    dict(
        type="StopAtCollapse",
        key="code_entropy",
        share_of="ln_k",
        ceiling=0.98,
        stop=False,
        remedy="codes are flat: lower `epsilon`, lengthen `queue`, take fewer prototypes",
    ),
    dict(
        type="StopAtCollapse",
        key="used_prototypes",
        floor=0.1,
        stop=False,
        remedy="prototypes are dead: take fewer, lengthen `queue`, lower `lr`",
    ),
    dict(type="ProbeBlocks", tiles=300, side=8, times=2, size=96),
]

# A ResNet of any origin; projection and prototypes where the file has them.
initial_weights = dict(
    file=dict(
        prefixes={
            "": "backbone.",
            "projection_head.": "projection_head.",
            "prototypes.": "prototypes.",
        },
        optional=["^projection_head", "^prototypes"],
        expected=1.0,
    ),
)
