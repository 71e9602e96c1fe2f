"""Widgets of the notebooks: scenes of your own, your own photos, the loss explorer, the feature maps."""

from .feature_widget import feature_maps
from .loss_widget import loss_explorer
from .photo_widget import own_photos
from .scene import DEPTH_LIMITS, HARD_SCENES, Setup, build_scene, predict_scene
from .scene_widgets import composer, current_setup, playground

__all__ = [
    "DEPTH_LIMITS", "HARD_SCENES", "Setup", "build_scene", "composer", "current_setup", "feature_maps",
    "loss_explorer", "own_photos", "playground", "predict_scene",
]  # fmt: skip
