"""A trained network on photos of your own: prediction, alignment, export to ONNX."""

from .predictor import load_pretrained

__all__ = ["load_pretrained"]
