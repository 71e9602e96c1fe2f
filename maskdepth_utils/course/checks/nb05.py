"""Checks of the exercises in notebook 05: IoU and size, delta, a fair threshold, intervals, scale. See checks.py."""

import numpy as np
import torch

from ... import metrics
from .verdict import Wrong, ask, describe, number, same, verdict, whole

WANTED = 0.9  # IoU of a square that is one pixel fat, exercise A
SEEDS, WIDTH_ERROR = 8, 0.08  # bootstraps to average in exercise D, and how far off their interval may be


@verdict
def check_side(my_side):
    """The smallest square, side in pixels, whose IoU with itself grown by one pixel all round is at least 0.9."""
    side = whole(my_side, "my_side")
    if side > 1000:
        raise Wrong("my_side", f"expected the side in pixels, found {side}", "Not the area?")
    found, smaller = (side / (side + 2)) ** 2, ((side - 1) / (side + 1)) ** 2
    where = f"a square of {side} x {side} pixels"
    if found < WANTED:
        hint = "One pixel is added on *both* sides of each row and column."
        raise Wrong(where, f"IoU {found:.4f} when it is one pixel fat, expected at least {WANTED}", hint)
    if smaller >= WANTED:
        words = f"IoU {found:.4f}, but one of {side - 1} x {side - 1} still has {smaller:.4f}"
        raise Wrong(where, words, "The smallest one is asked for.")
    return f"One pixel fat, {side} x {side} pixels have an IoU of {found:.4f}, the next smaller square {smaller:.4f}"


@verdict
def check_delta(my_delta):
    """my_delta(depth, target, region): share of the region's pixels right within the factor 1.25, (N,)."""
    generator = torch.Generator().manual_seed(0)
    target = 0.1 + 0.8 * torch.rand(3, 1, 6, 8, generator=generator)
    depth = target * (0.5 + 1.3 * torch.rand(3, 1, 6, 8, generator=generator))
    some = torch.rand(3, 1, 6, 8, generator=generator) > 0.5
    some[:, :, 0, :2] = True
    none = torch.zeros(1, 1, 6, 8, dtype=torch.bool)
    cases = {
        "some pixels of three images": (depth, target, some),
        "the whole of three images": (depth, target, torch.ones_like(some)),
        "everything 30 % too near": (target / 1.3, target, some),
        "everything 30 % too far": (1.3 * target, target, some),
        "a single image": (depth[:1], target[:1], some[:1]),
        "a region without a pixel": (depth[:1], target[:1], none),
    }
    for where, (a, b, region) in cases.items():
        found = ask(my_delta, a, b, region, where=where)
        expected = metrics.delta(a, b, region)
        area = region.sum((1, 2, 3))

        def share(good):
            return torch.where(region, good.float(), 0).sum((1, 2, 3)) / area  # noqa: B023  (used at once)

        good = torch.maximum(a / b, b / a) < 1.25
        both = "A factor of 1.25 too far, and one too near: take the larger of both ratios."
        keep = "Sum over dimensions 1, 2 and 3, and keep the first: one share for each image."
        mistakes = [
            (share(a / b < 1.25), "what is too near counts as right", both),
            (share(b / a < 1.25), "what is too far counts as right", both),
            (share((a - b).abs() / b < 0.25), "this is a difference of 25 %, not a factor", both),
            (share((a - b).abs() < 0.25), "this is a difference of 0.25, not a factor", both),
            (1 - expected, "this is the share of wrong pixels", "Which side of 1.25 is good?"),
            (
                good.float().mean((1, 2, 3)),
                "pixels outside the region count as well",
                "Where `region` is False, look away.",
            ),
            (
                (good & region).float().mean((1, 2, 3)),
                "it is divided by all pixels",
                "By how many of them are in `region`?",
            ),
            ((good & region).sum() / region.sum(), "all images are pooled", keep),
            (expected.mean(), "one figure for all images", keep),
        ]
        if region is none:
            words = "no pixel is not the same as"
            mistakes = [
                (torch.zeros(1), f"{words} no right pixel", "0 would pull a mean down: say nan."),
                (torch.ones(1), f"{words} all pixels right", "1 would lift a mean: say nan."),
            ]
        same(found, expected, where, "Ratios, region, share: print each of them.", mistakes)
    return "Tried: " + ", ".join(cases)


@verdict
def check_report(my_report):
    """my_report(thresholds, val, test): (T,) and IoUs (T, N) twice -> (chosen threshold, the mean IoU to report)."""
    thresholds = np.array([0.2, 0.3, 0.4, 0.5, 0.6])
    for seed, (best_val, best_test) in enumerate(((1, 3), (4, 0), (2, 2))):
        generator = np.random.default_rng(seed)
        val, test = curve(generator, best_val, 0.8, count=30), curve(generator, best_test, 0.75, count=50)
        where = f"{val.shape[1]} validation and {test.shape[1]} test images, case {seed + 1}"
        found = ask(my_report, thresholds, val, test, where=where)
        if not isinstance(found, tuple | list) or len(found) != 2:
            raise Wrong(where, f"expected two things (threshold, IoU), found {describe(found)}")
        honest = "Choose where choosing is allowed."
        mistakes = [
            (thresholds[best_test], "the threshold is chosen on the test images", honest),
            (thresholds[np.argmax(val.mean(1) + test.mean(1))], "the test images have a say in the choice", honest),
            (float(best_val), "this is the threshold's place in the list", "Look it up in `thresholds`."),
            (thresholds[np.argmax(val) // val.shape[1]], "a single image decides", "Average over the images first."),
        ]
        same(found[0], thresholds[best_val], f"{where}, threshold", "Average first, then choose.", mistakes)
        means = test.mean(1)
        mistakes = [
            (
                val.mean(1).max(),
                "this is the validation score",
                "It was chosen to be high: report the test images' score.",
            ),
            (means.max(), "this is the best test score of all thresholds", "Report that of the threshold you chose."),
            (means.mean(), "this is the average over all thresholds", "Report that of the threshold you chose."),
            (np.median(test[best_val]), "this is the median", "The mean is asked for."),
        ]
        same(found[1], means[best_val], f"{where}, IoU", "The test images' mean at the chosen threshold.", mistakes)
    return "Tried: three pairs of curves; chosen on validation, reported on test"


def curve(generator, best: int, highest: float, count: int) -> np.ndarray:
    """IoUs of five thresholds, (5, count), whose mean is `highest` at `best`; single images disagree."""
    level = highest - 0.02 * np.abs(np.arange(5) - best)[:, None]
    noise = generator.normal(0, 0.05, (5, count))
    noise[best - 1, 0] += 0.3
    return level + noise - noise.mean(1, keepdims=True)


@verdict
def check_interval(my_interval):
    """my_interval(values, rooms, generator): (N,) twice -> (low, high), the 95 % bootstrap interval by whole rooms."""
    cases = {"40 rooms of one to nine images": (40, 0.1, 0.04), "rooms that are all alike": (40, 0.0, 0.1)}
    for where, (count, between, within) in cases.items():
        values, rooms = rooms_of_unequal_size(count, between, within)
        found = []
        for seed in range(SEEDS):
            answer = ask(my_interval, values, rooms, np.random.default_rng(seed), where=where)
            if not isinstance(answer, tuple | list | np.ndarray) or len(answer) != 2:
                raise Wrong(where, f"expected two numbers (low, high), found {describe(answer)}")
            found.append([number(x, f"{where}, {name}") for x, name in zip(answer, ("low", "high"))])
        found = np.mean(found, axis=0)
        expected = np.mean([metrics.bootstrap_interval(values, rooms, seed=seed) for seed in range(SEEDS)], axis=0)
        width, wanted = found[1] - found[0], expected[1] - expected[0]
        if abs(width) < 0.02 * wanted:
            raise Wrong(where, "low and high are the same", "Draw with replacement: some rooms twice, some not at all.")
        if width < 0:
            raise Wrong(where, "low is above high", "low first.")
        middle = found.mean() - expected.mean()
        if abs(middle) > WIDTH_ERROR * wanted:
            words = f"expected about {expected[0]:.3f} to {expected[1]:.3f}, found {found[0]:.3f} to {found[1]:.3f}"
            raise Wrong(where, words, "Average over the drawn *images*: a room with more of them has more to say.")
        alone = np.arange(len(values))
        images = np.mean([metrics.bootstrap_interval(values, alone, seed=seed) for seed in range(SEEDS)], axis=0)
        factor, shown = width / wanted, f"{width:.4f} wide, expected about {wanted:.4f}"
        if between and abs(width / (images[1] - images[0]) - 1) < 2 * WIDTH_ERROR and factor < 1 - WIDTH_ERROR:
            raise Wrong(where, f"single images are drawn: {shown}", "Images of a room come and go together.")
        if abs(factor - 1) > WIDTH_ERROR:
            narrow = "Which percentiles leave 95 % between them? Are as many rooms drawn as there are?"
            wide = "The interval is of the *mean*, not of single images or rooms."
            raise Wrong(where, f"too {'narrow' if factor < 1 else 'wide'}: {shown}", narrow if factor < 1 else wide)
    return "Tried: rooms that differ much, and rooms that are all alike, eight times each"


def rooms_of_unequal_size(count: int, between: float, within: float):
    """(values, room names), (N,): rooms of one to nine images; the larger ones score lower if rooms differ at all."""
    generator = np.random.default_rng(0)
    sizes = generator.integers(1, 10, count)
    level = 0.8 + between * (generator.normal(size=count) - (sizes - 5) / 4)
    room = np.repeat(np.arange(count), sizes)
    values = level[room] + within * generator.normal(size=len(room))
    order = generator.permutation(len(room))
    return values[order], np.array([f"room {number}" for number in room[order]])


@verdict
def check_scale_free(my_scale_free):
    """my_scale_free(depth, target): (N, 1, H, W) twice -> (N,): the least RMSE that one factor per image can reach."""
    generator = torch.Generator().manual_seed(0)
    target = 0.1 + 0.8 * torch.rand(3, 1, 6, 8, generator=generator)
    noisy = target + 0.1 * torch.randn(3, 1, 6, 8, generator=generator)
    factors = torch.tensor([0.5, 1.0, 2.0]).view(3, 1, 1, 1)
    cases = {
        "right but for a factor of 2": (target[:1] / 2, target[:1]),
        "three images, each with a factor of its own": (factors * target, target),
        "three noisy images": (factors * noisy, target),
        "one of them": (0.7 * noisy[:1], target[:1]),
        "all black": (torch.zeros(1, 1, 6, 8), target[:1]),
    }
    for where, (a, b) in cases.items():
        found = ask(my_scale_free, a, b, where=where)
        dims = {"dim": (1, 2, 3), "keepdim": True}
        best = (a * b).sum(**dims) / (a * a).sum(**dims).clamp(min=1e-12)
        expected = metrics.rmse(best * a, b)
        median = (b / a).flatten(1).median(1).values.view(-1, 1, 1, 1)
        one = "Which factor makes sum((s d - t)^2) least? Set its slope with respect to s to zero."
        keep = "Sums over dimensions 1, 2 and 3 give each image its own."
        mistakes = [
            (metrics.rmse(a, b), "no factor is applied", "How far off is it if you may multiply?"),
            (metrics.rmse(median * a, b), "the median of the ratios is near, but not the least", one),
            (
                metrics.rmse(b.mean(**dims) / a.mean(**dims) * a, b),
                "the ratio of the means is near, but not the least",
                one,
            ),
            (metrics.rmse((b / a).mean(**dims) * a, b), "the mean of the ratios is not the least", one),
            (metrics.rmse((a * b).sum() / (a * a).sum() * a, b), "all images share one factor", keep),
            (metrics.rmse((a * b).sum(**dims) / (b * b).sum(**dims) * a, b), "the factor is upside down", one),
            (metrics.rmse(a / best, b), "it is divided by the factor", "s times the prediction."),
            (metrics.rmse(a + (b - a).mean(**dims), b), "something is added, not multiplied", "One factor, no offset."),
            (expected**2, "the root is missing", "RMSE: root of the mean of squares."),
            (expected.mean(), "one figure for all images", keep),
        ]
        zero = "A prediction of zeros has no scale: 0 / 0. Any factor leaves it black."
        same(found, expected, where, zero if where == "all black" else one, mistakes)
    return "Tried: " + ", ".join(cases)
