"""Checks of the exercises in notebook 01: a threshold, z-depth, merged statistics, a fair split. See checks.py."""

import functools

import numpy as np
from torch.utils.data import Subset

from ...baselines import DifferenceThreshold
from ...data.datasets import MaskDepthDataset
from ...data.loading import make_loader
from ...metrics import iou
from .verdict import Wrong, ask, describe, number, same, verdict

SAMPLES, ENOUGH = 24, 0.02  # validation samples for exercise A, and how far from the best IoU is near enough
LEAST_TRAIN, LEAST_TEST = 0.4, 0.05  # of all samples, in exercise D


@verdict
def check_threshold(my_threshold):
    """A threshold, of 255, whose mean IoU on 24 validation samples (80 px, tripod) is within 0.02 of the best."""
    threshold = number(my_threshold, "my_threshold")
    if not 0 <= threshold <= 255:
        raise Wrong("my_threshold", f"expected a gray value from 0 to 255, found {threshold:g}")
    if 0 < threshold < 1:
        raise Wrong("my_threshold", f"expected a number of 255, found {threshold:g}", "Times 255?")
    apart, mask, best_threshold, best = threshold_samples()
    score = iou(apart, mask, threshold / 255).mean().item()
    if score < best - ENOUGH:
        raise Wrong(
            f"a threshold of {threshold:g}",
            f"mean IoU {score:.2f} on {SAMPLES} validation samples, while another one has {best:.2f}",
            "Noise and shadows pass it, too."
            if threshold < best_threshold
            else "Too much of the objects differs by less than that.",
        )
    return f"Mean IoU {score:.2f} on {SAMPLES} validation samples; the best threshold of all has {best:.2f}"


@functools.cache
def threshold_samples():
    """(differences, masks, best threshold of 255, its mean IoU) of the samples of exercise A."""
    dataset = MaskDepthDataset("val", size=80, gap="tripod")
    batch = next(iter(make_loader(Subset(dataset, range(SAMPLES)), batch=SAMPLES)))
    fitted = DifferenceThreshold().fit([batch])
    apart = fitted.difference(batch["image"], batch["background"])
    return apart, batch["mask"], 255 * fitted.threshold, max(score for _, score in fitted.curve)


@verdict
def check_z_depth(my_z_depth):
    """my_z_depth(ray, focal): ray distance in metres (H, W), focal length in pixels -> z-depth in metres (H, W)."""
    generator = np.random.default_rng(0)
    cases = {
        "a wall 4 m straight ahead": (np.full((6, 6), 4.0), 5.0),
        "a map of 160 x 160 pixels": (generator.uniform(1, 9, (160, 160)), 138.6),
        "a map of 6 x 10 pixels": (generator.uniform(1, 9, (6, 10)), 8.0),
        "another camera": (generator.uniform(1, 9, (10, 6)), 3.0),
    }
    for where, (depth, focal) in cases.items():
        long = stretch(depth.shape, focal)
        height, width = depth.shape
        found = ask(my_z_depth, depth * long, focal, where=where)
        hint = "Pixel (row, column) looks along (x, y, 1), with x = (column + 0.5 - width / 2) / focal."
        mistakes = [
            (depth * long**2, "it is even longer than the ray", "Straight ahead is nearer than along the ray."),
            (depth * long, "it is still the ray distance", hint),
            (
                depth * long / stretch(depth.shape, focal, offset=0.0),
                "the pixels' centres are missed by half a pixel",
                hint,
            ),
            (depth * long / stretch(depth.shape, 1.0), "the focal length is not used", hint),
            (depth * long / stretch(depth.shape, focal, middle=(80, 80)), "the middle is not always pixel 80", hint),
            (
                depth * long / stretch(depth.shape, focal, middle=(width / 2, height / 2)),
                "rows and columns are mixed up",
                hint,
            ),
            (
                depth * long / long**2,
                "it is divided by the squared length",
                "The length of (x, y, 1) has a square root.",
            ),
        ]
        same(found, depth, where, hint, mistakes)
    return "Tried: " + ", ".join(cases)


def stretch(shape, focal, offset=0.5, middle=None):
    """Length of each pixel's ray (x, y, 1), (H, W)."""
    row, column = np.mgrid[: shape[0], : shape[1]] + offset
    middle_row, middle_column = middle or (shape[0] / 2, shape[1] / 2)
    return np.sqrt(((column - middle_column) / focal) ** 2 + ((row - middle_row) / focal) ** 2 + 1)


@verdict
def check_merge(my_merge):
    """my_merge(a, b): (count, mean, std) of two parts -> the same of both together; mean and std are arrays (C,)."""
    generator = np.random.default_rng(0)
    dark, light = generator.uniform(0, 0.3, (30, 3)), generator.uniform(0.5, 1, (10, 3))
    cases = {
        "30 dark and 10 light pixels": (dark, light),
        "two parts of 10": (dark[:10], light),
        "two parts without any spread": (np.full((4, 1), 0.2), np.full((12, 1), 0.6)),
        "an empty second part": (dark, np.empty((0, 3))),
        "an empty first part": (np.empty((0, 3)), light),
    }
    for where, (first, second) in cases.items():
        a, b = statistics(first), statistics(second)
        found = ask(my_merge, a, b, where=where)
        if not isinstance(found, tuple | list) or len(found) != 3:
            raise Wrong(where, f"expected three things (count, mean, std), found {describe(found)}")
        count, mean, std = statistics(np.concatenate([first, second]))
        share = np.array([a[0], b[0]])[:, None] / count
        means, stds = np.array([a[1], b[1]]), np.array([a[2], b[2]])
        within = (share * stds**2).sum(0)
        between = "Each part had a mean of its own: how far it lies from the common one is spread, too."
        counts = "A part with more pixels has more to say."
        same(float(found[0]), float(count), f"{where}, count", "How many values are there together?")
        same(as_array(found[1]), mean, f"{where}, mean", counts, [(means.mean(0), "both parts count alike", counts)])
        mistakes = [
            (stds.mean(0), "this is the average of the parts' deviations", between),
            ((share * stds).sum(0), "this is the average of the parts' deviations, by their counts", between),
            (np.sqrt(within), "only the spread within the parts is there", between),
            (std**2, "this is the variance", "The standard deviation is its square root."),
            (
                std * np.sqrt(count / (count - 1)),
                "it is divided by count - 1",
                "Here we divide by the count, as np.std does.",
            ),
        ]
        same(as_array(found[2]), std, f"{where}, std", between, mistakes)
    return "Tried: " + ", ".join(cases)


def statistics(values):
    """(count, mean, std) of each column; zeros if there is nothing."""
    if len(values) == 0:
        return 0, np.zeros(values.shape[1]), np.zeros(values.shape[1])
    return len(values), values.mean(0), values.std(0)


def as_array(value):
    return np.asarray(value, float) if isinstance(value, list | tuple | np.floating) else value


@verdict
def check_split(my_split):
    """my_split(rooms, objects): names of each sample's room and object, (N,) -> indices (train, test) without leaks."""
    for rooms, objects in ((20, 20), (10, 15)):
        where = f"{rooms} rooms, {objects} objects"
        order = np.random.default_rng(rooms).permutation(rooms * objects * 3)
        room = np.array([f"room {i % rooms}" for i in order])
        object_ = np.array([f"object {i // rooms % objects}" for i in order])
        found = ask(my_split, room, object_, where=where)
        if not isinstance(found, tuple | list) or len(found) != 2:
            raise Wrong(where, f"expected two things (train, test), found {describe(found)}")
        train, test = (as_indices(part, len(room), f"{where}, {name}") for part, name in zip(found, ("train", "test")))
        both = len(np.intersect1d(train, test))
        if both:
            raise Wrong(where, f"{both} samples are in training and in test", "Take each sample once, or leave it out.")
        leaks = {name: np.intersect1d(x[train], x[test]) for name, x in (("rooms", room), ("objects", object_))}
        for name, shared in leaks.items():
            if len(shared):
                raise Wrong(
                    where,
                    f"{len(shared)} {name} are in training and in test, for instance {shared[0]!r}",
                    "Decide for each room and for each object first, then look at the samples.",
                )
        for name, part, least in (("training", train, LEAST_TRAIN), ("test", test, LEAST_TEST)):
            share = len(part) / len(room)
            if share < least:
                raise Wrong(
                    where,
                    f"{share:.1%} of the samples are in {name}, expected at least {least:.0%}",
                    "With a share s of the rooms and of the objects on one side, it gets s x s of the samples.",
                )
    return "Tried: 20 x 20 and 10 x 15 rooms and objects; none is on both sides, and enough samples are left"


def as_indices(part, count, where):
    """One side of a split as indices (K,); a mask of (N,) bools is as good."""
    part = np.asarray(part)
    if part.dtype == bool and part.shape == (count,):
        return np.flatnonzero(part)
    if part.size == 0:
        raise Wrong(where, "no sample is in it")
    if part.ndim != 1 or not np.issubdtype(part.dtype, np.integer):
        raise Wrong(where, f"expected indices of samples, found {describe(part)}", "np.flatnonzero(mask) gives them.")
    if part.min() < 0 or part.max() >= count:
        raise Wrong(where, f"expected indices from 0 to {count - 1}, found {part.min()} to {part.max()}")
    return part
