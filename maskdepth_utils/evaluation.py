"""Measure a network and the baselines on held-out samples. Notebook 05 explains the figures."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, Subset, default_collate

from .baselines import ConstantDepth, DifferenceThreshold, MeanDepth
from .data.library import load_room
from .data.loading import make_loader
from .data.tensors import to_sample
from .inference.predictor import Predictor
from .metrics import Means, bootstrap_interval, measure
from .models.networks import evaluating, to_mask_depth

BASELINE_SAMPLES = 400  # to fit a baseline: any range of indices is a good mixture
REGIONS = {"object": "on_the_object", "edge": "near_its_outline"}  # last word of a figure's name -> its table
MASK_FIGURES = ("iou", "dice", "boundary_f")
GROUP_FIGURES = ("iou", "boundary_f", "rmse", "rmse_object")
# Groups and their upper bounds: the object's share of the picture, its distance in metres.
SIZES = {"below 2 %": 0.02, "2 to 5 %": 0.05, "5 to 15 %": 0.15, "above 15 %": np.inf}
DISTANCES = {"below 2.5 m": 2.5, "2.5 to 4 m": 4.0, "above 4 m": np.inf}

Figures = dict[str, list[float]]  # {figure: its value for each image}


@torch.no_grad()
def evaluate(predict: Callable, loader: Iterable[dict], per_image: bool = False) -> dict:
    """Average all figures of `measure` over a loader's batches: ``{"images": count, "iou": mean, ...}``.

    Args:
        predict: ``predict(image, background) -> (mask probability, depth in [0, 1])``, either of them None: a baseline
            or ``network_predict(model)``.
        loader: Batches of samples.
        per_image: Return `Figures` instead, each image's values in the loader's order.
    """
    means, images = Means(), 0
    for sample in loader:
        means.add(**measure(sample, *predict(sample["image"], sample["background"])))
        images += len(sample["image"])
    return means.values if per_image else {"images": images} | means.mean()


def network_predict(model: nn.Module, device: torch.device | None = None) -> Callable:
    """Wrap a network as the `predict` of `evaluate`: in evaluation mode, with the sigmoid on its mask logits."""
    device = device or next(model.parameters()).device

    @torch.no_grad()
    def predict(image: Tensor, background: Tensor) -> tuple[Tensor | None, Tensor | None]:
        with evaluating(model):
            logits, depth = to_mask_depth(model(image.to(device), background.to(device)))
        return None if logits is None else logits.float().sigmoid(), depth

    return predict


def compare_with_baselines(
    predictor: Predictor, dataset: Dataset, count: int, tuning: Dataset | None = None, training: Dataset | None = None,
    batch: int = 32, workers: int = 0,
) -> dict[str, Figures]:  # fmt: skip
    """Measure a network, and baselines beside it, on the first `count` samples: {row: figures}.

    `tuning` are validation samples for the difference threshold, `training` training samples for the baselines of
    depth; None omits them. The oracle, the empty room's depth, shows how much of a network's error comes from the room;
    its samples are made without `workers`.
    """

    def batches(samples: Dataset, most: int = BASELINE_SAMPLES) -> DataLoader:
        return make_loader(Subset(samples, range(min(most, len(samples)))), batch, workers=workers)

    def figures(predict: Callable) -> Figures:
        return evaluate(predict, batches(dataset, count), per_image=True)

    count = min(count, len(dataset))
    rows = {predictor.metadata["network"]: figures(network_predict(predictor.model, predictor.device))}
    if tuning is not None:
        rows["difference threshold"] = figures(DifferenceThreshold().fit(batches(tuning)))
    if training is not None:
        rows["one constant depth"] = figures(ConstantDepth().fit(batches(training)))
        rows["mean depth per pixel"] = figures(MeanDepth().fit(batches(training)))
        empty_room = Means()
        for index in range(count):
            shot = dataset.shot(index)
            depth = load_room(shot.about["room"], shot.about.get("view", 0), dataset.data).depth
            if shot.about["flip"]:
                depth = np.ascontiguousarray(depth[:, ::-1])
            shots = shot, shot._replace(depth=depth)
            sample, empty = (default_collate([to_sample(one, dataset.size)]) for one in shots)
            empty_room.add(**measure(sample, None, empty["depth"]))
        rows["empty room's depth (oracle)"] = empty_room.values
    return rows


def means_by_region(rows: dict[str, Figures]) -> dict[str, dict[str, dict[str, float]]]:
    """Average each row: a table for the whole image, one for the object's pixels, one for those near its outline."""
    tables = {}
    for row, figures in rows.items():
        for name, values in figures.items():
            stem, _, region = name.rpartition("_")
            title, figure = (REGIONS[region], stem) if region in REGIONS else ("results", name)
            tables.setdefault(title, {}).setdefault(row, {})[figure] = float(np.nanmean(values))
    return tables


def intervals(figures: Figures, objects: Sequence[str], rooms: Sequence[str]) -> dict[str, dict[str, float]]:
    """95 % intervals of the means, given the name of each image's object and room.

    Mask figures are resampled by object, depth figures by room: each by what affects it most (notebook 05).
    """
    found = {}
    for name, values in figures.items():
        low, high = bootstrap_interval(values, objects if name in MASK_FIGURES else rooms)
        found[name] = {"low": low, "high": high}
    return found


def breakdown(figures: Figures, dataset: Dataset, count: int) -> dict[str, dict]:
    """A network's intervals, and its means by the object's size, distance and kind, over the first `count` samples."""
    shots = [dataset.shot(index) for index in range(count)]
    about = {key: [shot.about[key] for shot in shots] for key in ("object", "room", "kind", "distance")}
    shares = [(shot.mask > 0.5).mean() for shot in shots]
    return {
        "intervals": intervals(figures, about["object"], about["room"]),
        "by_size": means_by_group(figures, SIZES, np.digitize(shares, list(SIZES.values()))),
        "by_distance": means_by_group(figures, DISTANCES, np.digitize(about["distance"], list(DISTANCES.values()))),
        "by_kind": means_by_group(figures, *np.unique(about["kind"], return_inverse=True)),
    }


def means_by_group(figures: Figures, names: Iterable[str], numbers: np.ndarray) -> dict[str, dict]:
    """Average `GROUP_FIGURES` over each group's images, given the groups' names and each image's group number."""
    table = {}
    for number, name in enumerate(names):
        members = numbers == number
        if members.any():
            shown = {key: np.array(figures[key])[members] for key in GROUP_FIGURES if key in figures}
            means = {key: float(np.nanmean(values)) for key, values in shown.items()}
            table[str(name)] = {"images": int(members.sum())} | means
    return table
