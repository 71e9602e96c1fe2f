"""The two networks of the course: `MaskNet` (built in notebook 02) and `MaskDepthNet` (built in notebook 03).

Both take two pictures, `image` and `background`: float32 (N, 3, H, W) in [0, 1], the same place with and
without the object. Both return *logits* for the mask (a sigmoid turns them into probabilities); depth is
already in [0, 1], metres / 10. Their blocks are in blocks.py.
"""

import contextlib
import copy
from typing import NamedTuple

import torch
from torch import Tensor, nn

from .blocks import FINE, IMAGENET_MEAN, IMAGENET_STD, Branch, Detail, Encoder, imagenet_weights, initialise
from .differences import match_exposure

TASKS = ("mask", "depth")
# The names of MaskDepthNet's layers at full size: the only ones that have changed since its first checkpoints.
FULL_SIZE = r"(detail|branches\.\w+\.(widen|lateral|mix|head))\."
MINIMUM_SIZE = 32  # pixels: the 7x7 stem's deepest features are then 1x1


class MaskDepth(NamedTuple):
    """What `MaskDepthNet` returns: each (N, 1, H, W) float32; None for a task that it does not have."""

    mask_logits: Tensor | None
    depth: Tensor | None


class MaskNet(nn.Module):
    """The write-up's first: two conv3x3-ReLU-BatchNorm blocks down, two conv3x3 and a transposed conv up.

    `MaskNet()(image, background)` -> mask logits (N, 1, H, W), for any H, W >= 32. Built in notebook 02. Each
    block down halves the size; the transposed convolution makes up for both at once. At the bottom, a pixel
    sees 23 x 23 pixels: enough to tell an object from noise, not enough to know what a chair is.
    """

    def __init__(self, width: int = 32):
        super().__init__()
        if width < 1:
            raise ValueError(f"width: expected at least one channel, found {width}")
        self.arguments = {"width": width}  # a checkpoint keeps them, to build the same network again
        self.down = nn.Sequential(
            nn.Conv2d(6, width, 3, stride=2, padding=1), nn.ReLU(), nn.BatchNorm2d(width),
            nn.Conv2d(width, 2 * width, 3, stride=2, padding=1), nn.ReLU(), nn.BatchNorm2d(2 * width),
        )  # fmt: skip
        self.up = nn.Sequential(
            nn.Conv2d(2 * width, 2 * width, 3, padding=1), nn.ReLU(),
            nn.Conv2d(2 * width, 2 * width, 3, padding=1), nn.ReLU(),
        )  # fmt: skip
        # A kernel twice the stride: neighbouring patches overlap and blend, where a 4x4 kernel would leave a
        # grid of seams.
        self.head = nn.ConvTranspose2d(2 * width, 1, kernel_size=8, stride=4, padding=2)

    def forward(self, image: Tensor, background: Tensor) -> Tensor:
        check_pair(image, background)
        x = self.up(self.down(torch.cat([image, background], dim=1)))
        with torch.autocast(x.device.type, enabled=False):
            logits = self.head(x.to(self.head.weight.dtype))
        height, width = image.shape[-2:]
        return logits[..., :height, :width]  # sizes not divisible by 4 come out up to 3 px larger


class MaskDepthNet(nn.Module):
    """A ResNet18 encoder and one decoder branch each for the mask and the depth. Built in notebook 03.

    `MaskDepthNet()(image, background)` -> MaskDepth(mask_logits, depth), both (N, 1, H, W) float32 (under
    autocast too), depth in [0, 1] (metres / 10), for any H, W >= 32. Inputs in [0, 1]: it scales them to
    ImageNet's mean and deviation itself. (One single picture of 32 px cannot be trained on: BatchNorm
    needs several values per channel.)

    skips    True: each decoder block gets the encoder stage of its size. False: the 2020 network, without.
    detail   True: both branches get the two pictures' `Detail` at full size, a skip around the whole network,
             and the background gets the image's exposure before all else (differences.py). None: as skips.
             "raw": without the exposure, and with the plain difference of the pictures only.
    stem     "7x7" (stride 2, fast) or "3x3" (full resolution, three times slower, the 2020 network's).
             MaskDepthNet(skips=False, stem="3x3") has exactly the original's 16,181,090 parameters.
    weights  None: random. "DEFAULT": torchvision's ImageNet weights for the encoder. The 7x7 stem is inflated
             to six channels, a 3x3 stem stays random. RuntimeError if they cannot be had.
    tasks    ("mask", "depth") or one of them; the other output is then None. To go on with both after
             training depth alone: `both.load_state_dict(depth_only.state_dict(), strict=False)`.
    width    scales all channel counts (a branch's not below the 16 it ends with): 0.25 makes a net of 1 M
             parameters that trains in seconds on a CPU.
    """

    def __init__(
        self, skips=True, stem="7x7", weights: str | None = None, tasks=TASKS, width=1.0,
        detail: bool | str | None = None,
    ):  # fmt: skip
        super().__init__()
        if stem not in ("7x7", "3x3"):
            raise ValueError(f'stem: expected "7x7" or "3x3", found {stem!r}')
        if isinstance(tasks, str) or not tasks or not set(tasks) <= set(TASKS):
            raise ValueError(f"tasks: expected one or both of {TASKS} in a tuple, found {tasks!r}")
        if weights not in (None, "DEFAULT"):
            raise ValueError(f'weights: expected None or "DEFAULT" (ImageNet), found {weights!r}')
        if weights and width != 1:
            raise ValueError(f"weights: ImageNet's fit width=1 only, found width={width}; use weights=None")
        if not width > 0:
            raise ValueError(f"width: expected a factor above 0, found {width}")
        if detail not in (None, True, False, "raw"):
            raise ValueError(f'detail: expected True, False, None or "raw", found {detail!r}')
        # A checkpoint keeps these, to build the same network again; it brings its own weights.
        detail = skips if detail is None else detail
        self.arguments = {"skips": skips, "stem": stem, "tasks": list(tasks), "width": width, "detail": detail}
        encoder_channels = [max(8, int(c * width)) for c in (64, 128, 256, 512)]
        branch_channels = [max(16, int(c * width)) for c in (256, 128, 64, 32, 16)]
        stage_channels = encoder_channels[:1] + encoder_channels  # the stem has as many as the first stage
        self.encoder = Encoder(stem, encoder_channels)
        self.detail = Detail(raw=detail == "raw") if detail else None
        branches = {
            task: Branch(stage_channels, branch_channels, skips, FINE[task] if detail else ())
            for task in TASKS if task in tasks
        }  # fmt: skip
        self.branches = nn.ModuleDict(branches)
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
        size = image.shape[-2:]
        maps = {task: branch(deepest, stages, detail, size) for task, branch in self.branches.items()}
        depth = maps["depth"].sigmoid() if "depth" in maps else None
        return MaskDepth(mask_logits=maps.get("mask"), depth=depth)


def check_pair(image: Tensor, background: Tensor) -> None:
    """Raise ValueError unless both are floating (N, 3, H, W) of one shape with H, W >= 32."""
    for name, x in (("image", image), ("background", background)):
        if x.dim() != 4 or x.shape[1] != 3:
            raise ValueError(f"{name}: expected shape (N, 3, H, W), found {tuple(x.shape)}")
        if not x.is_floating_point():
            raise ValueError(f"{name}: expected float values in [0, 1], found {x.dtype}; divide bytes by 255")
        size = tuple(x.shape[-2:])
        if min(size) < MINIMUM_SIZE:
            raise ValueError(f"{name}: expected at least {MINIMUM_SIZE} x {MINIMUM_SIZE} px, found {size}")
    if image.shape != background.shape:
        found = f"{tuple(image.shape)} and {tuple(background.shape)}"
        raise ValueError(f"image and background: expected the same shape, found {found}")


@contextlib.contextmanager
def evaluating(model: nn.Module):
    """A network in evaluation mode for a while: BatchNorm uses, and does not change, what it has learned."""
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


def summary(model: nn.Module, size: int = 160) -> int:
    """Print torchsummary's table for one of our networks at size x size px; return its number of parameters.

    torchsummary is right about layers, their output shapes and parameters. Its megabytes are a guess: each
    output twice, for gradients, and once more for the block it is in. And they are nonsense where a module
    has several inputs or outputs, whose sizes it multiplies instead of adding. Two 160 px pictures make
    "22500 MB" of input. The four stages of the 2020 encoder (64x80x80, 128x40x40, 256x20x20 and 512x10x10
    values) multiply to 4.4e20, which 64 bits cannot hold: so its author read 22,256,520,528,101 MB. Here one
    tensor goes in, one comes out, and the encoder is a Sequential, which torchsummary looks through: nothing
    is multiplied.
    """
    import torchsummary

    # A copy: torchsummary runs the model, and neither its BatchNorm statistics nor its device shall change.
    one_tensor = _OneTensor(copy.deepcopy(model).float().cpu().eval())
    with torch.no_grad():
        torchsummary.summary(one_tensor, (6, size, size), batch_size=1, device="cpu")
    return count_parameters(model)


class _OneTensor(nn.Module):
    """A network of two pictures as one of six channels, its outputs stacked."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, pair: Tensor) -> Tensor:
        # Not called as model(...): torchsummary would count that as one more layer, of two outputs.
        output = self.model.forward(*pair.split(3, dim=1))
        if isinstance(output, Tensor):
            return output
        return torch.cat([x for x in output if x is not None], dim=1)


def to_mask_depth(output: Tensor | MaskDepth) -> MaskDepth:
    """A network's output as MaskDepth: MaskNet returns the mask's logits alone."""
    return MaskDepth(output, None) if isinstance(output, Tensor) else MaskDepth(*output)
