"""Checks of the exercises in notebook 04: SSIM on a wall, slopes, a loss of your own."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ... import losses
from .compare import NOT_FINITE, call_loss, compare_on_cases
from .verdict import as_number, report_verdict, require

WALL = 5.0  # metres
WANTED, NEAR = 0.9, 0.1  # of `check_flat_wall`: the SSIM, and the accepted distance from it in metres
SAME_SLOPE = 2e-3  # metres per pixel: a little is often added under the root
LEAST_COST = 0.1  # least loss for each fault of a depth map, as a share of plain gray's
PATCH = 8  # pixels: a depth loss must see each patch of this size


@report_verdict
def check_flat_wall(my_metres):
    """The predicted distance in metres, beyond the true 5 m, at which a flat wall's SSIM has fallen to 0.9."""
    metres = as_number(my_metres, "my_metres", WALL, 20, "metres")
    nearer, found, farther = (wall_ssim(metres + step) for step in (-NEAR, 0, NEAR))
    hint = "Try a smaller number." if found < WANTED else "SSIM tolerates more than that: try a larger number."
    right = farther <= WANTED <= nearer
    require(right, f"a wall at {metres:g} m", f"SSIM {found:.3f}, expected {WANTED:.3f}", hint)
    return f"A wall {metres - WALL:.1f} m too far away has an SSIM of {found:.3f}"


def wall_ssim(metres: float) -> float:
    return losses.ssim(*(torch.full((1, 1, 16, 16), distance / 10) for distance in (metres, WALL))).item()


def steepness(depth: Tensor, combine=torch.hypot) -> Tensor:
    """Metres per pixel by Sobel's kernels (weights that sum to 8); another `combine` produces the usual faults."""
    return 10 / 8 * combine(*losses.sobel(depth))


STEEPNESS_FAULTS = {
    "both slopes are simply added": lambda depth: steepness(depth, combine=lambda x, y: x.abs() + y.abs()),
}


@report_verdict
def check_steepness(my_steepness):
    """my_steepness(depth): (N, 1, H, W), metres / 10 -> how steep it is, metres per pixel, (N, 1, H-2, W-2)."""
    column, row = torch.arange(9.0).expand(1, 1, 7, 9), torch.arange(7.0)[:, None].expand(1, 1, 7, 9)
    cases = {
        "a slope of 0.3 m per pixel to the right": (0.03 * column,),
        "a slope of 0.2 m per pixel upwards": (0.5 - 0.02 * row,),
        "a slope to the lower right": (0.03 * column + 0.04 * row,),
        "a flat wall": (torch.full((1, 1, 7, 9), 0.4),),
        "three maps": (torch.rand(3, 1, 8, 6),),
    }
    hint = "Sobel's kernel gives 8 times the slope, depths are metres / 10, and Pythagoras adds two slopes up."
    return compare_on_cases(my_steepness, steepness, cases, STEEPNESS_FAULTS, hint, tolerance=SAME_SLOPE)


@report_verdict
def check_depth_loss(my_loss):
    """my_loss(depth, target): (N, 1, H, W) in [0, 1] twice -> scalar, fit for training and not blind to any fault."""
    truth = small_rooms()
    gray, black = truth.mean((2, 3), keepdim=True).expand_as(truth), torch.zeros_like(truth)

    def cost(depth, where, target=truth):
        loss, gradient = call_loss(my_loss, depth, target, where=where)
        require(np.isfinite(loss), where, f"the loss is {loss:g}", NOT_FINITE)
        require(np.isfinite(gradient).all(), where, "the gradient is not finite", NOT_FINITE)
        if depth is target:
            require(abs(loss) <= 1e-5, where, f"expected a loss of 0, found {loss:.4g}", "What is compared with what?")
        else:
            hint = "Do errors cancel? Is a part of the map left out?"
            require(loss > 1e-6, where, f"expected a loss above 0, found {loss:.4g}", hint)
        return float(loss)

    cost(truth, "the truth itself")
    cost(black, "a truth of 0", black)
    column, row = torch.arange(48), torch.arange(40)[:, None]
    maps = {
        "the left half too far, the right too near": truth + torch.where(column < 24, 0.1, -0.1),
        "the upper half too far, the lower too near": truth + torch.where(row < 20, 0.1, -0.1),
        "a checkerboard of too far and too near": truth + torch.where((row + column) % 2 > 0, 0.1, -0.1),
        "plain gray": gray,
        "black": black,
        "1 m too far": truth + 0.1,
        "2 px to the right": F.pad(truth, (2, 0, 0, 0), mode="replicate")[..., :48],
    }
    costs = {where: cost(depth, where) for where, depth in maps.items()}
    noisy = (truth + 0.05 * torch.randn(truth.shape)).clamp(min=0.01)
    _, gradient = call_loss(my_loss, noisy, truth, where="errors everywhere")
    patches = abs(gradient).reshape(4, 40 // PATCH, PATCH, 48 // PATCH, PATCH).sum((2, 4))
    words = f"no gradient reaches {(patches == 0).sum()} of {patches.size} patches of {PATCH} x {PATCH} pixels"
    hint = "Is something left out, or cut off? (>, round and clamp have no slope.)"
    require(patches.all(), "errors everywhere", words, hint)
    for direction, sign in (("far", 1), ("near", -1)):
        steps = [cost(truth + sign * metres / 10, f"{metres} m too {direction}") for metres in (0.4, 0.7, 1)]
        words = f"expected a rising loss, found {', '.join(f'{step:.4g}' for step in steps)}"
        require(steps[0] < steps[1] < steps[2], f"0.4, 0.7 and 1 m too {direction}", words)
    for where, dim, near in (("the same batch twice", 0, 1e-3), ("every map twice, side by side", 3, 0.4)):
        twice = cost(torch.cat([gray, gray], dim), where, torch.cat([truth, truth], dim)) / costs["plain gray"]
        hint = "A sum grows with the number of values, and so would the gradient: take means."
        require(abs(twice - 1) <= near, where, f"expected the same loss, found {twice:.3g} times as much", hint)
    shares = {where: found / costs["plain gray"] for where, found in costs.items()}
    for where, blind in (("1 m too far", "the level"), ("2 px to the right", "where the edges are")):
        words = f"costs {shares[where]:.1%} of what plain gray costs, expected at least {LEAST_COST:.0%}"
        hint = f"This loss hardly sees {blind}. Which of the notebook's terms does?"
        require(shares[where] >= LEAST_COST, where, words, hint)
    table = ", ".join(f"{where} {share:.2f}" for where, share in shares.items() if where != "plain gray")
    return f"What the maps cost, where plain gray costs 1: {table}"


def small_rooms() -> Tensor:
    """Four depth maps (4, 1, 40, 48) from 0.15 to 0.9: a floor, a slightly slanted wall, and a box."""
    below = torch.linspace(-1, 1, 40)[:, None].clamp(min=0.05)
    wall = torch.tensor([0.4, 0.5, 0.65, 0.8]).view(4, 1, 1, 1) + 0.002 * torch.arange(48)
    rooms = torch.minimum(0.15 / below, wall)
    for room, (top, left, depth) in zip(rooms, ((14, 8, 0.3), (12, 20, 0.35), (16, 30, 0.4), (10, 26, 0.3))):
        room[:, top : top + 16, left : left + 9].clamp_(max=depth)
    return rooms
