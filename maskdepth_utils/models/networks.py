"""The two networks of the course: `MaskNet` (notebook 02) and `MaskDepthNet` (notebook 03).

Both take two pictures, `image` and `background`, float32 (N, 3, H, W) in [0, 1] with H, W >= 32: the same place with
and without the object. Both return *logits* for the mask, which a sigmoid turns into probabilities.
"""

import contextlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from .blocks import FINE_CHANNELS, IMAGENET_MEAN, IMAGENET_STD, Branch, Detail, Encoder, imagenet_weights, initialise
from .differences import match_exposure

TASKS = ("mask", "depth")
# Names of the layers of MaskDepthNet at full size.
FULL_SIZE = r"(detail|branches\.\w+\.(widen|lateral|mix|head))\."
MINIMUM_SIZE = 32  # pixels: the 7x7 stem's deepest features are then 1x1


class MaskDepth(NamedTuple):
    """What `MaskDepthNet` returns: each (N, 1, H, W) float32, or None for a task that it does not have."""

    mask_logits: Tensor | None
    depth: Tensor | None  # metres / 10, from 0 to 1


class MaskNet(nn.Module):
    """Two conv3x3-ReLU-BatchNorm blocks down, two conv3x3 and a transposed convolution up. Built in notebook 02.

    `MaskNet()(image, background)` returns mask logits (N, 1, H, W). At the bottom, a pixel sees 23 x 23 pixels.
    """

    def __init__(self, width: int = 32):
        super().__init__()
        if width < 1:
            raise ValueError(f"width: expected at least one channel, found {width}")
        self.arguments = {"width": width}  # a checkpoint stores them, to build the same network again
        self.down = nn.Sequential(
            nn.Conv2d(6, width, 3, stride=2, padding=1), nn.ReLU(), nn.BatchNorm2d(width),
            nn.Conv2d(width, 2 * width, 3, stride=2, padding=1), nn.ReLU(), nn.BatchNorm2d(2 * width),
        )  # fmt: skip
        self.middle = nn.Sequential(
            nn.Conv2d(2 * width, 2 * width, 3, padding=1), nn.ReLU(),
            nn.Conv2d(2 * width, 2 * width, 3, padding=1), nn.ReLU(),
        )  # fmt: skip
        # The kernel is twice the stride, so that neighbouring patches overlap and blend.
        self.head = nn.ConvTranspose2d(2 * width, 1, kernel_size=8, stride=4, padding=2)

    def forward(self, image: Tensor, background: Tensor) -> Tensor:
        check_pair(image, background)
        x = self.middle(self.down(torch.cat([image, background], dim=1)))
        with torch.autocast(x.device.type, enabled=False):
            logits = self.head(x.to(self.head.weight.dtype))
        height, width = image.shape[-2:]
        return logits[..., :height, :width]  # sizes not divisible by 4 come out up to 3 px larger


class MaskDepthNet(nn.Module):
    """A ResNet18 encoder and one decoder branch each for the mask and the depth. Built in notebook 03.

    `MaskDepthNet()(image, background)` returns a `MaskDepth`, in float32 under autocast too.

    Args:
        skips: Whether each decoder block gets the encoder stage of its size. `MaskDepthNet(skips=False, stem="3x3")`
            is the network of 2020 and has exactly its 16,181,090 parameters.
        stem: As for the `Encoder`.
        weights: None for a random start, or "DEFAULT" for torchvision's ImageNet weights in the encoder, except a 3x3
            stem. Raises RuntimeError if they cannot be downloaded.
        tasks: ("mask", "depth") or one of them; the other output is then None.
        width: A factor for all channel counts. At 0.25 the network has 1 M parameters and trains in seconds on a CPU.
        detail: True matches the background's exposure first and gives both branches the pictures' `Detail` at full
            size. "raw" gives them the plain difference, without matching. None: as `skips`.
    """

    def __init__(
        self, skips: bool = True, stem: str = "7x7", weights: str | None = None, tasks: Sequence[str] = TASKS,
        width: float = 1.0, detail: bool | str | None = None,
    ):  # fmt: skip
        super().__init__()
        choices = {"stem": ("7x7", "3x3"), "weights": (None, "DEFAULT"), "detail": (None, True, False, "raw")}
        for name, value in {"stem": stem, "weights": weights, "detail": detail}.items():
            if value not in choices[name]:
                raise ValueError(f"{name}: expected one of {choices[name]}, found {value!r}")
        if not width > 0:
            raise ValueError(f"width: expected a factor above 0, found {width}")
        if isinstance(tasks, str) or not tasks or not set(tasks) <= set(TASKS):
            raise ValueError(f"tasks: expected one or both of {TASKS} in a tuple, found {tasks!r}")
        if weights and width != 1:
            raise ValueError(f"weights: ImageNet's fit width=1 only, found width={width}; use weights=None")
        detail = skips if detail is None else detail
        # A checkpoint stores these, to build the same network again; it has its own weights.
        self.arguments = {"skips": skips, "stem": stem, "tasks": list(tasks), "width": width, "detail": detail}
        encoder_channels = [max(8, int(c * width)) for c in (64, 128, 256, 512)]
        branch_channels = [max(16, int(c * width)) for c in (256, 128, 64, 32, 16)]
        stage_channels = encoder_channels[:1] + encoder_channels  # the stem has as many as the first layer
        self.encoder = Encoder(stem, encoder_channels)
        self.detail = Detail(raw=detail == "raw") if detail else None
        self.branches = nn.ModuleDict()
        for task in TASKS:
            if task in tasks:
                fine = FINE_CHANNELS[task] if detail else ()
                self.branches[task] = Branch(stage_channels, branch_channels, skips, fine)
        # Constants, not weights: left out of checkpoints.
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN * 2).view(1, 6, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD * 2).view(1, 6, 1, 1), persistent=False)
        self.apply(initialise)
        if weights:
            self.encoder.load_state_dict(imagenet_weights(stem), strict=stem == "7x7")

    def forward(self, image: Tensor, background: Tensor) -> MaskDepth:
        check_pair(image, background)
        if self.detail is not None and not self.detail.raw:
            background = match_exposure(image, background)
        pair = (torch.cat([image, background], dim=1) - self.mean) / self.std
        *stages, deepest = self.encoder(pair)
        detail = None if self.detail is None else self.detail(image, background)
        maps = {task: branch(deepest, stages, detail, image.shape[-2:]) for task, branch in self.branches.items()}
        depth = maps["depth"].sigmoid() if "depth" in maps else None
        return MaskDepth(mask_logits=maps.get("mask"), depth=depth)


def to_mask_depth(output: Tensor | MaskDepth) -> MaskDepth:
    """A network's output as MaskDepth: MaskNet returns the mask's logits alone."""
    return MaskDepth(output, None) if isinstance(output, Tensor) else MaskDepth(*output)


def check_pair(image: Tensor, background: Tensor) -> None:
    """Raise ValueError unless both are floating (N, 3, H, W) of one shape with H, W >= 32."""
    shape = tuple(image.shape)
    if len(shape) != 4 or shape[1] != 3 or min(shape[2:]) < MINIMUM_SIZE:
        raise ValueError(f"image: expected (N, 3, H, W), at least {MINIMUM_SIZE} x {MINIMUM_SIZE} px, found {shape}")
    if background.shape != image.shape:
        raise ValueError(f"background: expected the image's shape {shape}, found {tuple(background.shape)}")
    for name, x in (("image", image), ("background", background)):
        if not x.is_floating_point():
            raise ValueError(f"{name}: expected float values in [0, 1], found {x.dtype}; divide bytes by 255")


@contextlib.contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Keep a network in evaluation mode within a block: BatchNorm uses, and does not change, its statistics."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        yield
    finally:
        for module in training:  # each as it was: some may have been frozen
            module.training = True


def count_parameters(model: nn.Module) -> int:
    """The number of trainable parameters."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)
