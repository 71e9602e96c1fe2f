"""Thirteen channels that show how two shots of a place differ apart from exposure and noise.

The optional notebook extras/differences_and_matting builds them.

A plain difference mixes the object, a different exposure and noise. Exposure and noise can be estimated from the
pictures themselves, since most pixels show no object; nothing here is learned. Pictures are (N, 3, H, W) in [0, 1].
"""

import functools

import torch
import torch.nn.functional as F
from torch import Tensor

TYPICAL_DIFFERENCE = 0.1  # a usual difference on an object, which scales differences to about 1
WINDOWS = (3, 5, 9)  # sides in pixels of the neighbourhoods searched for the object's colour
CHANNELS = 6 + 2 * len(WINDOWS) + 1
OVEREXPOSED = 0.98  # brighter pixels may be overexposed


def match_exposure(image: Tensor, background: Tensor) -> Tensor:
    """The background with the image's exposure and white balance, (N, 3, H, W): each channel times its own gain.

    Iteratively reweighted least squares find the gains on means of 4 x 4 pixels, which have little noise. The weights
    fall with a pixel's error, so that the object counts less with every iteration.
    """
    target = F.avg_pool2d(image, 4)
    source = F.avg_pool2d(background, 4)
    usable = (torch.maximum(target, source) < OVEREXPOSED).to(image.dtype)
    gain = torch.ones_like(image[..., :1, :1])
    for _ in range(4):
        weight = usable / (0.02 + (target - gain * source).abs().sum(1, keepdim=True))
        above, below = ((weight * source * x).sum((2, 3), keepdim=True) for x in (target, source))
        gain = (above + 0.001) / (below + 0.001)  # 1 where all is black or overexposed
    return gain * background


def differences(image: Tensor, background: Tensor) -> Tensor:
    """The thirteen channels of two pictures of equal exposure: (N, 13, H, W), each scaled to about 1.

    * 0 to 2: image minus background, in units of 0.1.
    * 3 to 5: the same in units of the noise, squashed to -2 .. 2.
    * 6 to 8: its length divided by the largest within 3, 5 and 9 pixels; at an outline, about the object's share.
    * 9 to 11: the object's share of each pixel, estimated from the colours (`object_shares`).
    * 12: the logarithm of the noise, which tells how reliable the others are.
    """
    difference = image - background
    # The geometric mean of all differences, which an object hardly changes.
    noise = (difference.abs().mean(1, keepdim=True) + 0.001).log().mean((2, 3), keepdim=True).exp()
    ratio = 2 * difference / (difference.abs() + 3 * noise + 0.01)
    length = (difference * difference).sum(1, keepdim=True).sqrt()
    least = noise + 0.005
    shares = [length / (largest + least) for largest in window_maxima(length)]
    shares += object_shares(image, background, least)
    level = (noise.log() / 2 + 1.5).expand_as(length)
    return torch.cat([difference / TYPICAL_DIFFERENCE, ratio, *shares, level], dim=1)


def object_shares(image: Tensor, background: Tensor, noise: Tensor) -> list[Tensor]:
    """The object's share of each pixel, if its colour is the one that stands out nearby: (N, 1, H, W) per window.

    Along an outline, image = share * object + (1 - share) * background (the alpha of matting). The object's colour is
    taken to be the window's mean, weighted by the fourth power of the difference.
    """
    difference = image - background
    weight = (difference * difference).sum(1, keepdim=True) ** 2 + 1e-8  # where nothing differs, all count equally
    shares = []
    for sums in window_sums(torch.cat([weight * image, weight], dim=1)):
        way = sums[:, :3] / sums[:, 3:] - background
        share = (difference * way).sum(1, keepdim=True) / ((way * way).sum(1, keepdim=True) + noise**2)
        shares.append(share.clamp(-0.5, 1.5))
    return shares


def window_maxima(x: Tensor) -> list[Tensor]:
    """The largest value around every pixel, at least zero, for each of WINDOWS: (N, 1, H, W).

    Each window widens the maxima of the one before, along rows and then along columns, by shifted copies: on a CPU a
    tenth of the time of max pooling.
    """
    maxima = []
    for window, before in zip(WINDOWS, (1, *WINDOWS)):
        by = (window - before) // 2
        for _ in range(2):
            padded = F.pad(x, (by, by))
            shifted = [padded[..., i : i + x.shape[-1]] for i in range(2 * by + 1)]
            x = functools.reduce(torch.maximum, shifted).transpose(2, 3)
        maxima.append(x)
    return maxima


def window_sums(x: Tensor) -> tuple[Tensor, ...]:
    """The sums around every pixel for each of WINDOWS, with zeros beyond the border: (N, C, H, W).

    One convolution with ones and zeros for weights: in onnxruntime ten times as fast as average pooling.
    """
    channels, largest = x.shape[1], max(WINDOWS)
    kernel = torch.zeros(len(WINDOWS), channels, channels, largest, largest, dtype=x.dtype, device=x.device)
    for position, window in enumerate(WINDOWS):
        inside = slice((largest - window) // 2, (largest + window) // 2)
        for channel in range(channels):
            kernel[position, channel, channel, inside, inside] = 1
    with torch.autocast(x.device.type, enabled=False):  # bf16 has too few digits for a ratio of sums
        return F.conv2d(x, kernel.flatten(0, 1), padding=largest // 2).chunk(len(WINDOWS), dim=1)
