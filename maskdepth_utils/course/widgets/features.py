"""The features that a network computes on the way from two pictures to mask and depth. Used in notebooks 03 and 07."""

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import nn

from ... import plots
from ...camera import MAX_DEPTH
from ...inference.photos import check_sizes, read_picture
from ...inference.predictor import network_size
from ...models.blocks import LAYERS
from ...models.networks import MaskDepthNet, evaluating
from ..hooks import recorded_outputs, zeroed_outputs
from .parts import to_bytes

SKIPS = {"all skips": True, "laterals only": "laterals", "detail only": "detail", "no skips": False}


@dataclass(frozen=True)
class Stage:
    """The output of one part of the network: its name in words, and float32 maps (C, H, W)."""

    name: str
    maps: np.ndarray

    @property
    def size(self) -> str:
        """Channels x height x width, "64 x 40 x 40"."""
        return " x ".join(map(str, self.maps.shape))

    @property
    def order(self) -> np.ndarray:
        """Channel numbers (C,), the most varied first: by their standard deviation over the picture."""
        return np.argsort(-self.maps.std(axis=(1, 2)), kind="stable")


@dataclass(frozen=True)
class Features:
    """One pass through a network: the picture that it saw, its stages in the order of computation, its predictions."""

    image: np.ndarray = field(repr=False)  # uint8 (H, W, 3)
    stages: list[Stage] = field(repr=False)
    mask: np.ndarray | None = field(repr=False)  # probability (H, W); None for a network without this task
    depth: np.ndarray | None = field(repr=False)  # metres (H, W), likewise


def collect_features(network, image, background, skips: bool | str = True) -> Features:
    """Run a network once and record each stage's output. The network is left unchanged.

    Args:
        network: A `MaskDepthNet`, or a `Predictor` with one, which resizes pictures to the width it was trained at.
        image: uint8 (H, W, 3), a Pillow image or a path.
        background: Likewise, of the same size.
        skips: True, or which skips carry features while the others carry zeros: "laterals" (from the encoder's
            stages), "detail" (of the two pictures), or False for none.
    """
    model = getattr(network, "model", network)
    if not isinstance(model, MaskDepthNet):
        raise TypeError(f"network: expected a MaskDepthNet or a Predictor with one, found {type(model).__name__}")
    pictures = [read_picture(image, "image"), read_picture(background, "background")]
    check_sizes(*pictures)
    if network is model:
        device = next(model.parameters()).device
        pair = [torch.tensor(picture, device=device).permute(2, 0, 1)[None] / 255 for picture in pictures]
    else:
        height, width = pictures[0].shape[:2]
        pair = [network.prepare(picture, *network_size(width, height, network.size)) for picture in pictures]
    with torch.no_grad(), evaluating(model), zeroed_outputs(skip_modules(model, skips)):
        with recorded_outputs(stage_modules(model)) as outputs:
            logits, depth = model(*pair)
    encoder = {f"encoder, {name}": features for name, features in zip(LAYERS, outputs.pop("encoder"), strict=True)}
    stages = [Stage(name, features[0].float().cpu().numpy()) for name, features in (encoder | outputs).items()]
    mask = None if logits is None else logits[0, 0].float().sigmoid().cpu().numpy()
    metres = None if depth is None else depth[0, 0].float().cpu().numpy() * np.float32(MAX_DEPTH)
    return Features(to_bytes(plots.to_array(pair[0][0])), stages, mask, metres)


def skip_modules(model: MaskDepthNet, skips: bool | str) -> list[nn.Module]:
    """The modules that must output zeros for `skips`, as in `collect_features`."""
    if skips not in SKIPS.values():
        raise ValueError(f"skips: expected one of {', '.join(map(repr, SKIPS.values()))}, found {skips!r}")
    branches = model.branches.values()
    modules = []
    if skips in (False, "detail"):
        modules += [up.lateral for branch in branches for up in branch.ups]
    if skips in (False, "laterals"):
        modules += [model.detail, *(getattr(branch, "lateral", None) for branch in branches)]
    return [module for module in modules if module is not None]


def stage_modules(model: MaskDepthNet) -> dict[str, nn.Module]:
    """The modules whose outputs are shown, by their names in words. The encoder outputs five stages at once."""
    modules = {"encoder": model.encoder}
    if model.detail is not None:
        modules["detail of the two pictures"] = model.detail
    for task, branch in model.branches.items():
        modules[f"{task} branch, entry"] = branch.entry
        modules |= {f"{task} branch, block {number}": up for number, up in enumerate(branch.ups, start=1)}
        if hasattr(branch, "mix"):
            modules[f"{task} branch, mixed with detail"] = branch.mix
    return modules
