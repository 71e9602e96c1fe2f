"""The commands of the command line: what each does with its options, and the results it returns."""

import functools
import sys
from collections.abc import Callable, Collection
from dataclasses import fields, replace
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import nn

from . import options, plots
from .course import bench as benchmarks
from .data.datasets import MaskDepthDataset, SceneDataset
from .data.offices import SIZE as OFFICE_SIZE
from .data.offices import OfficeDataset
from .data.shots import LEVELS
from .data.storage.arrays import write_arrays
from .data.storage.shards import write_shards
from .data.storage.zips import write_zips
from .evaluation import breakdown, compare_with_baselines, intervals, means_by_region
from .files import write_file
from .inference.align import align
from .inference.onnx import write_onnx
from .inference.photos import cut_out, read_picture, resize_array
from .inference.predictor import Prediction, load_pretrained
from .losses import DEPTH_TERMS, MASK_TERMS, UncertaintyWeighting
from .models.networks import FULL_SIZE, MaskDepthNet, MaskNet
from .models.weights import load_network, load_weights, newest_step, read_network, save_pretrained
from .training import parallel
from .training.loop import fit, mask_and_depth_loss
from .training.settings import Settings

TRAIN_SETTINGS = Settings(samples=100_000, workers=1)
TEST_SAMPLES = options.SplitSamples(split="test", size=None, gap="tripod")
EXPORT_SAMPLES = options.SplitSamples(gap="none")
FARTHEST_MM = 65535  # the largest value of a 16-bit PNG
PREVIEW_SIDE = 800  # pixels of the longer side of each picture in preview.png


def train(
    run: options.RunOptions, samples: options.TrainSamples, network: options.NetworkOptions, loss: options.LossOptions,
    settings: Settings = TRAIN_SETTINGS,
) -> dict:  # fmt: skip
    """Train a network on composites made as they are needed. Ctrl-C stops and saves; the same command goes on."""
    torch.manual_seed(settings.seed)
    model = new_network(network)
    criterion = make_loss(loss)
    if run.init:
        load_weights(model, read_network(run.init)[0], run.init)
    if network.full_size_lr is not None:
        settings = replace(settings, lr_factors={FULL_SIZE: network.full_size_lr})
    validation = MaskDepthDataset("val", samples.size, samples.val_gap, settings.seed)
    history = fit(
        model, training_samples(samples, settings.seed), settings, loss=criterion,
        weighting=UncertaintyWeighting() if loss.uncertainty else None,
        out=run.out, resume=not run.restart, val=(validation, samples.val_every),
    )  # fmt: skip
    step = newest_step(run.out)
    result = {"out": run.out, "step": step, "steps": settings.total_steps, "finished": step >= settings.total_steps}
    if result["finished"] and run.save_to and parallel.is_first():
        _, metadata = load_network(run.out)
        save_pretrained(model, run.save_to, size=samples.size, training=metadata["training"])
        result["saved_to"] = run.save_to
    return result | {"last": history[-1] if history else {}}


def training_samples(samples: options.TrainSamples, seed: int) -> MaskDepthDataset:
    """Make the dataset that the options describe."""
    look = {"recolor": samples.recolor, "real_light": samples.real_light}
    return MaskDepthDataset("train", samples.size, samples.gap, seed, samples.rooms, **look)


def new_network(network: options.NetworkOptions) -> nn.Module:
    """Make the network that the options describe, with random weights or ImageNet's."""
    if network.network == "MaskNet":
        usual = options.NetworkOptions(network="MaskNet", width=network.width)
        unfit = [field.name for field in fields(usual) if getattr(network, field.name) != getattr(usual, field.name)]
        if unfit:
            names = ", ".join(f"--{name.replace('_', '-')}" for name in unfit)
            raise ValueError(f"{names}: for MaskDepthNet only, found with --network MaskNet")
        width = 32 if network.width is None else network.width
        if width % 1:
            raise ValueError(f"--width: expected MaskNet's channels, a whole number; found {width:g}")
        return MaskNet(width=int(width))
    weights = "DEFAULT" if network.imagenet else None
    width = 1.0 if network.width is None else network.width
    detail = {"on": True, "off": False}.get(network.detail, network.detail)
    return MaskDepthNet(not network.no_skips, network.stem, weights, network.tasks, width, detail)


def make_loss(loss: options.LossOptions) -> Callable:
    """Make the loss that the options describe."""
    mask = read_weights("--mask-loss", loss.mask_loss, MASK_TERMS)
    depth = read_weights("--depth-loss", loss.depth_loss, DEPTH_TERMS)
    if loss.mask_ssim_on:
        mask["ssim_on"] = loss.mask_ssim_on
    weights = {task: terms for task, terms in (("mask", mask), ("depth", depth)) if terms}
    return functools.partial(mask_and_depth_loss, **weights) if weights else mask_and_depth_loss


def read_weights(option: str, pairs: Collection[str], terms: Collection[str]) -> dict:
    """Read ("bce=1", "ssim=0") as {"bce": 1.0, "ssim": 0.0}."""
    weights = {}
    for pair in pairs:
        name, _, value = pair.partition("=")
        try:
            weights[name] = float(value)
        except ValueError:
            raise ValueError(f"{option}: expected TERM=WEIGHT, such as ssim=1; found {pair}") from None
        if name not in terms:
            raise ValueError(f"{option}: expected one of {', '.join(terms)}; found {name}")
    return weights


def evaluate(evaluation: options.EvaluateOptions, samples: options.SplitSamples = TEST_SAMPLES) -> dict:
    """Measure a network, beside baselines, on unseen rooms and objects; by default at the size it was trained at."""
    predictor = load_pretrained(evaluation.checkpoint)
    size = samples.size or predictor.size
    if size != predictor.size:
        print(f"note: this network was trained at {predictor.size} px; it sees another scale here", file=sys.stderr)
    if evaluation.offices and (evaluation.scenes or size != OFFICE_SIZE):
        raise ValueError(f"--offices: expected neither --scenes nor another size than {OFFICE_SIZE} px")
    if evaluation.offices:
        name, dataset = "offices", OfficeDataset(samples.gap, samples.seed)
    elif evaluation.scenes:
        name, dataset = "scenes", SceneDataset(size, samples.gap, samples.seed)
    else:
        name, dataset = samples.split, MaskDepthDataset(samples.split, size, samples.gap, samples.seed, samples.rooms)
    tuning = training = None
    if not evaluation.no_baselines:
        # Scenes have shadows under every gap: a threshold tuned on composites without shadows would have no chance.
        no_shadow = samples.gap in LEVELS and not LEVELS[samples.gap].shadow
        gap = "tripod" if evaluation.scenes and no_shadow else samples.gap
        tuning = MaskDepthDataset("val", size, gap, samples.seed)
        if not evaluation.offices:  # their depth is unknown
            training = MaskDepthDataset("train", size, samples.gap, samples.seed, samples.rooms)
    count = min(evaluation.count, len(dataset))
    rows = compare_with_baselines(predictor, dataset, count, tuning, training, evaluation.batch, evaluation.workers)
    figures = rows[predictor.metadata["network"]]
    if evaluation.offices:
        cutouts = [dataset.describe(index)["cutout"] for index in range(count)]
        details = {"intervals": intervals(figures, objects=cutouts, rooms=cutouts)}
    else:
        details = breakdown(figures, dataset, count)
    facts = {"samples": name, "gap": samples.gap, "size": size, "images": count}
    return facts | means_by_region(rows) | details


def predict(photos: options.PhotoOptions) -> dict:
    """Predict mask and depth of your own photo, given one of the same place without the object."""
    out = Path(photos.out)
    if out.exists() and not out.is_dir():
        raise NotADirectoryError(f"--out: {out} cannot be written, it is a file (expected a folder)")
    predictor = load_pretrained(photos.checkpoint)
    image, background = read_picture(photos.image, "image"), read_picture(photos.background, "background")
    result = {"out": str(out), "width": image.shape[1], "height": image.shape[0]}
    if photos.align:
        aligned = align(image, background)
        background = aligned.background
        result["aligned"] = aligned.reason
    mask, depth = predictor.predict(image, background, photos.fov, photos.eye_height)
    pictures = {"mask.png": None, "cutout.png": None, "depth.png": None, "depth_preview.png": None}
    if mask is not None:
        pictures["mask.png"] = np.uint8(np.rint(mask * 255))
        pictures["cutout.png"] = cut_out(image, mask)
        result["object_share"] = round(float((mask > 0.5).mean()), 4)
    if depth is not None:
        pictures["depth.png"] = np.uint16(np.clip(np.rint(depth * 1000), 0, FARTHEST_MM))
        pictures["depth_preview.png"] = plots.color_depth(depth)
        if (depth * 1000 > FARTHEST_MM).any():  # where depth.png has 65.535 m
            result["share_beyond_65_m"] = round(float((depth * 1000 > FARTHEST_MM).mean()), 4)
        result["nearest_m"] = round(float(depth.min()), 2)
        result["farthest_m"] = round(float(depth.max()), 2)
        if mask is not None and (mask > 0.5).any():
            result["object_m"] = round(float(np.median(depth[mask > 0.5])), 2)
    scale = min(1.0, PREVIEW_SIDE / max(image.shape[:2]))
    size = [max(1, round(side * scale)) for side in (image.shape[1], image.shape[0])]
    image, background, mask, depth = (
        None if picture is None else resize_array(picture, *size) for picture in (image, background, mask, depth)
    )
    preview = plots.show_prediction(image, background, Prediction(mask, depth))
    for name, picture in pictures.items():
        if picture is not None:
            write_png(out / name, picture)
    write_file(out / "preview.png", plots.to_png(preview))
    for name, picture in pictures.items():
        if picture is None:  # another pair's picture must not stand beside this pair's
            (out / name).unlink(missing_ok=True)
    return result


def write_png(path: Path, picture: np.ndarray) -> None:
    """Write a gray (8 or 16 bit), RGB or RGBA picture."""
    if picture.ndim == 3:
        picture = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR if picture.shape[2] == 3 else cv2.COLOR_RGBA2BGRA)
    write_file(path, cv2.imencode(".png", picture)[1].tobytes())


def export(export: options.ExportOptions, samples: options.SplitSamples = EXPORT_SAMPLES) -> dict:
    """Write samples for other programs, or a network as ONNX."""
    if export.onnx:
        return write_onnx(load_pretrained(export.checkpoint, device="cpu"), export.onnx)
    if not export.out:
        raise ValueError("export: expected --out DIR for samples, or --onnx FILE for a network; found neither")
    dataset = MaskDepthDataset(samples.split, samples.size, samples.gap, samples.seed, samples.rooms)
    stop = min(export.start + export.count, len(dataset))
    if not 0 <= export.start < stop:
        raise ValueError(f"--start: expected a sample of 0 to {len(dataset) - 1:,}; found {export.start:,}")
    write = {"zip": write_zips, "arrays": write_arrays, "webdataset": write_shards}[export.format]
    shards = {"per_shard": export.per_shard, "workers": export.workers} if export.format == "webdataset" else {}
    result = write(dataset, export.out, range(export.start, stop), overwrite=export.overwrite, **shards)
    return result | {"format": export.format, "split": samples.split, "first": export.start, "last": stop - 1}


def bench(parts: options.BenchOptions) -> dict:
    """Measure the speed of samples, formats, training steps and losses here, beside a stored run."""
    return benchmarks.bench(parts)


COMMANDS = (train, evaluate, predict, export, bench)
