# DETReg for the laptop: the detector of deformable_detr_tiny.py learns to find the boxes of proposals
# and to embed them as a frozen SwAV ResNet-18 does. Bar et al. 2022. Crops are resized to 64 pixels,
# not 128: a quarter of the work. The backbone learns too (frozen in the paper): a SwAV of minutes is
# not good enough to be kept.
default_scope = "mmdet"
custom_imports = dict(imports=["urbanssl.detect.registration"])
input_size = 128
width = 128

attention = dict(embed_dims=width, num_heads=8, dropout=0.0, batch_first=True)
deformable = dict(num_levels=2, num_points=4, **attention)
feedforward = dict(embed_dims=width, feedforward_channels=256, ffn_drop=0.0)

model = dict(
    type="DETReg",
    frozen_backbone=False,
    embedder=dict(type="ObjectEmbedder", weights=None, depth=18, patch=64),
    num_queries=60,
    num_feature_levels=2,
    with_box_refine=True,
    as_two_stage=True,
    data_preprocessor=dict(
        type="DetDataPreprocessor",
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=False,
        pad_size_divisor=1,
    ),
    backbone=dict(
        type="ResNet",
        depth=18,
        num_stages=3,
        strides=(1, 2, 2),
        dilations=(1, 1, 1),
        out_indices=(1, 2),
        frozen_stages=-1,
        norm_cfg=dict(type="BN", requires_grad=True),
        norm_eval=False,
        style="pytorch",
    ),
    neck=dict(
        type="ChannelMapper",
        in_channels=[128, 256],
        kernel_size=1,
        out_channels=width,
        act_cfg=None,
        norm_cfg=dict(type="GN", num_groups=32),
        num_outs=2,
    ),
    encoder=dict(num_layers=2, layer_cfg=dict(self_attn_cfg=deformable, ffn_cfg=feedforward)),
    decoder=dict(
        num_layers=2,
        return_intermediate=True,
        layer_cfg=dict(self_attn_cfg=attention, cross_attn_cfg=deformable, ffn_cfg=feedforward),
        post_norm_cfg=None,
    ),
    positional_encoding=dict(num_feats=width // 2, normalize=True, offset=-0.5),
    bbox_head=dict(
        type="DETRegHead",
        embedding_channels=128,
        embedding_weight=1.0,
        first_stage_matches=4,
        num_classes=1,
        embed_dims=width,
        sync_cls_avg_factor=True,
        loss_cls=dict(type="FocalLoss", use_sigmoid=True, gamma=2.0, alpha=0.25, loss_weight=2.0),
        loss_bbox=dict(type="L1Loss", loss_weight=5.0),
        loss_iou=dict(type="GIoULoss", loss_weight=2.0),
    ),
    train_cfg=dict(
        assigner=dict(
            type="HungarianAssigner",
            match_costs=[
                dict(type="FocalLossCost", weight=2.0, eps=1e-8),
                dict(type="BBoxL1Cost", weight=5.0, box_format="xywh"),
                dict(type="IoUCost", iou_mode="giou", weight=2.0),
            ],
        )
    ),
    test_cfg=dict(max_per_img=60, nms=dict(type="nms", iou_threshold=0.5)),
)

train_pipeline = [
    dict(type="LoadTile"),
    dict(type="LoadAnnotations", with_bbox=True),
    dict(type="Resize", scale=(input_size, input_size), keep_ratio=False),
    dict(type="RandomFlip", prob=[0.25, 0.25, 0.25], direction=["horizontal", "vertical", "diagonal"]),
    dict(type="RandomTranspose", prob=0.5),
    dict(type="PackDetInputs"),
]
optim_wrapper = dict(
    type="OptimWrapper",
    optimizer=dict(type="AdamW", lr=5e-4, weight_decay=1e-4),
    clip_grad=dict(max_norm=1.0, norm_type=2),
    paramwise_cfg=dict(custom_keys={"sampling_offsets": dict(lr_mult=0.1)}),
)
param_scheduler = [
    dict(type="LinearLR", start_factor=0.05, begin=0, end=0.06),
    dict(type="CosineAnnealingLR", eta_min_ratio=0.02, begin=0.06, end=1.0, T_max=0.94),
]

initial_weights = dict(
    swav=dict(prefixes={"": "backbone."}, expected=1.0),
    file=dict(prefixes={"": "backbone."}, expected=1.0),
)
