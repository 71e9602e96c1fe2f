"""Drawings that explain a network or a loss; each returns a matplotlib Figure."""

from .geometry import pinhole, z_buffer
from .losses import sobel_edge, ssim_window
from .networks import encoder_decoder, receptive_field, skip

__all__ = ["encoder_decoder", "pinhole", "receptive_field", "skip", "sobel_edge", "ssim_window", "z_buffer"]
