"""Whether a photo and its background can be a pair: the same place, upright, not swapped.

Measured with the shipped network on validation composites of all gap levels, 120 of each kind (`python
tests/inference/test_pairs.py 40 2`): no correct pair gets a warning, nor one without an object, nor one whose
background is 0.7 or 1.15 times as bright; 97 % of the pairs of different rooms do, and all with a picture upside down,
93 % of swapped pairs, and 66 % where the background is mirrored. Of backgrounds overexposed 1.2, 1.4, 1.6 and 1.8
times, 2.5, 22.5, 55 and 78 % do. Of 60 correct pairs of real offices (`tripod`), where objects cover up to three
quarters of the picture, 2 % do; of pairs of different offices, 98 %.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

DIFFERENT = "most of the picture differs: is this the same place, upright, and not overexposed?"
SWAPPED = "the background seems to show the object: are the two pictures swapped?"
CELL = 8  # pixels of the network: differences of single pixels can be noise, or a shift
MIN_DIFFERENCE = 0.04  # of two cells' mean colours, which are 0 to 1
MAX_DIFFERENT, MAX_MARKED = 0.5, 0.6  # shares of the part outside the mask, and of the picture
MIN_CONTRAST_RATIO = 0.9  # of the edges along the mask's outline: the photo's to the background's


@torch.no_grad()
def describe_mismatch(image: Tensor, background: Tensor, mask: Tensor | None) -> str:
    """Return a warning if the pictures can hardly be a pair, otherwise an empty text.

    A network takes all that differs for the object. So in a wrong pair, it marks most of the picture, or much of what
    it does not mark differs too, even after the exposures are matched there. In a swapped pair, the outline of the mask
    is an edge of the background.

    Args:
        image: float32 (1, 3, H, W) in [0, 1], at the network's size.
        background: The same.
        mask: bool (1, 1, H, W): what the network takes for the object; None if it does not predict masks.
    """
    mask = torch.zeros_like(image[:, :1], dtype=torch.bool) if mask is None else mask
    if mask.float().mean() > MAX_MARKED:
        return DIFFERENT
    rest = (~mask).float()
    ratio = ((image + 1 / 255) / (background + 1 / 255))[..., ~mask[0, 0]]  # (1, 3, pixels)
    background = (background * ratio.median(-1).values[..., None, None]).clamp(max=1)
    difference = F.avg_pool2d(image - background, CELL).abs().amax(1, keepdim=True)
    weight = F.avg_pool2d(rest, CELL)
    if ((difference > MIN_DIFFERENCE) * weight).sum() > MAX_DIFFERENT * weight.sum():
        return DIFFERENT
    outline = _steepness(rest)
    ahead, behind = ((outline * _steepness(picture)).sum() for picture in (image, background))
    return SWAPPED if ahead < MIN_CONTRAST_RATIO * behind else ""


def _steepness(picture: Tensor) -> Tensor:
    """How much the values change from pixel to pixel, in the mean of the channels: (1, 1, H, W)."""
    return sum(slope.abs().mean(1, keepdim=True) for slope in torch.gradient(picture, dim=(2, 3)))
