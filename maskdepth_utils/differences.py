"""How two shots of a place differ, once exposure and noise are taken out. Built in notebook 03.

A raw difference mixes three things: the object, another exposure, and noise. The last two say nothing of the
object, and both can be measured on the pictures themselves, since most pixels show no object. What is left is as
much as an outline can be seen by: is this pixel's difference larger than noise, and how does it compare with the
largest one nearby? Nothing here is learned.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

USUAL = 0.1  # a usual difference on an object: brings differences to a scale of about 1
WINDOWS = (3, 5, 9)  # pixels, in which the largest difference is looked for
CHANNELS = 6 + len(WINDOWS)  # of what `differences` returns
CLIPPED = 0.98  # brighter pixels are overexposed: they do not tell by how much


def match_exposure(image: Tensor, background: Tensor, rounds: int = 4) -> Tensor:
    """The background with the image's exposure and white balance, (N, 3, H, W): each channel times a factor.

    The factors come from least squares, repeated with weights that fall with a pixel's error (iteratively
    reweighted), so that the object counts less and less; on means of 4 x 4 pixels, which have little noise left.
    """
    target, source = F.avg_pool2d(image, 4), F.avg_pool2d(background, 4)
    usable = (torch.maximum(target, source) < CLIPPED).to(image.dtype)
    gain = torch.ones_like(image[..., :1, :1])
    for _ in range(rounds):
        weight = usable / (0.02 + (target - gain * source).abs().sum(1, keepdim=True))
        above, below = ((weight * source * x).sum((2, 3), keepdim=True) for x in (target, source))
        gain = (above + 0.001) / (below + 0.001)  # 1, if all is black or overexposed
    return gain * background


def differences(image: Tensor, background: Tensor) -> Tensor:
    """Two pictures (N, 3, H, W) of one exposure, in [0, 1] -> (N, 9, H, W), of the scale of 1.

    Channels 0 to 2: the difference in units of 0.1. 3 to 5: the same in units of the noise, squashed to -2 .. 2; the
    noise is the geometric mean of all differences, which hardly notices an object. 6 to 8: the difference's length as
    a share of the largest one within 3, 5 and 9 pixels: at an outline, where object and background mix, it is about
    the object's share.
    """
    difference = image - background
    noise = (difference.abs().mean(1, keepdim=True) + 0.001).log().mean((2, 3), keepdim=True).exp()
    length = (difference * difference).sum(1, keepdim=True).sqrt()
    shares = [length / (F.max_pool2d(length, window, 1, window // 2) + noise + 0.005) for window in WINDOWS]
    relative = 2 * difference / (difference.abs() + 3 * noise + 0.01)
    return torch.cat([difference / USUAL, relative, *shares], dim=1)
