"""The course's networks, built in notebooks 02 and 03."""

from .networks import MaskDepthNet, MaskNet

__all__ = ["MaskDepthNet", "MaskNet"]
