"""Self-supervised pretraining: SwAV, MAE, and DETReg's proposals and targets."""
