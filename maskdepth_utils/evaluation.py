"""`python -m maskdepth_utils evaluate`: a network beside the baselines, on held-out samples. Used in notebook 05."""

import sys

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, Subset

from . import baselines, metrics
from .data.datasets import MaskDepthDataset, SceneDataset
from .data.library import load_room
from .data.loading import make_loader
from .data.offices import SIZE as OFFICE_SIZE
from .data.offices import OfficeDataset
from .data.shots import LEVELS
from .data.tensors import to_sample
from .inference.predictor import load_pretrained
from .metrics import Means, measure
from .models.networks import evaluating

BASELINE_SAMPLES = 400  # for fitting a baseline: each has one number, or one per pixel
# The tables of one evaluation, and how `metrics.measure` marks their figures.
REGIONS = {"results": "", "on_the_object": "_object", "near_its_outline": "_edge"}
SHARES = {"below 2 %": 0.02, "2 to 5 %": 0.05, "5 to 15 %": 0.15, "above 15 %": 2.0}  # of the picture
DISTANCES = {"below 2.5 m": 2.5, "2.5 to 4 m": 4.0, "above 4 m": 100.0}
GROUP_FIGURES = ("iou", "boundary_f", "rmse", "rmse_object")


class WithRoomDepth(Dataset):
    """A dataset's samples with the empty room's own depth ("background_depth"), for the oracle among the
    baselines.
    """

    def __init__(self, dataset):
        self.dataset = dataset

    def __len__(self):
        return len(self.dataset)

    def __getitem__(self, index):
        shot = self.dataset.shot(index)
        depth = load_room(shot.about["room"], shot.about.get("view", 0), data=self.dataset.data).depth
        room = shot._replace(depth=np.ascontiguousarray(depth[:, ::-1]) if shot.about["flip"] else depth)
        sample = to_sample(shot, self.dataset.size)
        return sample | {"background_depth": to_sample(room, self.dataset.size)["depth"]}


def bounds(values, groups) -> dict:
    """The 95 % interval of a mean, whole groups drawn: {"low", "high"}."""
    return dict(zip(("low", "high"), metrics.bootstrap_interval(values, groups)))


def by_region(means: dict) -> dict:
    """{row: figures} as a table each for the whole image, the object's pixels and those within 3 of its outline."""
    tables = {}
    for title, suffix in REGIONS.items():
        tables[title] = {}
        for name, row in means.items():
            figures = {figure.removesuffix(suffix): v for figure, v in row.items() if region_of(figure) == suffix}
            if figures:
                tables[title][name] = figures
    return {title: rows for title, rows in tables.items() if rows}


def region_of(figure: str) -> str:
    """Which of REGIONS' suffixes a figure's name has: "rmse_object" has "_object", "rmse" has "" (the whole image)."""
    return next((suffix for suffix in REGIONS.values() if suffix and figure.endswith(suffix)), "")


def breakdown(figures: dict, dataset, count: int) -> dict:
    """One network's figures per image, as 95 % intervals of their means, and as means by the object's size, distance
    and kind."""
    shots = (dataset.shot(i) for i in range(count))
    about, share = zip(*((shot.about, (shot.mask > 0.5).mean()) for shot in shots))
    distance = np.array([one["distance"] for one in about])
    # A mask is mostly a matter of the object, depth of the room (notebook 05).
    drawn = {name: "object" if name in ("iou", "dice", "boundary_f") else "room" for name in figures}
    intervals = {name: bounds(values, [one[drawn[name]] for one in about]) for name, values in figures.items()}
    groups = {
        "by_size": np.array(list(SHARES))[np.searchsorted(list(SHARES.values()), share, side="right")],
        "by_distance": np.array(list(DISTANCES))[np.searchsorted(list(DISTANCES.values()), distance, side="right")],
        "by_kind": np.array([one["kind"] for one in about]),
    }
    orders = {"by_size": SHARES, "by_distance": DISTANCES}
    tables = {"intervals": intervals}
    for title, labels in groups.items():
        tables[title] = {
            label: {"images": int((labels == label).sum())}
            | {f: float(np.nanmean(figures[f][labels == label])) for f in GROUP_FIGURES if f in figures}
            for label in orders.get(title, sorted(set(labels)))
            if (labels == label).any()
        }
    return tables


def compare(options) -> dict:
    """Mean figures of a network and of the baselines on the same held-out samples."""
    predictor = load_pretrained(options.checkpoint)
    size = options.size or predictor.size
    if size != predictor.size:
        print(f"note: this network was trained at {predictor.size} px, and sees another scale here", file=sys.stderr)
    common = {"size": size, "gap": options.gap, "seed": options.seed}
    if options.offices and (options.scenes or size != OFFICE_SIZE):
        raise ValueError(f"--offices: expected neither --scenes nor another size than {OFFICE_SIZE} px")
    if options.offices:
        dataset = OfficeDataset(options.gap, options.seed)
    elif options.scenes:
        dataset = SceneDataset(**common)
    else:
        dataset = MaskDepthDataset(options.split, rooms=options.rooms, **common)
    count = min(options.count, len(dataset))

    def batches(samples, count, wrap=lambda dataset: dataset):
        # Any stretch of the indices is a good mixture of rooms, objects and places: the first ones will do.
        part = Subset(wrap(samples), range(min(count, len(samples))))
        return make_loader(part, batch=options.batch, workers=options.workers)

    def scores(predict, wrap=lambda dataset: dataset):
        figures = evaluate(predict, batches(dataset, count, wrap), per_image=True)
        return {name: np.array(values) for name, values in figures.items() if name != "images"}

    network = predictor.metadata["network"]
    rows = {network: scores(network_predict(predictor.model, predictor.device))}
    if not options.no_baselines:
        # Scenes have true shadows under any gap: a threshold tuned on composites without would have no chance.
        bare = options.gap in LEVELS and not LEVELS[options.gap].shadow
        gap = "tripod" if options.scenes and bare else options.gap
        tune = batches(MaskDepthDataset("val", **common | {"gap": gap}), BASELINE_SAMPLES)
        rows["difference threshold"] = scores(baselines.DifferenceThreshold().fit(tune))
    if not options.no_baselines and not options.offices:  # nobody has measured the offices' depth
        learn = batches(MaskDepthDataset("train", rooms=options.rooms, **common), BASELINE_SAMPLES)
        rows["one constant depth"] = scores(baselines.ConstantDepth().fit(learn))
        rows["mean depth per pixel"] = scores(baselines.MeanDepth().fit(learn))
        rows["empty room's depth (oracle)"] = scores(baselines.EmptyRoomDepth(), WithRoomDepth)
    means = {name: {figure: float(np.nanmean(v)) for figure, v in row.items()} for name, row in rows.items()}
    about = {
        "samples": "scenes" if options.scenes else "offices" if options.offices else options.split,
        "gap": options.gap,
        "size": size,
        "images": count,
    }
    if options.offices:
        cutouts = [dataset.describe(i)["cutout"] for i in range(count)]
        more = {"intervals": {name: bounds(values, cutouts) for name, values in rows[network].items()}}
    else:
        more = breakdown(rows[network], dataset, count)
    return about | by_region(means) | more


@torch.no_grad()
def evaluate(predict, loader, per_image: bool = False) -> dict:
    """Average all figures of `measure` over a loader of sample dicts.

    predict(image, background) -> (mask probability, depth in [0, 1]), either of them None if it has none: a
    baseline, or `network_predict(model)`. If it needs more of the sample it says so in an attribute:
    `predict.needs = ("background_depth",)` gets that as a keyword. Returns {"images": count, "iou": mean,
    ...}; per_image=True: the figures of every image as lists, in the loader's order, to find the best and the
    worst.
    """
    means, images = Means(), 0
    for sample in loader:
        extra = {}
        for name in getattr(predict, "needs", ()):
            if name not in sample:
                raise KeyError(f"{predict!r} needs {name!r} in each sample, found {sorted(sample)}")
            extra[name] = sample[name]
        mask, depth = predict(sample["image"], sample["background"], **extra)
        means.add(**measure(sample, mask, depth))
        images += len(sample["image"])
    return {"images": images} | (means.values if per_image else means.mean())


def network_predict(model, device=None):
    """A network of ours as a `predict` function for `evaluate`: in eval mode (then put back), sigmoid on the
    mask.

    For bf16, call `evaluate` inside `torch.autocast`.
    """
    device = device or next(model.parameters()).device

    @torch.no_grad()
    def predict(image: Tensor, background: Tensor):
        with evaluating(model):
            output = model(image.to(device), background.to(device))
        logits, depth = (output, None) if isinstance(output, Tensor) else output
        return None if logits is None else logits.float().sigmoid(), depth

    return predict
