"""The trained network on your own two pictures. Used in notebook 05.

predictor = load_pretrained()
prediction = predictor.predict("photo.jpg", "empty.jpg")
prediction.mask     # float32 (H, W), probability that a pixel is on the object
prediction.depth    # float32 (H, W), metres along the optical axis
"""

import hashlib
import math
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch

from ..camera import EYE_HEIGHT, FOV, MAX_DEPTH
from ..devices import choose_device
from ..files import data_dir
from ..models.networks import MINIMUM_SIZE, to_mask_depth
from ..models.weights import CheckpointError, load_network
from .photos import check_sizes, read_picture, refine_mask

SHIPPED = ("maskdepthnet", "masknet")
# the network sees pictures up to this many times as tall as wide at full scale; cost grows with the height
TALLEST = 2


class Prediction(NamedTuple):
    """mask: float32 (H, W), probability; depth: float32 (H, W), metres; None for what is not predicted."""

    mask: np.ndarray | None
    depth: np.ndarray | None


def load_pretrained(path=None, device="auto") -> "Predictor":
    """The shipped network, or the one in `path` (a .safetensors file, or a training run's folder).

    path "masknet" is the shipped `MaskNet` of notebook 02, which predicts masks only. Shipped files are
    compared with data/checkpoints/SHA256SUMS. Raises CheckpointError if the file is missing, damaged or of
    another network; assets.AssetError without data/.
    """
    if path is None or path in SHIPPED:
        path = shipped_network(path or SHIPPED[0])
    model, metadata = load_network(path)
    return Predictor(model, metadata, device)


def shipped_network(name: str) -> Path:
    """The path of a shipped network's file, its checksum verified. Raises as `load_pretrained`."""
    path = data_dir() / "checkpoints" / f"{name}.safetensors"
    restore = "Get it again (git checkout data/checkpoints) or name a checkpoint of your own: load_pretrained(path)"
    if not path.is_file():
        raise CheckpointError(f"{path}: the shipped network is missing. {restore}")
    sums = path.with_name("SHA256SUMS")
    lines = sums.read_text(encoding="utf8", errors="replace").splitlines() if sums.is_file() else []
    pairs = (line.split() for line in lines)
    listed = {pair[1].lstrip("*"): pair[0] for pair in pairs if len(pair) == 2}  # `sha256sum -b` writes a star
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if listed.get(path.name) != found:
        expected = listed.get(path.name, "none listed")
        raise CheckpointError(
            f"{path}: not the file that was shipped: its sha256 is {found[:16]}..., and {sums.name} says "
            f"{expected[:16]}. {restore}"
        )
    return path


class Predictor:
    """A trained network with what is needed around it: sizes, cameras, units.

    metadata: what the checkpoint says about itself (network, arguments, size, training).
    """

    def __init__(self, model, metadata: dict, device="auto"):
        self.device = choose_device(device)
        self.model = model.to(self.device, memory_format=torch.channels_last).eval()
        self.metadata = metadata
        self.size = metadata.get("size", 160)
        if not isinstance(self.size, int) or self.size < MINIMUM_SIZE:
            raise CheckpointError(
                f"the checkpoint says that its network was trained at {self.size!r} px: "
                f"expected a whole number, at least {MINIMUM_SIZE}"
            )

    def predict(
        self, image, background, fov: float = FOV, eye_height: float = EYE_HEIGHT, refine: bool = True
    ) -> Prediction:
        """Mask and depth of `image`, given the same place without the object in `background`.

        image, background   uint8 arrays (H, W, 3) in RGB, Pillow images, or paths; equal sizes of at least
                            32 x 32 pixels. Photos are turned upright as their EXIF data says.
        fov                 horizontal field of view of the camera, degrees
        eye_height          of the camera above the floor, metres
        refine              let the mask of a larger photo follow its edges (see photos.refine_mask)

        A picture shows no absolute scale: with another camera than you say, depth is wrong by a factor.
        Returns Prediction(mask, depth) at the pictures' own size. Raises ValueError or TypeError for unfit
        pictures, FileNotFoundError or ValueError for unfit paths.
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
        crop = (slice(0, network_height), slice(0, network_width))  # without `prepare`'s padding
        mask, metres = None, None
        if logits is not None:
            # Enlarged as logits: their step at an edge is steeper than the probability's, so the enlarged
            # edge is sharper.
            logits = resize(logits[0, 0].float().cpu().numpy()[crop], width, height)
            mask = 1 / (1 + np.exp(-np.clip(logits, -80, 80)))
            if refine:
                mask = refine_mask(mask, image, background, width / network_width)
        if depth is not None:
            # At the network's scale, things f times larger look f times nearer (f: focal length in network
            # pixels), and a camera twice as high sees the same picture of a room twice as large.
            canonical = self.size / math.tan(math.radians(FOV / 2))
            factor = network_width / math.tan(math.radians(fov / 2)) / canonical * eye_height / EYE_HEIGHT
            metres = resize(depth[0, 0].float().cpu().numpy()[crop], width, height) * np.float32(MAX_DEPTH * factor)
        return Prediction(mask, metres)

    def prepare(self, picture, width: int, height: int) -> torch.Tensor:
        """uint8 (H, W, 3) -> float32 (1, 3, height, width) in [0, 1]; a repeated edge fills up to 32 px."""
        picture = resize(picture, width, height)
        below, right = max(0, MINIMUM_SIZE - height), max(0, MINIMUM_SIZE - width)
        picture = np.pad(picture, ((0, below), (0, right), (0, 0)), mode="edge")
        tensor = torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255
        return tensor.to(self.device, memory_format=torch.channels_last)


def network_size(width: int, height: int, size: int) -> tuple[int, int]:
    """(width, height) at which the network sees a picture: `size` px wide, as in training, the aspect kept.

    Fields of view and focal lengths count in image widths, so at this width a 60 degree camera's picture has
    the training pictures' scale, wide or tall. Only very tall pictures are made smaller than that.
    """
    scale = size / width
    if height * scale > TALLEST * size:
        scale = TALLEST * size / height
    return max(1, round(width * scale)), max(1, round(height * scale))


def resize(picture, width: int, height: int):
    """Averaged when made smaller (no aliasing), interpolated when made larger."""
    if picture.shape[:2] == (height, width):
        return picture
    shrinks = width * height < picture.shape[0] * picture.shape[1]
    return cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
