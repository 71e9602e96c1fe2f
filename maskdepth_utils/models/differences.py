"""How two shots of a place differ, once exposure and noise are taken out. Built in notebook 03.

A raw difference mixes three things: the object, another exposure, and noise. The last two say nothing of the
object, and both can be measured on the pictures themselves, since most pixels show no object. What is left is as
much as an outline can be seen by: is this pixel's difference larger than noise, and how far does its colour lie on
the way from the background's to the object's? Nothing here is learned.
"""

import functools

import torch
import torch.nn.functional as F
from torch import Tensor

USUAL = 0.1  # a usual difference on an object: brings differences to a scale of about 1
WINDOWS = (3, 5, 9)  # pixels, in which the largest difference and the object's colour are looked for
CHANNELS = 6 + 2 * len(WINDOWS) + 1  # of what `differences` returns
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
    """Two pictures (N, 3, H, W) of one exposure, in [0, 1] -> (N, 13, H, W), of the scale of 1.

    Channels 0 to 2: the difference in units of 0.1. 3 to 5: the same in units of the noise, squashed to -2 .. 2; the
    noise is the geometric mean of all differences, which hardly notices an object. 6 to 8: the difference's length as
    a share of the largest one within 3, 5 and 9 pixels: at an outline, where object and background mix, it is about
    the object's share. 9 to 11: that share once more, from the colours within as many pixels (`object_share`).
    12: the noise, on a logarithmic scale and the same everywhere: it tells what the others are worth.
    """
    difference = image - background
    noise = (difference.abs().mean(1, keepdim=True) + 0.001).log().mean((2, 3), keepdim=True).exp()
    relative = 2 * difference / (difference.abs() + 3 * noise + 0.01)
    length, least = (difference * difference).sum(1, keepdim=True).sqrt(), noise + 0.005
    shares = [length / (largest + least) for largest in window_maxima(length)]
    shares += object_shares(image, background, least)
    level = (noise.log() / 2 + 1.5).expand_as(length)
    return torch.cat([difference / USUAL, relative, *shares, level], dim=1)


def object_shares(image: Tensor, background: Tensor, noise: Tensor) -> list[Tensor]:
    """How much of each pixel the object covers, if its colour is the one that stands out nearby: (N, 1, H, W) for each
    of WINDOWS.

    At an outline, image = share * object + (1 - share) * background. The object's colour is taken to be the mean over
    a window, weighted by the fourth power of the differences, so that pixels full of object count most. The share is
    then how far the image lies on the way from the background's colour to that one.
    """
    difference = image - background
    weight = (difference * difference).sum(1, keepdim=True) ** 2 + 1e-8  # where nothing differs, all count alike
    shares = []
    for sums in window_sums(torch.cat([weight * image, weight], dim=1)):
        way = sums[:, :3] / sums[:, 3:] - background
        share = (difference * way).sum(1, keepdim=True) / ((way * way).sum(1, keepdim=True) + noise**2)
        shares.append(share.clamp(-0.5, 1.5))
    return shares


def window_maxima(x: Tensor) -> list[Tensor]:
    """For each of WINDOWS the largest value in it around every pixel, zero at least: the largest of those in the window
    before, in rows and then in columns."""
    found, before = [x], 1
    for window in WINDOWS:
        half = (window - before) // 2
        found.append(row_maxima(row_maxima(found[-1], half).transpose(2, 3), half).transpose(2, 3))
        before = window
    return found[1:]


def row_maxima(x: Tensor, half: int) -> Tensor:
    """The largest of each pixel and its `half` neighbours on either side in the row, zero at least. By shifted copies:
    on a CPU, for one channel, in a tenth of the time that max pooling takes."""
    width, padded = x.shape[-1], F.pad(x, (half, half))
    return functools.reduce(torch.maximum, [padded[..., i : i + width] for i in range(2 * half + 1)])


def window_sums(x: Tensor) -> tuple[Tensor, ...]:
    """For each of WINDOWS the sums over it around every pixel, (N, C, H, W), zeros beyond the border.

    All in one convolution, with ones and zeros for weights: in onnxruntime ten times as fast as average pooling.
    """
    channels, largest = x.shape[1], max(WINDOWS)
    kernel = torch.zeros(len(WINDOWS), channels, channels, largest, largest, dtype=x.dtype, device=x.device)
    for number, window in enumerate(WINDOWS):
        inside = slice((largest - window) // 2, (largest + window) // 2)
        for channel in range(channels):
            kernel[number, channel, channel, inside, inside] = 1
    with torch.autocast(x.device.type, enabled=False):  # bf16 has too few digits for a ratio of sums
        return F.conv2d(x, kernel.flatten(0, 1), padding=largest // 2).chunk(len(WINDOWS), dim=1)
