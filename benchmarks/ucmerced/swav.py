# SwAV for 1,680 small images and one core: swav_tiny with milder colours.
# With jitter 0.4, 48 prototypes and a rate of 2e-3 it learned little here (loss 3.87 to 3.14 in 300
# steps, probes below the untrained network): docs/methods/ssl.md.
_base_ = ["../../config/models/swav_tiny.py"]

model = dict(
    crops=[
        dict(count=2, size=56, scale=(0.25, 1.0)),
        dict(count=2, size=32, scale=(0.08, 0.3)),
    ],
    prototypes=64,
    projection=(512, 128),
    freeze=0.025,
    colours=dict(jitter=(0.25, 0.25, 0.2, 0.02), grey_share=0.0, blur_share=0.3, blur=(0.1, 0.7)),
)
optim_wrapper = dict(optimizer=dict(lr=1e-3))
auto_scale_lr = dict(base_batch_size=64)
