"""Checks of the exercises in notebook 05: IoU and size, delta, a fair threshold, intervals, scale."""

import numpy as np
import torch
from torch import Tensor

from ... import metrics
from .compare import compare_on_cases, require_parts
from .verdict import as_number, as_whole_number, call_answer, report_verdict, require

WANTED = 0.9  # IoU of a square that is one pixel too large all round, exercise A
SEEDS, WIDTH_ERROR = 8, 0.08  # bootstraps to average in exercise D, and their interval's tolerance


@report_verdict
def check_side(my_side):
    """The smallest square, side in pixels, whose IoU with itself, enlarged by one pixel all round, is at least 0.9."""
    side = as_whole_number(my_side, "my_side")
    found, smaller = (side / (side + 2)) ** 2, ((side - 1) / (side + 1)) ** 2
    where = f"a square of {side} x {side} pixels"
    hint = "One pixel is added on *both* sides of each row and column."
    require(found >= WANTED, where, f"IoU {found:.4f} when it is one pixel fat, expected at least {WANTED}", hint)
    words = f"IoU {found:.4f}, but one of {side - 1} x {side - 1} still has {smaller:.4f}"
    require(smaller < WANTED, where, words, "The smallest one is asked for.")
    return f"One pixel fat, {side} x {side} pixels have an IoU of {found:.4f}, the next smaller square {smaller:.4f}"


def share_where(is_right):
    """The share of the region's pixels where a function (depth, target) is true."""
    return lambda a, b, region: (is_right(a, b) & region).sum((1, 2, 3)) / region.sum((1, 2, 3))


def is_within(a, b):
    return torch.maximum(a / b, b / a) < 1.25


DELTA_FAULTS = {
    "no pixel is not the same as no right pixel": lambda a, b, region: metrics.delta(a, b, region).nan_to_num(),
    "what is too near counts as right": share_where(lambda a, b: a / b < 1.25),
    "what is too far counts as right": share_where(lambda a, b: b / a < 1.25),
    "this is a difference of 25 %, not a factor": share_where(lambda a, b: (a - b).abs() / b < 0.25),
    "this is a difference of 0.25, not a factor": share_where(lambda a, b: (a - b).abs() < 0.25),
    "pixels outside the region count as well": lambda a, b, region: is_within(a, b).float().mean((1, 2, 3)),
    "it is divided by all pixels": lambda a, b, region: (is_within(a, b) & region).float().mean((1, 2, 3)),
}


@report_verdict
def check_delta(my_delta):
    """my_delta(depth, target, region): share of the region's pixels within the factor 1.25, (N,)."""
    target = 0.1 + 0.8 * torch.rand(3, 1, 6, 8)
    depth = target * (0.5 + 1.3 * torch.rand(3, 1, 6, 8))
    some = torch.rand(3, 1, 6, 8) > 0.5
    cases = {
        "some pixels of three images": (depth, target, some),
        "the whole of three images": (depth, target, torch.ones_like(some)),
        "everything 30 % too near": (target / 1.3, target, some),
        "everything 30 % too far": (1.3 * target, target, some),
        "a single image": (depth[:1], target[:1], some[:1]),
        "a region without a pixel": (depth[:1], target[:1], torch.zeros_like(some[:1])),
    }
    hint = "A factor of 1.25 too far, or one too near: take the larger of both ratios. Then count inside the region."
    return compare_on_cases(my_delta, metrics.delta, cases, DELTA_FAULTS, hint)


def report(thresholds, val, test):
    """The threshold with the best mean on the validation images, and its mean on the test images."""
    chosen = val.mean(1).argmax()
    return thresholds[chosen], test[chosen].mean()


REPORT_FAULTS = {
    "the threshold is chosen on the test images": lambda t, val, test: (t[test.mean(1).argmax()], 0),
    "the test images have a say in the choice": lambda t, val, test: (t[(val.mean(1) + test.mean(1)).argmax()], 0),
    "a single image decides": lambda t, val, test: (t[val.max(1).argmax()], 0),
    "this is the threshold's place in the list": lambda t, val, test: (val.mean(1).argmax(), 0),
    "this is the validation score, chosen to be high": lambda t, val, test: report(t, val, val),
    "this is the best test score of all thresholds": lambda t, val, test: (report(t, val, test)[0], test.mean(1).max()),
    "this is the average over all thresholds": lambda t, val, test: (report(t, val, test)[0], test.mean()),
}


@report_verdict
def check_report(my_report):
    """my_report(thresholds, val, test): (T,) and IoUs (T, N) twice -> (chosen threshold, the mean IoU to report)."""
    thresholds = np.array([0.15, 0.25, 0.35, 0.5, 0.6])
    cases = {}
    for seed in (20, 33):  # every fault chooses a different threshold
        generator = np.random.default_rng(seed)
        curves = generator.uniform(0.3, 0.9, (5, 30)), generator.uniform(0.3, 0.9, (5, 50))
        cases[f"30 validation and 50 test images, seed {seed}"] = (thresholds, *curves)
    hint = "Choose where choosing is allowed, by the mean over images; then report the test images at that threshold."
    return compare_on_cases(my_report, report, cases, REPORT_FAULTS, hint, names=("threshold", "IoU"))


@report_verdict
def check_interval(my_interval):
    """my_interval(values, rooms, generator): (N,) twice -> (low, high), the 95 % bootstrap interval by whole rooms."""
    cases = {"40 rooms of one to nine images": (0.1, 0.04), "rooms that are all alike": (0.0, 0.1)}
    for where, (between, within) in cases.items():
        values, rooms = rooms_of_unequal_size(between, within)
        found = []
        for seed in range(SEEDS):
            answer = call_answer(my_interval, values, rooms, np.random.default_rng(seed), where=where)
            require_parts(answer, ("low", "high"), where)
            found.append([as_number(x, f"{where}, {name}") for x, name in zip(answer, ("low", "high"))])
        low, high = np.mean(found, axis=0)
        expected, by_images = (
            np.mean([metrics.bootstrap_interval(values, groups, seed=seed) for seed in range(SEEDS)], axis=0)
            for groups in (rooms, np.arange(len(values)))
        )
        words = f"expected about {expected[0]:.3f} to {expected[1]:.3f}, found {low:.3f} to {high:.3f}"
        centred = abs((low + high) / 2 - expected.mean()) <= WIDTH_ERROR * np.ptp(expected)
        hint = "Average over the drawn *images*: a room with more of them has more weight."
        require(centred, where, words, hint)
        by_rooms = not between or abs((high - low) / np.ptp(by_images) - 1) >= 2 * WIDTH_ERROR
        require(by_rooms, where, f"single images are drawn: {words}", "Images of a room come and go together.")
        ratio = (high - low) / np.ptp(expected)
        hint = "Low comes first. Which percentiles leave 95 % between them? Draw as many rooms, with replacement."
        require(ratio >= 1 - WIDTH_ERROR, where, f"too narrow: {words}", hint)
        hint = "The interval is of the *mean*, not of single images or rooms."
        require(ratio <= 1 + WIDTH_ERROR, where, f"too wide: {words}", hint)
    return "Tried: rooms that differ much, and rooms that are all alike, eight times each"


def rooms_of_unequal_size(between: float, within: float):
    """(values, room names), (N,): 40 rooms of one to nine images; if rooms differ at all, larger ones score lower."""
    generator = np.random.default_rng(0)
    sizes = generator.integers(1, 10, 40)
    level = 0.8 + between * (generator.normal(size=40) - (sizes - 5) / 4)
    room = np.repeat(np.arange(40), sizes)
    values = level[room] + within * generator.normal(size=len(room))
    order = generator.permutation(len(room))
    return values[order], np.array([f"room {number}" for number in room[order]])


def mean(x: Tensor) -> Tensor:
    return x.mean((1, 2, 3), keepdim=True)


def scaled_rmse(factor):
    return lambda a, b: metrics.rmse(factor(a, b) * a, b)


SCALE_FREE_FAULTS = {
    "no factor is applied": metrics.rmse,
    "the median of the ratios is near, but not the least": scaled_rmse(
        lambda a, b: (b / a).flatten(1).median(1).values.view(-1, 1, 1, 1)
    ),
    "the ratio of the means is near, but not the least": scaled_rmse(lambda a, b: mean(b) / mean(a)),
    "the mean of the ratios is not the least": scaled_rmse(lambda a, b: mean(b / a)),
    "all images share one factor": scaled_rmse(lambda a, b: (a * b).sum() / (a * a).sum()),
    "the factor is upside down": scaled_rmse(lambda a, b: mean(a * b) / mean(b * b)),
    "something is added, not multiplied": lambda a, b: metrics.rmse(a + mean(b - a), b),
}


@report_verdict
def check_scale_free(my_scale_free):
    """my_scale_free(depth, target): (N, 1, H, W) twice -> (N,): the lowest RMSE that one factor per image can reach."""
    target = 0.1 + 0.8 * torch.rand(3, 1, 6, 8)
    noisy = target + 0.1 * torch.randn(3, 1, 6, 8)
    factors = torch.tensor([0.5, 1.0, 2.0]).view(3, 1, 1, 1)
    cases = {
        "right but for a factor of 2": (target[:1] / 2, target[:1]),
        "three images, each with a factor of its own": (factors * target, target),
        "three noisy images": (factors * noisy, target),
        "one of them": (0.7 * noisy[:1], target[:1]),
        "all black": (torch.zeros_like(target[:1]), target[:1]),
    }
    hint = "Which factor makes sum((s d - t)^2) least? Set its slope with respect to s to zero, image by image."
    least_squares = scaled_rmse(lambda a, b: mean(a * b) / mean(a * a).clamp(min=1e-12))  # 0 for a black prediction
    return compare_on_cases(my_scale_free, least_squares, cases, SCALE_FREE_FAULTS, hint)
