"""Scenes: the sample sheet, reading rasters, cutting tiles, splitting them by place."""
