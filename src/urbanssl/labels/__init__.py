"""Labels: annotation formats in, boxes clipped to tiles, COCO out."""
