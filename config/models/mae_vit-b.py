# The masked autoencoder as published (He et al. 2022, appendix A.1): ViT-B/16, three quarters
# masked, decoder 512 wide and 8 deep, AdamW, base rate 1.5e-4 a batch of 256. Use precision bf16.
default_scope = "mmengine"
custom_imports = dict(imports=["urbanssl.ssl.mae_model"])

model = dict(
    type="MAE",
    image=224,
    patch=16,
    width=768,
    depth=12,
    heads=12,
    decoder_width=512,
    decoder_depth=8,
    decoder_heads=16,
)

optim_wrapper = dict(
    type="OptimWrapper",
    optimizer=dict(type="AdamW", lr=1.5e-4, betas=(0.9, 0.95), weight_decay=0.05, fused=True),
    paramwise_cfg=dict(norm_decay_mult=0.0, bias_decay_mult=0.0),
)
auto_scale_lr = dict(base_batch_size=256)
param_scheduler = [dict(type="MaeLR", warmup=0.05, end=1.0)]  # 40 of 800 epochs

custom_hooks = [
    dict(
        type="StopAtCollapse",
        key="feature_std",
        floor=1e-4,
        remedy="lower `lr` or lengthen the warm-up",
    ),
    dict(type="ProbeBlocks", tiles=2048, times=5),
]

# A vision transformer of any origin; decoder and last norm where the file has them.
initial_weights = dict(
    file=dict(prefixes={"": ""}, optional=["^decoder_", "^mask_token", "^norm"], expected=1.0),
)
