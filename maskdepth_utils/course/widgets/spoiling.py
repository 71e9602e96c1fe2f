"""What the loss explorer computes: a true map and a way to spoil it in, bills and pictures out, without a front end.

truth = load_truth("depth", 5)                        # a real sample's depth
spoiled = spoil(truth, Spoil(shift=2, offset=0.1))    # 2 px to the right, 1 m too far
bills(truth, spoiled)["L1"].relative                  # 1 is what plain gray costs
pictures = draw(truth, spoiled)                       # {"truth": PNG bytes, ...}; explorer.py puts sliders on it

A map is a float32 tensor (1, 1, H, W). Depth is on the network's scale, metres / 10, so from 0 to 1 for up to 10 m; a
mask is the object's coverage from 0 to 1, and a spoiled mask is taken for a probability.
"""

import functools
import math
import operator
from dataclasses import astuple, dataclass
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from matplotlib import colormaps
from torch import Tensor

from ...camera import MAX_DEPTH
from ...data.datasets import MaskDepthDataset
from ...files import data_dir
from ...losses import depth_loss, mask_loss
from ...plots import color_depth, depth_limits, to_metres
from .scene import to_bytes, to_png

# What the losses are called in the course, by their names in depth_loss and mask_loss.
NAMES = {
    "depth": {"l1": "L1", "edge": "edge", "ssim": "SSIM"},
    "mask": {"bce": "BCE", "dice": "Dice", "ssim": "SSIM"},
}
UNITS = {"depth": MAX_DEPTH, "mask": 1.0}  # what 1 is on a map: 10 metres, or certainty
SAMPLES = 40  # of the validation data: as many as notebook 04 looks at
CERTAIN = 0.001  # a spoiled mask is kept this far from 0 and 1, whose logits are infinite
ROUNDING = 1e-5  # of plain gray's bill: a loss below that is made of rounding errors, and so is its gradient
QUIET = 0.01  # pushes weaker than this part of L1's are drawn as none
PUSH_COLORS = np.uint8(colormaps["PuOr"](np.arange(256))[:, :3] * 255)  # looked up: no drawing at every event


@dataclass(frozen=True)
class Spoil:
    """Ways to spoil a map; the defaults change nothing.

    blur: sigma of a Gaussian, px; shift: px to the right, whole ones; gray: the part of the contrast that is taken
    away, 0 to 1; scale: a factor; offset: what is added, and noise: standard deviation, both on the map's own scale,
    so metres / 10 for depth.
    """

    blur: float = 0.0
    shift: int = 0
    gray: float = 0.0
    offset: float = 0.0
    scale: float = 1.0
    noise: float = 0.0

    def __post_init__(self):
        if not all(math.isfinite(value) for value in astuple(self)):
            raise ValueError(f"expected finite numbers, found {self}")
        if self.blur < 0 or self.noise < 0 or not 0 <= self.gray <= 1:
            raise ValueError(f"expected blur and noise of at least 0, and gray from 0 to 1, found {self}")
        if self.shift != int(self.shift):
            raise ValueError(f"shift: expected whole pixels, found {self.shift}")


PLAIN_GRAY = Spoil(gray=1.0)
BOTH = {
    "plain gray": PLAIN_GRAY,
    "blurred": Spoil(blur=2.0),
    "2 px to the right": Spoil(shift=2),
    "half the contrast": Spoil(gray=0.5),
}
PRESETS = {
    "depth": BOTH | {"1 m too far": Spoil(offset=0.1), "noise, 0.5 m": Spoil(noise=0.05)},
    "mask": BOTH | {"nothing found": Spoil(scale=0.0), "noise, 0.2": Spoil(noise=0.2)},
}


class Bill(NamedTuple):
    """value: the loss, unweighted; relative: as a multiple of what plain gray costs."""

    value: float
    relative: float


def load_truth(task: str = "depth", index: int = 5) -> Tensor:
    """The true depth or mask (1, 1, 80, 80) of one of the first SAMPLES validation samples. Do not write to it."""
    check_task(task)
    if not 0 <= operator.index(index) < SAMPLES:
        raise ValueError(f"index: expected 0 to {SAMPLES - 1}, found {index}")
    return _sample(index, str(data_dir()))[task][None]


@functools.lru_cache(maxsize=SAMPLES)
def _sample(index: int, data: str) -> dict:
    return MaskDepthDataset("val", size=80, gap="tripod", data=data)[index]


def check_task(task: str) -> None:
    """Raise ValueError unless it is "depth" or "mask"."""
    if task not in NAMES:
        raise ValueError(f'task: expected "depth" or "mask", found {task!r}')


# ---------------------------------------------------------------------------------------- the spoiled map


def spoil(truth: Tensor, how: Spoil, seed: int = 0) -> Tensor:
    """The map, spoiled: blurred, moved, its contrast reduced, scaled, offset, and noise added, in this order.

    Of the shape of `truth` (N, 1, H, W), and not clipped: clipping walls at 10 m would turn an offset into edges.
    The same seed gives the same noise, only stronger or weaker.
    """
    if truth.dim() != 4:
        raise ValueError(f"expected a map (N, 1, H, W), found {tuple(truth.shape)}")
    level = truth.mean(dim=(2, 3), keepdim=True)
    x = move(blur(truth, how.blur), int(how.shift))
    if how.gray:  # steps that change nothing are left out: they would leave rounding errors
        x = level + (1 - how.gray) * (x - level)
    x = how.scale * x + how.offset
    if how.noise:
        x = x + how.noise * torch.randn(x.shape, generator=torch.Generator().manual_seed(seed))
    return x


def blur(x: Tensor, sigma: float) -> Tensor:
    """A Gaussian of `sigma` px; beyond the border the border goes on."""
    if not sigma:
        return x
    reach = math.ceil(3 * sigma)
    row = torch.exp(-(torch.arange(-reach, reach + 1.0) ** 2) / (2 * sigma**2))[None, None, None]
    row = row / row.sum()
    return F.conv2d(F.conv2d(F.pad(x, [reach] * 4, mode="replicate"), row), row.transpose(2, 3))


def move(x: Tensor, pixels: int) -> Tensor:
    """To the right, or to the left if negative; the border is repeated."""
    if pixels >= 0:
        return F.pad(x, (pixels, 0, 0, 0), mode="replicate")[..., : x.shape[-1]]
    return F.pad(x, (0, -pixels, 0, 0), mode="replicate")[..., -pixels:]


# ---------------------------------------------------------------------------------------- what the losses say


def as_output(spoiled: Tensor, task: str) -> Tensor:
    """The map as a network would put it out: depth as it is, a probability as a logit."""
    return spoiled if task == "depth" else spoiled.clamp(CERTAIN, 1 - CERTAIN).logit()


def charge(output: Tensor, truth: Tensor, task: str) -> dict[str, Tensor]:
    """The unweighted terms of depth_loss or mask_loss, by the names the course uses. output: see `as_output`."""
    check_task(task)
    if task == "depth":
        terms = depth_loss(output, truth, terms=True)[1]
    else:
        terms = mask_loss(output, truth, dice=1.0, terms=True)[1]
    return {name: terms[term] for term, name in NAMES[task].items()}


def bills(truth: Tensor, spoiled: Tensor, task: str = "depth") -> dict[str, Bill]:
    """What each loss charges for the spoiled map.

    For depth the truth itself costs nothing. A true mask still costs a little: its soft borders are neither 0 nor 1,
    and no probability may be nearer to them than CERTAIN.
    """
    return {name: bill for name, (bill, _) in ask(truth, spoiled, task).items()}


def pushes(truth: Tensor, spoiled: Tensor, task: str = "depth") -> dict[str, np.ndarray]:
    """Minus each loss's gradient, (H, W): where a small step would move each pixel of the network's output.

    The output is depth (metres / 10), positive is farther; or the mask's logit, positive is more likely. All zero
    where a loss is nothing but rounding errors: the slopes of absolute values would be as large as ever.
    """
    return {name: push for name, (_, push) in ask(truth, spoiled, task).items()}


def ask(truth: Tensor, spoiled: Tensor, task: str = "depth") -> dict[str, tuple[Bill, np.ndarray]]:
    """Bill and push of each loss about one map (1, 1, H, W): see `bills` and `pushes`."""
    check_task(task)
    if truth.shape != spoiled.shape or truth.shape[:2] != (1, 1):
        raise ValueError(f"expected two maps (1, 1, H, W), found {tuple(truth.shape)} and {tuple(spoiled.shape)}")
    with torch.no_grad():
        standard = charge(as_output(spoil(truth, PLAIN_GRAY), task), truth, task)
    output = as_output(spoiled.detach(), task).requires_grad_()
    answers = {}
    for name, value in charge(output, truth, task).items():
        (gradient,) = torch.autograd.grad(value, output, retain_graph=True)
        if standard[name] < 1e-6:
            raise ValueError("the true map is plain gray itself: there is nothing to compare with")
        bill = Bill(value.item(), value.item() / standard[name].item())
        push = -gradient[0, 0].numpy()
        answers[name] = bill, push if bill.relative > ROUNDING else np.zeros_like(push)
    return answers


# ---------------------------------------------------------------------------------------- pictures


def scaled(push: np.ndarray) -> np.ndarray:
    """A push from -1 to 1, the strongest being 1 or -1; all 0 if even that is next to nothing, see QUIET."""
    strongest = np.abs(push).max()
    # L1, a mean, pushes each pixel by 1 / number of pixels.
    return push / strongest if strongest * push.size > QUIET else np.zeros_like(push)


def color_push(push: np.ndarray) -> np.ndarray:
    """uint8 (H, W, 3): orange towards smaller (nearer, less likely), purple towards larger, nearly white: none."""
    return PUSH_COLORS[np.rint(127.5 + 127.5 * scaled(push)).astype(int)]


def color_map(values: Tensor, truth: Tensor, task: str) -> np.ndarray:
    """uint8 (H, W, 3): depth in the colours of the truth's range, bright is near; a mask from black to white."""
    if task == "depth":
        return color_depth(to_metres(values[0]), depth_limits(to_metres(truth[0])))
    return np.repeat(to_bytes(values[0, 0].numpy())[..., None], 3, axis=2)


def draw(truth: Tensor, spoiled: Tensor, task: str = "depth", answers: dict | None = None) -> dict[str, bytes]:
    """PNG files: "truth", "spoiled", and one push for each loss, by its name. answers: of `ask`, if you have them."""
    answers = answers or ask(truth, spoiled, task)
    pictures = {"truth": color_map(truth, truth, task), "spoiled": color_map(spoiled, truth, task)}
    pictures |= {name: color_push(push) for name, (_, push) in answers.items()}
    return {name: to_png(picture) for name, picture in pictures.items()}
