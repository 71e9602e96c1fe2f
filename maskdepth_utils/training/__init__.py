"""The training loop of notebook 02, with checkpoints, a log and several processes."""

from .loop import fit, mask_and_depth_loss

__all__ = ["fit", "mask_and_depth_loss"]
