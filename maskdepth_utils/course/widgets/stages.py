"""What a network computes on its way from two pictures to mask and depth. Used in notebooks 03 and 07.

run = collect(load_pretrained(), image, background)          # one pass; every stage's features are kept
run.stages[1].size                                           # "64 x 40 x 40": channels x height x width
cut = collect(network, image, background, skips="laterals")  # the same without the detail of the two pictures
compare(run, cut)                                            # what changed, in words

feature_maps.py shows it as a widget.
"""

import contextlib
import math
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
from .scene import to_bytes

SHOWN = 16  # channels on a page
SKIPS = {"all skips": True, "laterals only": "laterals", "detail only": "detail", "no skips": False}


@dataclass(frozen=True)
class Stage:
    """The features that one part of the network puts out. maps: float32 (C, H, W); name: in words."""

    name: str
    maps: np.ndarray

    @property
    def size(self) -> str:
        """Channels x height x width, "64 x 40 x 40"."""
        return " x ".join(map(str, self.maps.shape))

    @property
    def order(self) -> np.ndarray:
        """Channel numbers, int (C,), the most varied first: by their deviation over the picture."""
        return np.argsort(-self.maps.std(axis=(1, 2)), kind="stable")

    @property
    def pages(self) -> int:
        """How many pages of SHOWN channels there are."""
        return math.ceil(len(self.maps) / SHOWN)


@dataclass(frozen=True)
class Run:
    """One pass through the network: its stages, from the pictures on; mask (H, W), probability, and depth, metres.

    mask or depth is None if the network has no such task.
    """

    stages: list[Stage] = field(repr=False)
    mask: np.ndarray | None = field(repr=False)
    depth: np.ndarray | None = field(repr=False)


def collect(network, image, background, skips: bool | str = True) -> Run:
    """Run the network once and keep what each stage puts out. The network is afterwards as it was.

    network: a `MaskDepthNet`, or a `Predictor` with one inside, which brings pictures to the width that it was trained
    at. image, background: uint8 (H, W, 3), Pillow images, paths or a sample's tensors, of equal sizes. skips: True;
    False, and all that the decoders get past the deepest stage is zero; or the one kind that is left, "laterals" (from
    the encoder's stages) or "detail". Weights stay as they are, and so does everything else.
    """
    return run_once(model_of(network), *prepare(network, image, background), skips)


def run_once(model: MaskDepthNet, image: torch.Tensor, background: torch.Tensor, skips: bool | str = True) -> Run:
    """`collect` for what the network itself takes: two float32 tensors (1, 3, H, W) in [0, 1]."""
    stages: list[Stage] = []
    with evaluating(model), contextlib.ExitStack() as hooks, torch.no_grad():
        # Before the others: a later hook sees what an earlier one made of the output.
        hooks.enter_context(hooked(dict.fromkeys(to_cut(model, skips), zeros)))
        hooks.enter_context(recorded(model, stages))
        logits, depth = model(image, background)
    mask = None if logits is None else logits[0, 0].float().sigmoid().cpu().numpy()
    metres = None if depth is None else depth[0, 0].float().cpu().numpy() * np.float32(MAX_DEPTH)
    return Run(stages, mask, metres)


def model_of(network) -> MaskDepthNet:
    """The network itself, or the one in a `Predictor`. Raises TypeError for another kind."""
    model = getattr(network, "model", network)
    if not isinstance(model, MaskDepthNet):
        raise TypeError(f"network: expected a MaskDepthNet or a Predictor with one, found {type(model).__name__}")
    return model


def prepare(network, image, background) -> list[torch.Tensor]:
    """Two pictures as the network sees them: float32 (1, 3, H, W) in [0, 1], on its device."""
    pictures = [as_picture(picture, name) for picture, name in ((image, "image"), (background, "background"))]
    check_sizes(*pictures)
    height, width = pictures[0].shape[:2]
    if hasattr(network, "prepare"):
        return [network.prepare(picture, *network_size(width, height, network.size)) for picture in pictures]
    device = next(model_of(network).parameters()).device
    return [torch.tensor(picture, device=device).permute(2, 0, 1)[None] / 255 for picture in pictures]


def as_picture(picture, name: str) -> np.ndarray:
    """uint8 (H, W, 3); a sample's tensor (3, H, W) is turned into one."""
    if hasattr(picture, "detach"):
        picture = to_bytes(plots.to_array(picture))
    return read_picture(picture, name)


@contextlib.contextmanager
def hooked(hooks: dict):
    """{module: hook on its output}, for a while."""
    handles = [module.register_forward_hook(hook) for module, hook in hooks.items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def zeros(module, inputs, output: torch.Tensor) -> torch.Tensor:
    """A hook: the module hands on zeros."""
    return torch.zeros_like(output)


def to_cut(model: MaskDepthNet, skips: bool | str) -> list[nn.Module]:
    """The modules that must hand on zeros for `skips` as in `collect`."""
    if skips not in SKIPS.values():
        raise ValueError(f"skips: expected one of {', '.join(map(repr, SKIPS.values()))}, found {skips!r}")
    branches = model.branches.values()
    laterals = [up.lateral for branch in branches for up in branch.ups]
    detail = [model.detail, *(getattr(branch, "lateral", None) for branch in branches)]
    cut = (laterals if skips in (False, "detail") else []) + (detail if skips in (False, "laterals") else [])
    return [module for module in cut if module is not None]


def has_skips(model: MaskDepthNet) -> bool:
    """Is there anything in this network that `to_cut` could cut?"""
    return bool(to_cut(model, False))


def recorded(model: MaskDepthNet, stages: list):
    """A context that appends each stage's features to `stages`, in the order in which they are computed."""

    def keep(name):
        return lambda module, inputs, output: stages.append(to_stage(name, output))

    def keep_encoder(module, inputs, output):
        stages.extend(to_stage(f"encoder, {name}", part) for name, part in zip(LAYERS, output, strict=True))

    hooks = {model.encoder: keep_encoder}
    if model.detail is not None:
        hooks[model.detail] = keep("detail of the two pictures")
    for task, branch in model.branches.items():
        hooks[branch.entry] = keep(f"{task} branch, entry")
        hooks |= {up: keep(f"{task} branch, block {number}") for number, up in enumerate(branch.ups, start=1)}
        if hasattr(branch, "mix"):
            hooks[branch.mix] = keep(f"{task} branch, mixed with detail")
    return hooked(hooks)


def to_stage(name: str, features: torch.Tensor) -> Stage:
    """The first sample's features (N, C, H, W) as a Stage. A copy: later layers may work in place."""
    return Stage(name, features[0].detach().float().cpu().numpy().copy())


def compare(whole: Run, cut: Run) -> str:
    """In words: what changes if skips are cut."""
    words = []
    if cut.mask is not None:
        one, other = whole.mask > 0.5, cut.mask > 0.5
        overlap = (one & other).sum() / max((one | other).sum(), 1)
        words.append(f"IoU of the mask with that of all skips {overlap:.2f}")
    if cut.depth is not None:
        words.append(f"mean change of the depth {np.abs(whole.depth - cut.depth).mean():.2f} m")
    return ", ".join(words)
