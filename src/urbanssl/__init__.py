"""urbanssl: self-supervised detectors of urban features, judged on detection and crime rates."""

from importlib.metadata import version

__version__ = version("urbanssl")
