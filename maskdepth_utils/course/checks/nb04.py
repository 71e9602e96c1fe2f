"""Checks of the exercises in notebook 04: SSIM on a wall, slopes, a balanced loss, one's own loss. See checks.py."""

import torch
import torch.nn.functional as F
from torch import Tensor

from ... import losses
from .verdict import Wrong, alike, ask, number, same, verdict

WALL, WANTED, NEAR = 5.0, 0.9, 0.01  # metres; the SSIM of exercise A, and how near to it is near enough
LEAST_BILL = 0.1  # of what plain gray costs: what a loss has to charge for each fault of exercise D


@verdict
def check_flat_wall(my_metres):
    """How far a flat wall is predicted, farther than its true 5 m, where SSIM has fallen to 0.9: metres."""
    metres = number(my_metres, "my_metres")
    if 0 < metres <= 1:
        raise Wrong("my_metres", f"expected metres, found {metres:g}", "The network's scale times 10?")
    if not WALL < metres <= 20:
        raise Wrong("my_metres", f"expected something farther than {WALL:g} m, found {metres:g}")
    found = losses.ssim(torch.full((1, 1, 16, 16), metres / 10), torch.full((1, 1, 16, 16), WALL / 10)).item()
    if abs(found - WANTED) > NEAR:
        hint = "Nearer, then." if found < WANTED else "SSIM is more patient than you think: go on."
        raise Wrong(f"a wall at {metres:g} m", f"SSIM {found:.3f}, expected {WANTED}", hint)
    return f"A wall {metres - WALL:.1f} m too far away has an SSIM of {found:.3f}"


@verdict
def check_steepness(my_steepness):
    """my_steepness(depth): (N, 1, H, W), metres / 10 -> how steep it is, metres per pixel, (N, 1, H-2, W-2)."""
    column, row = torch.arange(9.0).expand(1, 1, 7, 9), torch.arange(7.0)[:, None].expand(1, 1, 7, 9)
    cases = {
        "a slope of 0.3 m per pixel to the right": 0.03 * column,
        "one of 0.2 m per pixel upwards": 0.5 - 0.02 * row,
        "one to the lower right": 0.03 * column + 0.04 * row,
        "a flat wall": torch.full((1, 1, 7, 9), 0.4),
        "three maps": torch.rand(3, 1, 8, 6, generator=torch.Generator().manual_seed(0)),
    }
    for where, depth in cases.items():
        found = ask(my_steepness, depth, where=where)
        right, down = losses.sobel(depth)
        expected = 10 / 8 * (right**2 + down**2).sqrt()
        padded = F.pad(depth, [1] * 4)
        rim = 10 / 8 * sum(x**2 for x in losses.sobel(padded)).sqrt()
        root = "Two slopes at right angles: Pythagoras."
        unit = "Sobel's kernel gives 8 times the slope per pixel, and the depths are metres / 10."
        plain = 10 * torch.hypot(
            (depth[..., 1:-1, 2:] - depth[..., 1:-1, :-2]) / 2, (depth[..., 2:, 1:-1] - depth[..., :-2, 1:-1]) / 2
        )
        mistakes = [
            (8 * expected, "8 times too steep", unit),
            (expected / 10, "not in metres yet", unit),
            (8 / 10 * expected, "neither the 8 nor the metres are taken care of", unit),
            (10 / 8 * (right.abs() + down.abs()), "both slopes are simply added", root),
            (10 / 8 * right.abs(), "only the slope to the right counts", root),
            (10 / 8 * down.abs(), "only the slope downwards counts", root),
            (10 / 8 * (right + down), "slopes of opposite signs cancel", root),
            (expected**2, "this is the squared steepness", root),
            (rim, "the border is padded with zeros, a false edge", "Without padding 3 x 3 kernels leave H-2 x W-2."),
            (plain, "these are differences of two neighbours, not Sobel's", "Sobel averages over three rows: 1, 2, 1."),
        ]
        same(found, expected, where, unit, mistakes)
    return "Tried: " + ", ".join(cases)


@verdict
def check_balanced_bce(my_balanced_bce):
    """my_balanced_bce(logits, target): (N, 1, H, W) twice -> scalar; in each image object and background count half."""
    generator = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(3, 1, 6, 8, generator=generator)
    noise = torch.rand(3, 1, 6, 8, generator=generator)
    share = torch.tensor([0.1, 0.3, 0.7]).view(3, 1, 1, 1)  # objects of three sizes
    hard = (noise < share).float()
    nothing, everything = torch.zeros(1, 1, 6, 8), torch.ones(1, 1, 6, 8)
    cases = {
        "one image": (logits[:1], hard[:1]),
        "three images": (logits, hard),
        "soft masks": (logits, noise * share),
        "an image without an object": (logits[:1], nothing),
        "one without and two with": (logits, hard * torch.tensor([0.0, 1, 1]).view(3, 1, 1, 1)),
        "an image that is all object": (logits[:1], everything),
        "very sure and wrong": (200 - 400 * hard[:1], hard[:1]),
    }
    for where, (x, y) in cases.items():
        found = ask(my_balanced_bce, x, y, where=where)
        expected = balanced(x, y)
        on, off = F.softplus(-x), F.softplus(x)
        halves = [(y * on).sum() / y.sum(), ((1 - y) * off).sum() / (1 - y).sum()]
        own = "Give each image its own share: sum over dimensions 1, 2 and 3."
        mistakes = [
            (
                F.binary_cross_entropy_with_logits(x, y),
                "every pixel counts the same",
                "A mean over the object, one over the rest.",
            ),
            (2 * expected, "both means are added, not averaged", "Half and half make one."),
            (halves[0], "only the object counts", "A false alarm has to cost something, too."),
            (halves[1], "only the background counts", "A missed object has to cost something, too."),
            ((halves[0] + halves[1]) / 2, "all images are thrown together", own),
            (
                expected / 2,
                "with nothing on one side the other counts only half",
                "Then the other side is all there is.",
            ),
        ]
        same(found, expected, where, "Where is the share of object pixels zero?", mistakes)
    return "Tried: " + ", ".join(cases)


def balanced(logits: Tensor, target: Tensor) -> Tensor:
    """The mean of the object's and the background's mean cross-entropy, image by image; of one, where there is one."""
    means, there = [], []
    for weight, each in ((target, F.softplus(-logits)), (1 - target, F.softplus(logits))):
        total = weight.sum((1, 2, 3))
        means.append((weight * each).sum((1, 2, 3)) / total.clamp(min=1e-9))
        there.append((total > 0).float())
    return (sum(m * t for m, t in zip(means, there)) / sum(there)).mean()


@verdict
def check_depth_loss(my_loss):
    """my_loss(depth, target): (N, 1, H, W) in [0, 1] twice -> scalar, to be trained with.

    Zero at the truth, above zero elsewhere, larger for larger errors, a mean and not a sum, with finite gradients; and
    not blind: a level that is 1 m off, and edges two pixels off, each cost a tenth of what plain gray costs, or more.
    """
    truth = small_rooms()
    zero, _ = value(my_loss, truth, truth, "the truth itself")
    if abs(zero) > 1e-5:
        raise Wrong("the truth itself", f"expected a loss of 0, found {zero:.4g}", "What is compared with what?")
    gray = truth.mean((2, 3), keepdim=True).expand_as(truth)
    faults = {
        "half too far, half too near": truth + torch.where(torch.arange(48) < 24, 0.1, -0.1),
        "1 m too far": truth + 0.1,
        "1 m too near": truth - 0.1,
        "plain gray": gray,
        "2 px to the right": F.pad(truth, (2, 0, 0, 0), mode="replicate")[..., :48],
        "half the contrast": gray + 0.5 * (truth - gray),
        "black": torch.zeros_like(truth),
    }
    bills = {}
    for where, maps in faults.items():
        bills[where], slope = value(my_loss, maps, truth, where)
        if bills[where] <= 1e-6:
            raise Wrong(
                where, f"expected a loss above 0, found {bills[where]:.4g}", "Do errors cancel? Is something unseen?"
            )
        if not slope.any():
            raise Wrong(where, "the gradient is zero everywhere", ">, round and clamp have no slope there.")
    steps = [value(my_loss, truth + metres / 10, truth, f"{metres} m too far")[0] for metres in (0.5, 1, 2)]
    if not steps[0] < steps[1] < steps[2]:
        found = ", ".join(f"{step:.4g}" for step in steps)
        raise Wrong(
            "0.5, 1 and 2 m too far", f"expected a rising loss, found {found}", "Twice as wrong should cost more."
        )
    twice, _ = value(my_loss, gray.repeat(2, 1, 1, 1), truth.repeat(2, 1, 1, 1), "the same batch twice")
    if abs(twice - bills["plain gray"]) > 1e-3 * bills["plain gray"]:
        words = f"expected the same loss, found {twice / bills['plain gray']:.3g} times as much"
        raise Wrong("the same batch twice", words, "A sum grows with the batch, and so would the gradient: take means.")
    for where, blind in (("1 m too far", "the level"), ("2 px to the right", "where the edges are")):
        share = bills[where] / bills["plain gray"]
        if share < LEAST_BILL:
            words = f"costs {share:.1%} of what plain gray costs, expected at least {LEAST_BILL:.0%}"
            raise Wrong(where, words, f"This loss hardly sees {blind}. Which of the notebook's terms does?")
    shares = (f"{name} {bills[name] / bills['plain gray']:.2f}" for name in faults if name != "plain gray")
    return "What the maps cost, where plain gray costs 1: " + ", ".join(shares)


def value(my_loss, maps: Tensor, truth: Tensor, where: str) -> tuple[float, Tensor]:
    """(loss, gradient); Wrong where one of them is no finite number."""
    maps = maps.clone().requires_grad_()
    found = ask(my_loss, maps, truth, where=where)
    alike(found, torch.tensor(0.0), where, "A loss is one number, a tensor of shape ().")
    if not torch.isfinite(found):
        raise Wrong(where, f"the loss is {found.item()}", "Which division or logarithm meets a zero?")
    slope = torch.autograd.grad(found, maps, allow_unused=True)[0] if found.requires_grad else None
    if slope is None:
        raise Wrong(where, "no gradient reaches the depth", "Without .item(), .detach() and NumPy: keep to tensors.")
    if not torch.isfinite(slope).all():
        raise Wrong(
            where, "the gradient is not finite", "A root or a logarithm is infinitely steep at zero: add a little."
        )
    return found.item(), slope


def small_rooms() -> Tensor:
    """Four depth maps (4, 1, 40, 48): a floor, a wall that is a little askew, and a box."""
    below = torch.linspace(-1, 1, 40)[:, None].clamp(min=0.05)
    wall = torch.tensor([0.45, 0.6, 0.75, 0.9]).view(4, 1, 1, 1) + 0.002 * torch.arange(48)
    rooms = torch.minimum(0.15 / below, wall).clamp(max=1)
    boxes = ((14, 8, 0.3), (12, 20, 0.35), (16, 30, 0.4), (10, 26, 0.3))
    for room, (top, left, depth) in zip(rooms, boxes):
        room[:, top : top + 16, left : left + 9].clamp_(max=depth)
    return rooms
