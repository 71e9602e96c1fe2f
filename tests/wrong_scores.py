"""Typical wrong answers to the exercises of notebook 05: {check: [(answers, words of the verdict), ...]}."""

import numpy as np
import torch

from maskdepth_utils import metrics


def share(good, region):
    return (good & region).sum((1, 2, 3)) / region.sum((1, 2, 3))


def right(a, b):
    return torch.maximum(a / b, b / a) < 1.25


def filled(value):
    return lambda a, b, region: torch.nan_to_num(share(right(a, b), region), nan=value)


def interval(values, groups, generator, percentiles=(2.5, 97.5), repeats=1000, rooms=None):
    _, number = np.unique(groups, return_inverse=True)
    sums, sizes = np.bincount(number, values), np.bincount(number)
    drawn = generator.integers(len(sums), size=(repeats, rooms or len(sums)))
    return tuple(np.percentile(sums[drawn].sum(1) / sizes[drawn].sum(1), percentiles))


def mean_of_rooms(values, rooms, generator):
    means = np.array([values[rooms == name].mean() for name in np.unique(rooms)])
    drawn = generator.integers(len(means), size=(1000, len(means)))
    return tuple(np.percentile(means[drawn].mean(1), [2.5, 97.5]))


def shuffled(values, rooms, generator):
    return tuple(np.percentile([generator.permutation(values).mean() for _ in range(100)], [2.5, 97.5]))


def scaled(a, b, factor):
    return metrics.rmse(factor.view(-1, 1, 1, 1) * a, b)


def sums(x):
    return x.sum((1, 2, 3))


WRONG = {
    "check_side": [
        (36, "IoU 0.8975 when it is one pixel fat, expected at least 0.9"),
        (18, "One pixel is added on *both* sides"),
        (38, "but one of 37 x 37 still has 0.9001"),
        (1369, "expected the side in pixels, found 1369"),
        (36.97, "expected a whole number"),
        (((37, 37),), "found a tuple of 2"),
    ],
    "check_delta": [
        (lambda a, b, r: share(a / b < 1.25, r), "what is too near counts as right"),
        (lambda a, b, r: share(b / a < 1.25, r), "what is too far counts as right"),
        (lambda a, b, r: share((a - b).abs() / b < 0.25, r), "a difference of 25 %, not a factor"),
        (lambda a, b, r: share((a - b).abs() < 0.25, r), "a difference of 0.25"),
        (lambda a, b, r: 1 - share(right(a, b), r), "the share of wrong pixels"),
        (lambda a, b, r: right(a, b).float().mean((1, 2, 3)), "pixels outside the region count as well"),
        (lambda a, b, r: (right(a, b) & r).float().mean((1, 2, 3)), "it is divided by all pixels"),
        (lambda a, b, r: (right(a, b) & r).sum() / r.sum(), "pooled"),
        (lambda a, b, r: share(right(a, b), r).mean(), "one figure for all images"),
        (filled(0.0), "A region without a pixel: no pixel is not the same as no right pixel"),
        (filled(1.0), "no pixel is not the same as all pixels right"),
        (lambda a, b, r: right(a[r], b[r]).float().mean(), "all images are pooled"),
    ],
    "check_report": [
        (lambda t, v, s: (t[s.mean(1).argmax()], s.mean(1).max()), "the threshold is chosen on the test images"),
        (lambda t, v, s: (t[v.mean(1).argmax()], v.mean(1).max()), "this is the validation score"),
        (lambda t, v, s: (t[v.mean(1).argmax()], s.mean(1).max()), "the best test score of all thresholds"),
        (lambda t, v, s: (v.mean(1).argmax(), s.mean()), "this is the threshold's place in the list"),
        (lambda t, v, s: (t[v.max(1).argmax()], 0), "a single image decides"),
        (lambda t, v, s: (t[v.mean(1).argmax()], s.mean()), "the average over all thresholds"),
        (lambda t, v, s: (t[v.mean(0).argmax()], 0), "IndexError"),
        (lambda t, v, s: t[v.mean(1).argmax()], "expected two things (threshold, IoU), found the number"),
        (lambda t, v, s: (t[v.mean(1).argmax()], s[v.mean(1).argmax()]), "IoU: expected one number, found an array"),
    ],
    "check_interval": [
        (lambda v, r, g: interval(v, np.arange(len(v)), g), "single images are drawn"),
        (lambda v, r, g: interval(v, r, g, (5, 95)), "too narrow"),
        (lambda v, r, g: interval(v, r, g, rooms=10), "too wide"),
        (lambda v, r, g: np.percentile(v, [2.5, 97.5]), "The interval is of the *mean*"),
        (lambda v, r, g: (v.mean() - v.std(), v.mean() + v.std()), "too wide"),
        (mean_of_rooms, "a room with more of them has more to say"),
        (shuffled, "Draw with replacement"),
        (lambda v, r, g: interval(v, r, g)[::-1], "low is above high"),
        (lambda v, r, g: v.mean(), "expected two numbers (low, high), found the number"),
    ],
    "check_scale_free": [
        (metrics.rmse, "no factor is applied"),
        (lambda a, b: scaled(a, b, (b / a).flatten(1).median(1).values), "the median of the ratios is near"),
        (lambda a, b: scaled(a, b, sums(b) / sums(a)), "the ratio of the means is near"),
        (lambda a, b: scaled(a, b, (a * b).sum() / (a * a).sum()), "all images share one factor"),
        (lambda a, b: scaled(a, b, sums(a * b) / sums(b * b)), "the factor is upside down"),
        (lambda a, b: scaled(a, b, sums(a * b) / sums(a * a)), "A prediction of zeros has no scale"),
        (lambda a, b: metrics.rmse(a + (b - a).mean((1, 2, 3), keepdim=True), b), "something is added, not multiplied"),
        (lambda a, b: scaled(a, b, sums(a * b) / sums(a * a)) ** 2, "the root is missing"),
        (lambda a, b: scaled(a, b, sums(a * b) / sums(a * a)).mean(), "one figure for all images"),
    ],
}
