"""Widgets of the notebooks: the composer, the playground, the loss explorer, the feature maps."""

from .scene import BREAK_IT, LIMITS, Setup, build, play
from .scene_box import composer, own_photos, playground, setup_of
from .spoil_box import loss_explorer
from .stages_box import feature_maps

__all__ = [
    "BREAK_IT", "LIMITS", "Setup", "build", "composer", "feature_maps", "loss_explorer", "own_photos", "play",
    "playground", "setup_of",
]  # fmt: skip
