# ViTDet for the laptop: a plain ViT of width 128, 4 blocks, patches of 8 (the encoder of mae_tiny.py),
# simple feature pyramid, Faster R-CNN. Li et al. 2022; anchors of 8 to 128 pixels.
# From MAE or from random weights.
default_scope = "mmdet"
custom_imports = dict(imports=["urbanssl.detect.registration"])
input_size = 128
width = 128
channels = 64
strides = [4, 8, 16]

box_sampler = dict(type="RandomSampler", pos_fraction=0.5, neg_pos_ub=3)
model = dict(
    type="FasterRCNN",
    data_preprocessor=dict(
        type="DetDataPreprocessor",
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=False,
        pad_size_divisor=32,
    ),
    backbone=dict(
        type="ViTDetBackbone",
        img_size=input_size,
        patch_size=8,
        hierarchical_patches=True,
        standardise=True,
        momentum=0.03,
        embed_dims=width,
        depth=4,
        num_heads=4,
        window_size=8,
        global_blocks=(1, 3),
        pretrain_img_size=input_size,
        drop_path_rate=0.0,
    ),
    neck=dict(
        type="SimpleFeaturePyramid",
        in_channels=width,
        out_channels=channels,
        stride=8,
        scales=(2.0, 1.0, 0.5),
        extra_level=False,
    ),
    rpn_head=dict(
        type="RPNHead",
        in_channels=channels,
        feat_channels=channels,
        anchor_generator=dict(
            type="AnchorGenerator", scales=[2, 4], ratios=[0.5, 1.0, 2.0], strides=strides
        ),
        bbox_coder=dict(
            type="DeltaXYWHBBoxCoder", target_means=[0.0] * 4, target_stds=[1.0] * 4
        ),
        loss_cls=dict(type="CrossEntropyLoss", use_sigmoid=True, loss_weight=1.0),
        loss_bbox=dict(type="L1Loss", loss_weight=1.0),
    ),
    roi_head=dict(
        type="StandardRoIHead",
        bbox_roi_extractor=dict(
            type="SingleRoIExtractor",
            roi_layer=dict(
                type="RoIAlign", output_size=7, sampling_ratio=1, use_torchvision=True
            ),
            out_channels=channels,
            featmap_strides=strides,
            finest_scale=20,
        ),
        bbox_head=dict(
            type="Shared2FCBBoxHead",
            in_channels=channels,
            fc_out_channels=256,
            roi_feat_size=7,
            num_classes=16,
            reg_class_agnostic=True,
            bbox_coder=dict(
                type="DeltaXYWHBBoxCoder",
                target_means=[0.0] * 4,
                target_stds=[0.1, 0.1, 0.2, 0.2],
            ),
            loss_cls=dict(type="CrossEntropyLoss", use_sigmoid=False, loss_weight=1.0),
            loss_bbox=dict(type="L1Loss", loss_weight=1.0),
        ),
    ),
    train_cfg=dict(
        rpn=dict(
            assigner=dict(
                type="MaxIoUAssigner",
                pos_iou_thr=0.6,
                neg_iou_thr=0.3,
                min_pos_iou=0.3,
                match_low_quality=True,
                ignore_iof_thr=0.5,
            ),
            sampler=dict(num=128, add_gt_as_proposals=False, **box_sampler),
            allowed_border=-1,
            pos_weight=-1,
            debug=False,
        ),
        rpn_proposal=dict(
            nms_pre=300, max_per_img=200, nms=dict(type="nms", iou_threshold=0.7), min_bbox_size=0
        ),
        rcnn=dict(
            assigner=dict(
                type="MaxIoUAssigner",
                pos_iou_thr=0.5,
                neg_iou_thr=0.5,
                min_pos_iou=0.5,
                match_low_quality=False,
                ignore_iof_thr=0.5,
            ),
            sampler=dict(num=64, add_gt_as_proposals=True, **box_sampler),
            pos_weight=-1,
            debug=False,
        ),
    ),
    test_cfg=dict(
        rpn=dict(
            nms_pre=300, max_per_img=200, nms=dict(type="nms", iou_threshold=0.7), min_bbox_size=0
        ),
        rcnn=dict(score_thr=0.02, nms=dict(type="nms", iou_threshold=0.5), max_per_img=100),
    ),
)

train_pipeline = [
    dict(type="LoadTile"),
    dict(type="LoadAnnotations", with_bbox=True),
    dict(type="Resize", scale=(input_size, input_size), keep_ratio=False),
    dict(type="RandomFlip", prob=[0.25, 0.25, 0.25], direction=["horizontal", "vertical", "diagonal"]),
    dict(type="RandomTranspose", prob=0.5),
    dict(type="PackDetInputs"),
]
test_pipeline = [
    dict(type="LoadTile"),
    dict(type="Resize", scale=(input_size, input_size), keep_ratio=False),
    dict(type="PackDetInputs"),
]

optim_wrapper = dict(
    type="OptimWrapper",
    constructor="LayerDecayConstructor",
    paramwise_cfg=dict(decay_rate=0.98, num_layers=4),
    optimizer=dict(type="AdamW", lr=1.5e-3, weight_decay=0.05),
    clip_grad=dict(max_norm=5.0, norm_type=2),
)
param_scheduler = [
    dict(type="LinearLR", start_factor=0.05, begin=0, end=0.06),
    dict(type="CosineAnnealingLR", eta_min_ratio=0.02, begin=0.06, end=1.0, T_max=0.94),
]

# MAE has no relative positions: they start at zero. The mean and deviation of the output are counted.
initial_weights = dict(
    mae=dict(prefixes={"": "backbone."}, skip=["rel_pos", "standardise"], expected=1.0),
    file=dict(prefixes={"": "backbone."}, skip=["rel_pos", "standardise"], expected=1.0),
)
