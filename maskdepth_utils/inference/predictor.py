"""The trained network on your own two pictures. Used in notebook 05."""

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from ..camera import EYE_HEIGHT, FOV, MAX_DEPTH
from ..devices import choose_device
from ..files import data_dir, to_asset_error
from ..models.networks import MINIMUM_SIZE, to_mask_depth
from ..models.weights import CheckpointError, load_network
from .pairs import describe_mismatch
from .photos import check_sizes, read_picture, refine_mask, resize_array

Picture = np.ndarray | Image.Image | str | Path
SHIPPED = ("maskdepthnet", "masknet")
MAX_ASPECT = 2  # times as tall as wide: taller pictures are made smaller, since the cost grows with the height


@dataclass(frozen=True, eq=False)
class Prediction:
    """A mask, float32 (H, W) probability, and a depth, float32 (H, W) metres; None for what is not predicted.

    `warning` is a sentence if the pictures can hardly be a pair, otherwise empty: see `describe_mismatch`.
    """

    mask: np.ndarray | None
    depth: np.ndarray | None
    warning: str = ""

    def __iter__(self) -> Iterator[np.ndarray | None]:
        """As in ``mask, depth = predictor.predict(image, background)``."""
        return iter((self.mask, self.depth))


def load_pretrained(path: str | Path | None = None, device: str | torch.device = "auto") -> "Predictor":
    """Load the shipped network, or the one in `path`.

    Args:
        path: A .safetensors file, the folder of a training run, or "masknet": the shipped `MaskNet` of notebook 02,
            which predicts masks only. Shipped files are compared with data/checkpoints/SHA256SUMS.
        device: "auto" takes a GPU if there is one.

    Raises:
        CheckpointError: The file is missing, damaged or of another network.
        AssetError: The shipped network is missing or damaged.
    """
    if path is None or path in SHIPPED:
        path = data_dir() / "checkpoints" / f"{path or SHIPPED[0]}.safetensors"
        checksums = path.with_name("SHA256SUMS")
        for file in (path, checksums):
            if not file.is_file():
                raise to_asset_error(file, "is missing")
        checksum = hashlib.sha256(path.read_bytes()).hexdigest()
        if f"{checksum}  {path.name}" not in checksums.read_text(encoding="utf8").splitlines():
            found = f"expected the sha256 listed in {checksums.name}, found {checksum[:16]}..."
            raise to_asset_error(path, f"is not the file that was shipped: {found}")
    model, metadata = load_network(path)
    return Predictor(model, metadata, device)


class Predictor:
    """A network with its pre- and postprocessing; "size" in its metadata is the picture width it was trained at."""

    def __init__(self, model: nn.Module, metadata: dict, device: str | torch.device = "auto"):
        self.device = choose_device(device)
        self.model = model.to(self.device, memory_format=torch.channels_last).eval()
        self.metadata = metadata
        self.size = metadata.get("size", 160)
        if not isinstance(self.size, int) or self.size < MINIMUM_SIZE:
            raise CheckpointError(f"trained at {self.size!r} px: expected a whole number, at least {MINIMUM_SIZE}")

    def predict(
        self, image: Picture, background: Picture, fov: float = FOV, eye_height: float = EYE_HEIGHT, refine: bool = True
    ) -> Prediction:
        """Predict mask and depth of `image` at its own size, given the same place without the object in `background`.

        Args:
            image: uint8 array (H, W, 3) in RGB, Pillow image, or path; at least 32 x 32 pixels.
            background: The same, of equal size.
            fov: The camera's horizontal field of view in degrees.
            eye_height: The camera's height above the floor in metres. A picture shows no absolute scale, so a wrong
                `fov` or `eye_height` multiplies depth by a factor.
            refine: Whether the mask of a larger photo follows its edges (see `photos.refine_mask`).

        Raises:
            ValueError, TypeError, FileNotFoundError: A picture or an option is invalid.
        """
        image, background = read_picture(image, "image"), read_picture(background, "background")
        check_sizes(image, background)
        if not 1 <= fov <= 179:
            raise ValueError(f"fov: expected the horizontal field of view in degrees, 1 to 179; found {fov}")
        if not 0.01 <= eye_height <= 100:
            raise ValueError(f"eye_height: expected metres above the floor, 0.01 to 100; found {eye_height}")
        height, width = image.shape[:2]
        network_width, network_height = network_size(width, height, self.size)
        tensors = [self.prepare(picture, network_width, network_height) for picture in (image, background)]
        with torch.no_grad():
            logits, depth = to_mask_depth(self.model(*tensors))
        marked = None if logits is None else (logits > 0).cpu()
        warning = describe_mismatch(*(tensor.cpu() for tensor in tensors), marked)

        def enlarge(output: Tensor) -> np.ndarray:
            output = output[0, 0, :network_height, :network_width]  # without the padding
            return resize_array(output.float().cpu().numpy(), width, height)

        mask, metres = None, None
        if logits is not None:
            # Logits are enlarged, not probabilities: their step at an edge is steeper, which keeps the edge sharper.
            mask = 1 / (1 + np.exp(-np.clip(enlarge(logits), -80, 80)))
            if refine:
                mask = refine_mask(mask, image, background, width / network_width)
        if depth is not None:
            # With f times the focal length (in network pixels) things look f times nearer than they are, and a camera
            # twice as high sees the same picture of a room twice as large.
            canonical = self.size / math.tan(math.radians(FOV / 2))
            factor = network_width / math.tan(math.radians(fov / 2)) / canonical * eye_height / EYE_HEIGHT
            metres = enlarge(depth) * np.float32(MAX_DEPTH * factor)
        return Prediction(mask, metres, warning)

    def prepare(self, picture: np.ndarray, width: int, height: int) -> Tensor:
        """Turn uint8 (H, W, 3) into float32 (1, 3, height, width) in [0, 1], its edges repeated up to 32 px."""
        picture = resize_array(picture, width, height)
        below, right = max(0, MINIMUM_SIZE - height), max(0, MINIMUM_SIZE - width)
        picture = np.pad(picture, ((0, below), (0, right), (0, 0)), mode="edge")
        tensor = torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255
        return tensor.to(self.device, memory_format=torch.channels_last)


def network_size(width: int, height: int, size: int) -> tuple[int, int]:
    """(width, height) at which the network sees a picture: `size` px wide as in training, with the aspect kept.

    Fields of view and focal lengths are measured in image widths, so a 60 degree camera's picture of any height has
    the scale of the training pictures. Only very tall pictures are made smaller.
    """
    scale = min(size / width, MAX_ASPECT * size / height)
    return max(1, round(width * scale)), max(1, round(height * scale))
