# SwAV as published for small batches (Caron et al. 2020, section 5 and appendix A): ResNet-50,
# 2 x 224 + 6 x 96 crops, 3000 prototypes, a queue of 3840, LARC. Tiles of at least 224 px.
default_scope = "mmengine"
custom_imports = dict(imports=["urbanssl.ssl.swav_model"])
sync_bn = "torch"

model = dict(
    type="SwAV",
    arch="resnet50",
    crops=[
        dict(count=2, size=224, scale=(0.14, 1.0)),
        dict(count=6, size=96, scale=(0.05, 0.14)),
    ],
    prototypes=3000,
    projection=(2048, 128),
    queue=3840,
    queue_start=0.075,  # epoch 15 of 200
    freeze=0.005,  # epoch 1 of 200
)

optim_wrapper = dict(
    type="OptimWrapper",
    optimizer=dict(type="LARC", lr=0.6, momentum=0.9, weight_decay=1e-6, trust=0.001),
)
auto_scale_lr = dict(base_batch_size=256)
param_scheduler = [dict(type="SwavLR", warmup=0, end=1.0, final=0.001)]

custom_hooks = [
    dict(type="FreezePrototypes"),
    dict(
        type="StopAtStall",
        remedy="train longer, freeze prototypes for fewer steps, or take fewer prototypes",
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
        remedy="codes are flat: lower `epsilon`, lengthen `queue`, take fewer prototypes",
    ),
    dict(
        type="StopAtCollapse",
        key="used_prototypes",
        floor=0.1,
        remedy="prototypes are dead: take fewer, lengthen `queue`, lower `lr`",
    ),
    dict(type="ProbeBlocks", tiles=2048, times=5),
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
