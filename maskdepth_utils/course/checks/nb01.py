"""Checks of the exercises in notebook 01: a threshold, z-depth, a split without leaks."""

import functools

import numpy as np
from torch.utils.data import default_collate

from ...baselines import DifferenceThreshold
from ...data.datasets import MaskDepthDataset
from ...metrics import iou
from .compare import compare_on_cases, take_parts
from .verdict import Wrong, as_number, call_answer, describe_value, report_verdict, require

SAMPLES = 24  # validation samples of `check_threshold`
NEAR_BEST = 0.02  # accepted distance from the best mean IoU
LEAST_SHARES = {"train": 0.4, "test": 0.05}  # of all samples, in `check_split`


@report_verdict
def check_threshold(my_threshold):
    """A threshold, out of 255, whose mean IoU on 24 validation samples (80 px, tripod) is within 0.02 of the best."""
    threshold = as_number(my_threshold, "my_threshold", 1, 255, "a gray value")
    difference, mask, best_threshold, best = threshold_samples()
    score = iou(difference, mask, threshold / 255).mean().item()
    words = f"mean IoU {score:.3f} on {SAMPLES} validation samples, while another threshold reaches {best:.3f}"
    low, high = "Noise and shadows pass it, too.", "Too much of the objects differs by less than that."
    hint = low if threshold < best_threshold else high
    require(score >= best - NEAR_BEST, f"a threshold of {threshold:g}", words, hint)
    return f"Mean IoU {score:.3f} on {SAMPLES} validation samples; the best threshold of all has {best:.3f}"


@functools.cache
def threshold_samples():
    """(differences, masks, best threshold out of 255, its mean IoU) of the samples."""
    dataset = MaskDepthDataset("val", size=80, gap="tripod")
    batch = default_collate([dataset[index] for index in range(SAMPLES)])
    fitted = DifferenceThreshold().fit([batch])
    difference = fitted.difference(batch["image"], batch["background"])
    return difference, batch["mask"], 255 * fitted.threshold, max(score for _, score in fitted.curve)


def z_depth(ray, focal, offset=0.5, middle=None):
    """Z-depth from the distance along each pixel's ray (x, y, 1); the options produce the usual faults."""
    middle_row, middle_column = np.array(ray.shape) / 2 if middle is None else middle
    row, column = np.mgrid[: ray.shape[0], : ray.shape[1]] + offset
    return ray / np.sqrt(((column - middle_column) / focal) ** 2 + ((row - middle_row) / focal) ** 2 + 1)


Z_DEPTH_FAULTS = {
    "it is still the ray distance": lambda ray, focal: ray,
    "the pixels' centres are missed by half a pixel": lambda ray, focal: z_depth(ray, focal, offset=0.0),
    "the focal length is not used": lambda ray, focal: z_depth(ray, 1.0),
    "the middle is not always pixel 80": lambda ray, focal: z_depth(ray, focal, middle=(80, 80)),
}


@report_verdict
def check_z_depth(my_z_depth):
    """my_z_depth(ray, focal): ray distance in metres (H, W), focal length in pixels -> z-depth in metres (H, W)."""
    generator = np.random.default_rng(0)
    cases = {
        "a wall 4 m straight ahead": (4 / z_depth(np.ones((6, 6)), 5.0), 5.0),
        "a map of 160 x 160 pixels": (generator.uniform(1, 9, (160, 160)), 138.6),
        "a map of 6 x 10 pixels": (generator.uniform(1, 9, (6, 10)), 8.0),
        "a map of 7 x 5 pixels": (generator.uniform(1, 9, (7, 5)), 3.0),
    }
    hint = "Pixel (row, column) looks along (x, y, 1), with x = (column + 0.5 - width / 2) / focal."
    return compare_on_cases(my_z_depth, z_depth, cases, Z_DEPTH_FAULTS, hint)


@report_verdict
def check_split(my_split):
    """my_split(rooms, objects): names of each sample's room and object, (N,) -> indices (train, test) without leaks."""
    for rooms, objects in ((20, 20), (12, 16)):
        where = f"{rooms} rooms, {objects} objects"
        order = np.random.default_rng(rooms).permutation(rooms * objects * 3)
        names = {
            "rooms": np.array([f"room {i % rooms}" for i in order]),
            "objects": np.array([f"object {i // rooms % objects}" for i in order]),
        }
        found = take_parts(call_answer(my_split, *names.values(), where=where), tuple(LEAST_SHARES), where)
        train, test = (as_samples(part, len(order), f"{where}, {name}") for part, name in zip(found, LEAST_SHARES))
        for kind, values in ({"samples": np.arange(len(order))} | names).items():
            shared = np.intersect1d(values[train], values[test])
            words = f"{len(shared)} {kind} are in training and in test: {', '.join(map(str, shared[:3]))}"
            hint = "Decide for each room and each object first; then take each sample once, or leave it out."
            require(not len(shared), where, words, hint)
        for part, (name, least) in zip((train, test), LEAST_SHARES.items()):
            share = len(part) / len(order)
            words = f"{share:.1%} of the samples are in {name}, expected at least {least:.0%}"
            hint = "With a share s of the rooms and of the objects on one side, that side gets s x s of the samples."
            require(share >= least, where, words, hint)
    return "Tried: 20 x 20 and 12 x 16 rooms and objects; none is on both sides, and enough samples are left"


def as_samples(part, count, where) -> np.ndarray:
    """The samples on one side of a split, each once, from an array of indices or a mask of bools."""
    words = f"expected indices of samples, found {describe_value(part)}"
    try:
        array = np.asarray(part)
        return np.unique(np.arange(count)[array if array.size else array.astype(int)])  # [] would be floats
    except Exception as error:
        raise Wrong(where, f"{words} ({error})", f"There are {count} samples, counted from 0.") from error
