# ViTDet with ViT-B/16 as published, with Faster R-CNN in place of Mask R-CNN: Li et al. 2022,
# section 4.1 and appendix A.2. Large-scale jitter to 1024, 100 epochs, batch 64, AdamW 1e-4, weight
# decay 0.1, layer-wise decay 0.7, drop path 0.1, drops at .889 and .963 of the training.
default_scope = "mmdet"
custom_imports = dict(imports=["urbanssl.detect.registration"])
input_size = 1024
channels = 256
norm = dict(type="PixelLayerNorm")

model = dict(
    type="FasterRCNN",
    data_preprocessor=dict(
        type="DetDataPreprocessor",
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=False,
        pad_size_divisor=64,
    ),
    backbone=dict(
        type="ViTDetBackbone",
        img_size=input_size,
        patch_size=16,
        embed_dims=768,
        depth=12,
        num_heads=12,
        window_size=14,
        global_blocks=(2, 5, 8, 11),
        pretrain_img_size=224,
        drop_path_rate=0.1,
    ),
    neck=dict(
        type="SimpleFeaturePyramid",
        in_channels=768,
        out_channels=channels,
        stride=16,
        scales=(4.0, 2.0, 1.0, 0.5),
        extra_level=True,
    ),
    rpn_head=dict(
        type="RPNHead",
        in_channels=channels,
        feat_channels=channels,
        num_convs=2,
        anchor_generator=dict(
            type="AnchorGenerator",
            scales=[8],
            ratios=[0.5, 1.0, 2.0],
            strides=[4, 8, 16, 32, 64],
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
                type="RoIAlign", output_size=7, sampling_ratio=0, use_torchvision=True
            ),
            out_channels=channels,
            featmap_strides=[4, 8, 16, 32],
        ),
        bbox_head=dict(
            type="Shared4Conv1FCBBoxHead",
            in_channels=channels,
            conv_out_channels=channels,
            fc_out_channels=1024,
            norm_cfg=norm,
            roi_feat_size=7,
            num_classes=16,
            reg_class_agnostic=False,
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
                pos_iou_thr=0.7,
                neg_iou_thr=0.3,
                min_pos_iou=0.3,
                match_low_quality=True,
                ignore_iof_thr=0.5,
            ),
            sampler=dict(
                type="RandomSampler",
                num=256,
                pos_fraction=0.5,
                neg_pos_ub=-1,
                add_gt_as_proposals=False,
            ),
            allowed_border=-1,
            pos_weight=-1,
            debug=False,
        ),
        rpn_proposal=dict(
            nms_pre=2000, max_per_img=1000, nms=dict(type="nms", iou_threshold=0.7), min_bbox_size=0
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
            sampler=dict(
                type="RandomSampler",
                num=512,
                pos_fraction=0.25,
                neg_pos_ub=-1,
                add_gt_as_proposals=True,
            ),
            pos_weight=-1,
            debug=False,
        ),
    ),
    test_cfg=dict(
        rpn=dict(
            nms_pre=1000, max_per_img=1000, nms=dict(type="nms", iou_threshold=0.7), min_bbox_size=0
        ),
        rcnn=dict(score_thr=0.05, nms=dict(type="nms", iou_threshold=0.5), max_per_img=100),
    ),
)

image = (input_size, input_size)
train_pipeline = [
    dict(type="LoadTile"),
    dict(type="LoadAnnotations", with_bbox=True),
    dict(type="RandomFlip", prob=0.5),
    dict(type="RandomResize", scale=image, ratio_range=(0.1, 2.0), keep_ratio=True),
    dict(
        type="RandomCrop",
        crop_type="absolute",
        crop_size=image,
        recompute_bbox=True,
        allow_negative_crop=True,
    ),
    dict(type="Pad", size=image, pad_val=dict(img=(124, 116, 104))),
    dict(type="PackDetInputs"),
]
test_pipeline = [
    dict(type="LoadTile"),
    dict(type="Resize", scale=image, keep_ratio=True),
    dict(type="PackDetInputs"),
]

optim_wrapper = dict(
    type="OptimWrapper",
    constructor="LayerDecayConstructor",
    paramwise_cfg=dict(decay_rate=0.7, num_layers=12),
    optimizer=dict(type="AdamW", lr=1e-4, betas=(0.9, 0.999), weight_decay=0.1),
)
param_scheduler = [
    dict(type="LinearLR", start_factor=0.001, begin=0, end=250),
    dict(type="MultiStepLR", milestones=[0.889, 0.963], gamma=0.1),
]
auto_scale_lr = dict(base_batch_size=64)

initial_weights = dict(
    mae=dict(prefixes={"": "backbone."}, skip=["rel_pos"], expected=1.0),
    file=dict(prefixes={"": "backbone."}, skip=["rel_pos"], expected=1.0),
)
