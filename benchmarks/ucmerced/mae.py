# MAE for 1,680 small images and one core: mae_tiny, its rate for a batch of 64.
_base_ = ["../../config/models/mae_tiny.py"]

auto_scale_lr = dict(base_batch_size=64)
