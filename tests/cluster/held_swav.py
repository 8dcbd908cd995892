# SwAV as on the embedded city, without its probes; it can be held after its fourth step.
_base_ = ["../../config/models/swav_tiny.py"]
custom_imports = {"imports": ["urbanssl.ssl.swav_model", "hold"]}
custom_hooks = [{"type": "FreezePrototypes"}, {"type": "Hold", "step": 4}]
