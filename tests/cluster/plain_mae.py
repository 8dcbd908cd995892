# MAE as on the embedded city, without its probes.
_base_ = ["../../config/models/mae_tiny.py"]
custom_hooks = []
