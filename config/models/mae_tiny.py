# A masked autoencoder small enough for one core; the detector of vitdet_tiny has the same encoder.
# He et al. 2022, with a narrow encoder and decoder.
default_scope = "mmengine"
custom_imports = dict(imports=["urbanssl.ssl.mae_model"])
sync_bn = "torch"  # the patches of this one have batch norms

model = dict(
    type="MAE",
    image=128,
    patch=8,
    width=128,
    depth=4,
    heads=4,
    decoder_width=96,
    decoder_depth=2,
    decoder_heads=3,
    scale=(0.3, 1.0),
    hierarchical_patches=True,
    norm_pixels=False,  # a flat patch brought to unit deviation is nothing but the sensor's noise
)

optim_wrapper = dict(
    type="OptimWrapper",
    optimizer=dict(type="AdamW", lr=1e-3, betas=(0.9, 0.95), weight_decay=0.05, fused=True),
    paramwise_cfg=dict(norm_decay_mult=0.0, bias_decay_mult=0.0),
)
auto_scale_lr = dict(base_batch_size=32)
param_scheduler = [dict(type="MaeLR", warmup=0.1, end=1.0)]

custom_hooks = [
    dict(
        type="StopAtCollapse",
        key="feature_std",
        floor=1e-4,
        remedy="lower `lr` or lengthen the warm-up",
    ),
    dict(type="ProbeBlocks", tiles=300, side=8, times=2),
]

# A vision transformer of any origin; decoder and last norm where the file has them.
initial_weights = dict(
    file=dict(prefixes={"": ""}, optional=["^decoder_", "^mask_token", "^norm"], expected=1.0),
)
