"""Checks of the exercises in notebook 05: IoU and size, a fair threshold, intervals, scale."""

from functools import partial

import numpy as np
import torch
from torch import Tensor

from ... import metrics
from .compare import compare_on_cases, take_parts
from .verdict import as_number, call_answer, report_verdict, require

WANTED = 0.9  # IoU of a square that is one pixel too large all round
SAME_RMSE = 1e-3  # the difference of two nearly equal float32 numbers, under a root, errs by that much
SEEDS, NEAR = 4, 0.06  # bootstraps to average, and the accepted error of an end, in interval widths


@report_verdict
def check_side(my_side):
    """The side in pixels of the smallest square whose IoU with itself, one pixel larger all round, is at least 0.9."""
    side = as_number(my_side, "my_side", 1, 10000, "a whole number", whole=True)
    found, smaller = (side / (side + 2)) ** 2, ((side - 1) / (side + 1)) ** 2
    where = f"a square of {side} x {side} pixels"
    hint = "One pixel is added on *both* sides of each row and column."
    words = f"IoU {found:.4f} if one pixel too large all round, expected at least {WANTED}"
    require(found >= WANTED, where, words, hint)
    require(smaller < WANTED, where, f"IoU {found:.4f}, but one of {side - 1} x {side - 1} still has {smaller:.4f}")
    squares = f"a square of {side} x {side} pixels has an IoU of {found:.4f}, the next smaller one of {smaller:.4f}"
    return f"One pixel too large all round, {squares}"


def report(thresholds, val, test, scores=None):
    """The threshold with the best mean on the validation images (or other scores), and its mean on the test images."""
    chosen = (val.mean(1) if scores is None else scores).argmax()
    return thresholds[chosen], test[chosen].mean()


REPORT_FAULTS = {
    "the threshold is chosen on the test images": lambda t, val, test: report(t, val, test, test.mean(1)),
    "the test images influence the choice": lambda t, val, test: report(t, val, test, val.mean(1) + test.mean(1)),
    "a single image decides": lambda t, val, test: report(t, val, test, val.max(1)),
    "this is the threshold's place in the list": lambda t, val, test: report(np.arange(len(t)), val, test),
    "this is the validation score, chosen to be high": lambda t, val, test: report(t, val, val),
    "this is the best test score of all thresholds": lambda t, val, test: (report(t, val, test)[0], test.mean(1).max()),
}


@report_verdict
def check_report(my_report):
    """my_report(thresholds, val, test): (T,) and IoUs (T, N) twice -> (chosen threshold, the mean IoU to report)."""
    cases = {}
    for seed, count, val, test in ((20, 5, 30, 50), (33, 5, 30, 50), (5, 4, 9, 3), (2, 2, 2, 5)):
        thresholds = np.random.default_rng(seed).permutation(np.linspace(0.15, 0.6, count))
        generator = np.random.default_rng(seed)
        curves = (generator.uniform(0.3, 0.9, (count, images)) for images in (val, test))
        cases[f"{count} thresholds, {val} and {test} images, seed {seed}"] = (thresholds, *curves)
    hint = "Choose where choosing is allowed, by the mean over images; then report the test images at that threshold."
    return compare_on_cases(my_report, report, cases, REPORT_FAULTS, hint, names=("threshold", "IoU"))


def bootstrap(values, rooms, generator, percentiles=(2.5, 97.5), twice=True):
    """The interval of the mean over images, drawing whole rooms; the options produce the usual faults."""
    _, number = np.unique(rooms, return_inverse=True)
    sums, sizes = np.bincount(number, values), np.bincount(number)
    drawn = generator.multinomial(len(sums), np.full(len(sums), 1 / len(sums)), size=1000)  # how often each room
    drawn = drawn if twice else drawn > 0
    return np.percentile((drawn @ sums) / (drawn @ sizes), percentiles)


def one_per_room(values, rooms, generator):
    """Each room's mean in place of its images."""
    names = np.unique(rooms)
    return np.array([values[rooms == name].mean() for name in names]), names, generator


INTERVAL_FAULTS = {
    "single images are drawn, not rooms": lambda v, rooms, g: bootstrap(v, np.arange(len(v)), g),
    "it is as narrow as with 5 and 95 %, or as if a room drawn twice counted once": partial(bootstrap, twice=False),
    "every room counts the same, however many images it has": lambda *inputs: bootstrap(*one_per_room(*inputs)),
    "the higher end comes first": lambda *inputs: bootstrap(*inputs)[::-1],
    "this is the spread of single images, not of their mean": lambda v, rooms, g: np.percentile(v, [2.5, 97.5]),
    "there is no spread: without replacement every room is drawn each time": lambda v, rooms, g: [v.mean(), v.mean()],
}


def averaged(interval):
    """The mean of an interval over some seeds."""

    def average(values, rooms):
        found = []
        for seed in range(SEEDS):
            ends = call_answer(interval, values, rooms, np.random.default_rng(seed), where=f"seed {seed}")
            pairs = zip(take_parts(ends, ("low", "high"), f"seed {seed}"), ("low", "high"))
            found.append([as_number(end, f"seed {seed}, {name}") for end, name in pairs])
        return tuple(np.mean(found, 0))

    return average


@report_verdict
def check_interval(my_interval):
    """my_interval(values, rooms, generator): (N,) twice -> (low, high), the 95 % bootstrap interval by whole rooms."""
    cases = {"40 rooms of one to nine images": (0.1, 0.04), "rooms that are all alike": (0.0, 0.1)}
    cases = {where: scores_of_rooms(*spread) for where, spread in cases.items()}
    hint = "Draw as many rooms as there are, take all images of each draw, and one mean over those images."
    options = {"names": ("low", "high"), "tolerance": NEAR, "adapt": averaged}
    return compare_on_cases(my_interval, bootstrap, cases, INTERVAL_FAULTS, hint, **options)


def scores_of_rooms(between: float, within: float):
    """(scores, room names) of 40 rooms of one to nine images; larger rooms score lower. The interval is 1 wide."""
    generator = np.random.default_rng(0)
    sizes = generator.integers(1, 10, 40)
    level = between * (generator.normal(size=40) - (sizes - 5) / 4)
    room = generator.permutation(np.repeat(np.arange(40), sizes))
    values, names = level[room] + within * generator.normal(size=len(room)), np.array([f"room {i}" for i in room])
    return values / np.ptp(bootstrap(values, names, generator)), names


def mean(x: Tensor) -> Tensor:
    return x.mean((1, 2, 3), keepdim=True)


def scaled_rmse(factor):
    return lambda a, b: metrics.rmse(factor(a, b) * a, b)


SCALE_FREE_FAULTS = {
    "the ratio of the means is close, but not the best factor": scaled_rmse(lambda a, b: mean(b) / mean(a)),
    "all images share one factor": scaled_rmse(lambda a, b: (a * b).sum() / (a * a).sum()),
}


@report_verdict
def check_scale_free(my_scale_free):
    """my_scale_free(depth, target): (N, 1, H, W) twice -> (N,): the lowest RMSE that one factor per image can reach."""
    target = 0.1 + 0.8 * torch.rand(16, 1, 6, 7)
    noisy = target + 0.1 * torch.randn(16, 1, 6, 7).clamp(min=-1)
    factors = torch.logspace(-1.5, 0.5, 16).view(16, 1, 1, 1)
    black = torch.zeros_like(target[:3])
    cases = {
        "right but for a factor of 2": (target[:1] / 2, target[:1]),
        "16 images, each with a factor of its own": (factors * target, target),
        "three noisy images": (factors[-3:] * noisy[:3], target[:3]),
        "one noisy image": (0.7 * noisy[:1], target[:1]),
        "a black prediction among others": (torch.cat([noisy[:1], black[:1], noisy[1:2]]), target[:3]),
        "a black truth": (noisy[:3], black),
    }
    hint = "Which factor makes sum((s d - t)^2) least? Set its slope with respect to s to zero, image by image."
    least_squares = scaled_rmse(lambda a, b: mean(a * b) / mean(a * a).clamp(min=1e-12))  # 0 for a black prediction
    return compare_on_cases(my_scale_free, least_squares, cases, SCALE_FREE_FAULTS, hint, tolerance=SAME_RMSE)
