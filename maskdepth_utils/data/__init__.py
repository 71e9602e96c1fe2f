"""Rooms, objects and the samples composed of them; datasets, and loaders that feed them to a network."""

from .datasets import MaskDepthDataset, SceneDataset
from .loading import make_loader
from .storage.zips import ZipDataset

__all__ = ["MaskDepthDataset", "SceneDataset", "ZipDataset", "make_loader"]
