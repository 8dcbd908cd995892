"""The detectors as mmdet modules, and what is done with their boxes."""
