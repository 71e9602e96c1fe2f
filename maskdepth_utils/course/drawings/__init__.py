"""Drawings that explain the camera (the extra composite_geometry), the networks (03) and the losses (04).

Each function returns a matplotlib Figure, 7 inches (700 pixels) wide, for the last line of a notebook's cell. What is
written on it is computed from the course's own networks and data.
"""

from .geometry import pinhole, z_buffer
from .loss_drawings import sobel_edge, ssim_window
from .networks import encoder_decoder, receptive_field, skip

__all__ = ["encoder_decoder", "pinhole", "receptive_field", "skip", "sobel_edge", "ssim_window", "z_buffer"]
