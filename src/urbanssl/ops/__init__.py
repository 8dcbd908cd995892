"""The few operators that mmcv compiles, provided without a compiler."""
