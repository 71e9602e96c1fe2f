"""Checks of the exercises in notebook 02: sizes, IoU, cross-entropy, and a block of one's own. See checks.py."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ... import metrics
from ...models.networks import count_parameters
from .verdict import Wrong, alike, ask, build, same, verdict, whole

STRIDE, CELLS = 2, 8  # of the transposed convolution in exercise A


@verdict
def check_painting(my_kernel, my_padding):
    """A transposed convolution of stride 2 that paints each pixel twice and doubles the size: two whole numbers."""
    kernel, padding = whole(my_kernel, "my_kernel"), whole(my_padding, "my_padding", least=0)
    if (CELLS - 1) * STRIDE + kernel <= 2 * padding:
        raise Wrong("my_padding", f"{padding} pixels off each end leave nothing", "It cuts off the rim.")
    whole_row = F.conv_transpose1d(torch.ones(1, 1, CELLS), torch.ones(1, 1, kernel), stride=STRIDE)[0, 0]
    middle = [int(times) for times in whole_row[len(whole_row) // 2 - 2 :][:4]]
    if len(set(middle)) > 1:
        raise Wrong(
            f"kernel {kernel}",
            f"in the middle pixels are painted {', '.join(map(str, middle))} times, a checkerboard",
            "Every pixel gets the same number of coats if the kernel is a multiple of the stride.",
        )
    if middle[0] != 2:
        what = "touch, but do not overlap" if middle[0] == 1 else "overlap more than asked for"
        raise Wrong(
            f"kernel {kernel}",
            f"in the middle pixels are painted {middle[0]} times, expected 2; the patches {what}",
            "How many strides wide is a kernel that reaches over exactly one neighbour?",
        )
    size = len(whole_row) - 2 * padding
    if size != CELLS * STRIDE:
        raise Wrong(
            f"padding {padding}",
            f"{CELLS} cells become {size} pixels, expected {CELLS * STRIDE}",
            "Without padding n cells paint (n - 1) * stride + kernel pixels; padding takes some off at both ends.",
        )
    return f"Kernel {kernel}, padding {padding}: {CELLS} cells become {size} pixels, painted twice but for the border"


@verdict
def check_size(my_size):
    """my_size(pixels, kernel, stride, padding) -> how many pixels a convolution puts out; compared with PyTorch's."""
    # In this order every usual mistake shows before another one that gives the same number.
    cases = [
        (20, 5, 1, 2), (160, 7, 2, 3), (10, 3, 2, 0), (81, 3, 2, 1), (80, 3, 2, 1), (10, 1, 3, 0), (7, 7, 1, 0),
    ]  # fmt: skip
    for case in cases:
        pixels, kernel, stride, padding = case
        where = f"{pixels} pixels, kernel {kernel}, stride {stride}, padding {padding}"
        row, weight = torch.zeros(1, 1, pixels), torch.zeros(1, 1, kernel)
        expected = F.conv1d(row, weight, stride=stride, padding=padding).shape[-1]
        found = ask(my_size, *case, where=where)
        steps = pixels + 2 * padding - kernel  # of one pixel
        mistakes = [
            ((steps + 1) // stride, "the one is added in the wrong place", "First count the steps, then add one."),
            (steps // stride, "one is missing", "A window that just fits moves zero steps, and gives one pixel."),
            ((steps - padding) // stride + 1, "the padding counts once", "It is put at both ends of a row."),
            ((steps - 2 * padding) // stride + 1, "the padding is not counted", "It makes the row longer."),
            (math.ceil(steps / stride) + 1, "rounded up", "A window that does not fit whole is left out."),
            (steps / stride + 1, "half a pixel", "A window that does not fit whole is left out: round down."),
        ]
        same(found, expected, where, "Where can the window's left end be? Count.", mistakes, tolerance=1e-6)
        if isinstance(found, float):
            raise Wrong(where, f"expected a whole number, found the float {found}", "// divides and rounds down.")
    return f"Tried: {len(cases)} convolutions, against PyTorch's"


@verdict
def check_iou(my_iou):
    """my_iou(probability, coverage): (N, 1, H, W) twice -> IoU of each image, (N,); two empty masks score 1."""
    cases = iou_cases()
    for where, (probability, coverage) in cases.items():
        found = ask(my_iou, probability.clone(), coverage.clone(), where=where)
        expected = metrics.iou(probability, coverage)
        cuts = (probability > 0.5).float(), (coverage > 0.5).float()
        both, plus = (cuts[0] * cuts[1]).sum((1, 2, 3)), (cuts[0] + cuts[1]).sum((1, 2, 3))
        soft = (probability * coverage).sum((1, 2, 3))
        soft_either = (probability + coverage - probability * coverage).sum((1, 2, 3))
        cut_hint = "Which pixels belong to a mask? Cut both at 0.5 first."
        union_hint = "The union is |A| + |B| - |A and B|: pixels in both masks are counted once."
        keep = "Sum over dimensions 1, 2 and 3, and keep the first: one score for each image."
        mistakes = [
            (both / plus, "the overlap is counted twice below the line, as in 2020", union_hint),
            (2 * both / plus, "this is Dice, twice the overlap over the sum", union_hint),
            (soft / soft_either, "the values are not cut at 0.5", cut_hint),
            (soft / (2 * soft_either - soft), "the values are not cut at 0.5", cut_hint),
            (both / cuts[0].sum((1, 2, 3)), "this is the share of the prediction that is right", union_hint),
            (both / cuts[1].sum((1, 2, 3)), "this is the share of the object that was found", union_hint),
            ((cuts[0] == cuts[1]).float().mean((1, 2, 3)), "this is the share of right pixels", union_hint),
            ((both + 1) / (plus - both + 1), "one is added above and below", "It moves the score of small objects."),
            (both.sum() / (plus - both).sum(), "all images are pooled into one score", keep),
            (expected.mean(), "one score for the whole batch", keep),
            (expected[:, None], "a dimension too many", "Sum over dimension 1 as well."),
        ]
        hint = "Count pixels in both masks, and in either, image by image."
        if where == "nothing there and nothing found":
            hint = "0 / 0 is nan. torch.where chooses between two values, for each image."
            mistakes = [
                (torch.zeros(1), "a rightly empty mask scores 0", "Was that answer wrong? Decide 0 / 0 yourself.")
            ]
        same(found, expected, where, hint, mistakes)
    return "Tried: " + ", ".join(cases)


def iou_cases() -> dict[str, tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(1)
    soft = torch.rand(2, 3, 1, 6, 8, generator=generator)  # prediction and truth; 6 x 8 pixels are not square
    hard = (soft > 0.6).float()
    empty = torch.zeros(1, 1, 8, 8)
    square = F.pad(torch.ones(1, 1, 4, 4), [2, 2, 2, 2])
    half = square * (torch.arange(8) < 4)
    return {
        "three images": (hard[0], hard[1]),
        "half of a square found": (half, square),
        "soft masks": (soft[0], soft[1]),
        "an object missed altogether": (empty, square),
        "a false alarm": (square, empty),
        "nothing there and nothing found": (empty, empty),
    }


@verdict
def check_bce(my_bce):
    """my_bce(logits, target): (N, 1, H, W) twice -> mean cross-entropy, a scalar, whatever the logits."""
    generator = torch.Generator().manual_seed(2)
    logits = 3 * torch.randn(2, 1, 5, 7, generator=generator)
    soft = torch.rand(2, 1, 5, 7, generator=generator)
    hard = (soft > 0.5).float()
    for where, target in (("moderate logits", hard), ("soft targets", soft)):
        found = ask(my_bce, logits.clone(), target, where=where)
        expected = F.binary_cross_entropy_with_logits(logits, target)
        each = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
        p = logits.sigmoid()
        both = "Two terms: one for what is object, one for what is not."
        mistakes = [
            (each.sum(), "this is the sum over all pixels", "A larger picture should not cost more: average."),
            (each, "this is one value for each pixel", "A loss is one number: average."),
            (each.mean((1, 2, 3)), "this is one value for each image", "A loss is one number: average over all."),
            (-expected, "the sign is wrong", "log p is negative; a loss is not."),
            (-(target * p.log()).mean(), "only the object's pixels count", both),
            (-((1 - target) * (1 - p).log()).mean(), "only the background's pixels count", both),
            (expected / math.log(2), "the logarithm is to base 2", "Cross-entropy takes the natural one, torch.log."),
            (F.binary_cross_entropy_with_logits(target, logits), "prediction and truth are mixed up", "Logits first."),
        ]
        same(found, expected, where, "Compare with -y log p - (1 - y) log(1 - p) for one pixel by hand.", mistakes)
    for logit, y in ((1000.0, 0.0), (-1000.0, 1.0), (1000.0, 1.0), (-1000.0, 0.0)):
        where = f"logit {logit:g} where the truth is {y:g}"
        x = torch.full((1, 1, 2, 2), logit, requires_grad=True)
        found = ask(my_bce, x, torch.full((1, 1, 2, 2), y), where=where)
        alike(found, torch.tensor(0.0), where)
        wrong_side = abs(y - (logit > 0)) * 1000.0
        expected = torch.tensor(wrong_side)
        stable = "Take sigmoid and logarithm together and simplify; the notebook did, or see F.softplus."
        if torch.isfinite(found) and not torch.isclose(found, expected, atol=1e-3):
            raise Wrong(where, f"expected {wrong_side:g}, found {found.item():.4g}: it is cut off", stable)
        same(found, expected, where, "The sigmoid is exactly 0 or 1 here, and log 0 is infinite. " + stable)
        (slope,) = torch.autograd.grad(found, x, allow_unused=True) if found.requires_grad else (None,)
        if slope is None:
            raise Wrong(where, "no gradient reaches the logits", "Without .item() and .detach(): keep to tensors.")
        same(slope, (x.detach().sigmoid() - y) / x.numel(), f"{where}, gradient", stable)
    return "Tried: moderate logits, soft targets, and logits of 1000 and -1000 with their gradients"


@verdict
def check_block(my_block):
    """my_block(inputs, outputs) -> a module that halves the size and whose pixels each see 5 x 5 pixels.

    With a ReLU and a BatchNorm, and with fewer parameters than one 5 x 5 convolution.
    """
    for inputs, outputs in ((6, 16), (8, 8)):
        where = f"my_block({inputs}, {outputs})"
        block = build(my_block, inputs, outputs, where=where)
        for size in ((2, inputs, 16, 16), (3, inputs, 12, 20), (1, inputs, 32, 16)):
            found = ask(block, torch.randn(size), where=f"{where} on {size}")
            expected = torch.zeros(size[0], outputs, size[2] // 2, size[3] // 2)
            alike(found, expected, f"{where} on {size}", "Which layer halves, and does the padding fit its kernel?")
        kinds = {type(layer) for layer in block.modules()}
        if not kinds & {nn.BatchNorm2d, nn.LazyBatchNorm2d}:
            raise Wrong(where, "no BatchNorm in it", "nn.BatchNorm2d wants the number of its channels.")
        require_bend(block, inputs, where)
        field = see(block, inputs)
        if field != (5, 5):
            raise Wrong(
                where,
                f"a pixel of the output sees {field[0]} x {field[1]} pixels, expected 5 x 5",
                "field + (kernel - 1) * step: the step is the product of the strides *before* a layer.",
            )
        count, budget = count_parameters(block), 25 * inputs * outputs
        if count >= budget:
            raise Wrong(
                where,
                f"{count:,} parameters, expected fewer than the {budget:,} of one 5 x 5 convolution",
                "Two small windows in a row see as much as a large one. Which of them should change the channels?",
            )
    return "Tried: 6 to 16 and 8 to 8 channels: size, ReLU, BatchNorm, what a pixel sees, and the parameters"


def require_bend(block: nn.Module, inputs: int, where: str) -> None:
    """Raise Wrong if a block is linear: then f(a + b) + f(0) = f(a) + f(b)."""
    block.eval()
    a, b = torch.randn(2, 4, inputs, 16, 16)
    with torch.no_grad():
        bend = block(a + b) + block(torch.zeros_like(a)) - block(a) - block(b)
    if bend.abs().max() < 1e-4:
        raise Wrong(
            where,
            "it is linear: nothing in it bends",
            "Without a ReLU between them, two convolutions are only one convolution.",
        )


def see(block: nn.Module, inputs: int) -> tuple[int, int]:
    """Height and width of what one pixel of the output sees, by its gradients on random pictures."""
    x = torch.randn(16, inputs, 32, 32, requires_grad=True)
    (gradient,) = torch.autograd.grad(block.eval()(x)[:, :, 8, 8].sum(), x)
    seen = gradient.abs().sum((0, 1)) > 0
    return int(seen.any(1).sum()), int(seen.any(0).sum())
