"""Answers to the exercises of notebook 05."""

import numpy as np
import torch
from answers import Exercise, solutions

from maskdepth_utils.course.checks.nb05 import SAME_RMSE, bootstrap, report


def draw_curves(g):
    count, val, test = g.integers(1, 7), g.integers(1, 20), g.integers(1, 20)
    return g.permutation(np.linspace(0.1, 0.9, count)), g.uniform(0, 1, (count, val)), g.uniform(0, 1, (count, test))


def interval_by_loops(values, rooms, generator):
    groups = [values[rooms == name] for name in np.unique(rooms)]
    means = []
    for _ in range(1000):
        drawn = generator.integers(len(groups), size=len(groups))
        means.append(np.concatenate([groups[i] for i in drawn]).mean())
    means.sort()
    return torch.tensor([means[25], means[974]])


def scale_free_closed(a, b, least=0.0):
    square, both, own = (maps.mean((1, 2, 3)) for maps in (b * b, a * b, a * a))
    return (square - both**2 / own.clamp(min=1e-12)).clamp(min=least).sqrt()


def unclamped(a, b):
    factor = (a * b).sum((1, 2, 3)) / (a * a).sum((1, 2, 3))
    return ((factor.view(-1, 1, 1, 1) * a - b) ** 2).mean((1, 2, 3)).sqrt()


def draw_pairs(g):
    shape = g.integers(1, 5), 1, g.integers(2, 7), g.integers(2, 7)
    depth, target = g.uniform(0, 1, (2, *shape)) * (g.random((2, shape[0], 1, 1, 1)) > 0.15)
    return torch.from_numpy(np.float32(depth)), torch.from_numpy(np.float32(target))


EXERCISES = {
    "check_side": Exercise(
        right=[37, 37.0, np.int64(37)],
        wrong=[
            (36, "IoU 0.8975 if one pixel too large all round, expected at least 0.9"),
            (38, "but one of 37 x 37 still has 0.9001"),
            (37.5, "expected a whole number from 1 to 10000, found 37.5"),
        ],
    ),
    "check_report": Exercise(
        right=[solutions()["check_report"]],
        draw=draw_curves,
        names=("threshold", "IoU"),
        wrong=[
            (lambda t, v, s: (report(t, v, s)[0], s.mean(0).max()), "IoU: expected 0."),
        ],
    ),
    "check_interval": Exercise(
        right=[solutions()["check_interval"], interval_by_loops, lambda *inputs: [*bootstrap(*inputs)]],
        # The kind of pair does not matter, and the others change the result by less than two bootstraps differ.
        allowed=("tuple(", "-> 1.5", "-> 3.5", "-> 96.5", "-> 98.5", "-> 999", "-> 1001"),
        wrong=[
            (lambda *inputs: bootstrap(*inputs, percentiles=(5, 95)), "it is as narrow as with 5 and 95 %"),
            (lambda v, r, g: v.mean() + v.std() / len(v) ** 0.5 * np.array([-1, 1]), "images, low: expected"),
            (lambda v, r, g: (0.1, 0.2, 0.3), "Seed 0: expected 2 values (low, high), found a tuple of 3"),
        ],
    ),
    "check_scale_free": Exercise(
        right=[solutions()["check_scale_free"], scale_free_closed],
        draw=draw_pairs,
        tolerance=SAME_RMSE,
        wrong=[
            (unclamped, "A black prediction among others: expected [0."),
            (lambda a, b: scale_free_closed(a, b, least=-1.0), "16 images, each with a factor of its own: at index"),
        ],
    ),
}
