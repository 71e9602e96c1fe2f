"""maskdepth_utils: predict an object's mask and a photo's depth from the photo and its empty background."""

from pathlib import Path

__version__ = "0.1.0"


def load_pretrained(path: str | Path | None = None, device: str = "auto"):
    """Load the shipped network, or the one in `path`: see `maskdepth_utils.inference.predictor.load_pretrained`."""
    from .inference.predictor import load_pretrained  # here, because loading PyTorch takes seconds

    return load_pretrained(path, device)
