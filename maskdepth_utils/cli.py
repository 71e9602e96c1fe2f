"""The commands of the command line: what each does with its options, and the results it returns."""

import functools
import sys
from argparse import Namespace
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

from . import plots
from .data import offices
from .data.datasets import MaskDepthDataset, SceneDataset
from .data.shots import LEVELS
from .data.storage.arrays import write_arrays
from .data.storage.shards import write_shards
from .data.storage.zips import write_zips
from .evaluation import breakdown, compare_with_baselines, intervals, means_by_region
from .files import check_output, replacing, write_file
from .inference.align import align
from .inference.onnx import write_onnx
from .inference.photos import cut_out, read_picture, shrink_array
from .inference.predictor import Prediction, load_pretrained
from .losses import UncertaintyWeighting
from .models.networks import FULL_SIZE, TASKS, MaskDepthNet, MaskNet
from .models.weights import load_weights, newest_step, read_network, save_pretrained
from .training import parallel
from .training.loop import fit, mask_and_depth_loss
from .training.settings import Settings

FARTHEST_MM = 65535  # the largest value of a 16-bit PNG
PREVIEW_SIDE = 800  # pixels of the longer side of each picture in preview.png
PICTURES = ("mask.png", "cutout.png", "depth.png", "depth_preview.png", "preview.png")


def train(options: Namespace) -> dict:
    """Train a network on composites made as they are needed. Ctrl-C stops and saves; the same command resumes."""
    if options.save_to:
        check_output(Path(options.save_to), inputs=[options.init])
    if options.init and options.restart:
        init, out = Path(options.init).resolve(), Path(options.out).resolve()
        if out in (init, init.parent) and init.suffix != ".safetensors":
            raise ValueError("--init: expected a run other than the one in --out, which --restart deletes")
    if options.steps is not None:
        options.samples = None  # its default would conflict with --steps
    factors = None if options.full_size_lr is None else {FULL_SIZE: options.full_size_lr}
    given = {field.name: getattr(options, field.name) for field in fields(Settings) if field.name in options}
    settings = Settings(lr_factors=factors, **given)
    loss = make_loss(options)
    samples = training_samples(options)
    torch.manual_seed(settings.seed)
    model = new_network(options)
    if options.init:
        load_weights(model, read_network(options.init)[0], options.init)
    validation = MaskDepthDataset("val", options.size, options.val_gap, settings.seed, light=options.light)
    history = fit(
        model, samples, settings, loss=loss,
        weighting=UncertaintyWeighting() if options.uncertainty else None,
        out=options.out, resume=not options.restart, val=(validation, options.val_every),
    )  # fmt: skip
    step = newest_step(options.out)
    result = {"out": options.out, "step": step, "steps": settings.total_steps, "finished": step >= settings.total_steps}
    if result["finished"] and options.save_to and parallel.is_first():
        with replacing(Path(options.save_to), overwrite=True) as [part]:
            save_pretrained(model, part, size=options.size, training=read_network(options.out)[1]["training"])
        result["saved_to"] = options.save_to
    return result | {"last": history[-1] if history else {}}


def training_samples(options: Namespace) -> MaskDepthDataset:
    """Make the dataset that the options describe."""
    common = (options.size, options.gap, options.seed, options.rooms)
    return MaskDepthDataset("train", *common, options.recolor, options.real_light, options.light, zoom=options.zoom)


def new_network(options: Namespace) -> nn.Module:
    """Make the network that the options describe, with random weights or ImageNet's."""
    if options.network == "MaskNet":
        usual = {"tasks": TASKS, "imagenet": False, "no_skips": False, "detail": None, "stem": "7x7"}
        usual |= {"full_size_lr": None, "depth_loss": ()}
        changed = [f"--{name.replace('_', '-')}" for name in usual if getattr(options, name) != usual[name]]
        if changed:
            raise ValueError(f"{', '.join(changed)}: for MaskDepthNet only, found with --network MaskNet")
        if options.width is not None and options.width % 1:
            raise ValueError(f"--width: expected MaskNet's channels, a whole number; found {options.width:g}")
        return MaskNet() if options.width is None else MaskNet(int(options.width))
    width = 1.0 if options.width is None else options.width
    if options.imagenet and width != 1:
        raise ValueError(f"--imagenet: for --width 1 only, found {width:g}")
    weights = "DEFAULT" if options.imagenet else None
    detail = {"on": True, "off": False}.get(options.detail, options.detail)
    return MaskDepthNet(not options.no_skips, options.stem, weights, options.tasks, width, detail)


def make_loss(options: Namespace) -> Callable:
    """Make the loss that the options describe; they give its weights as pairs of name and number."""
    weights = {}
    for task in TASKS:
        pairs = getattr(options, f"{task}_loss")
        chosen = dict(pairs)
        if len(chosen) < len(pairs):
            raise ValueError(f"--{task}-loss: expected each term once, found one twice")
        if task == "mask" and options.mask_ssim_on:
            chosen["ssim_on"] = options.mask_ssim_on
        if chosen:
            weights[task] = chosen
    return functools.partial(mask_and_depth_loss, **weights) if weights else mask_and_depth_loss


def evaluate(options: Namespace) -> dict:
    """Measure a network and the baselines on unseen rooms and objects; by default at the size it was trained at."""
    predictor = load_pretrained(options.checkpoint)
    size = options.size or predictor.size
    if size != predictor.size:
        print(f"note: this network was trained at {predictor.size} px; it sees a different scale here", file=sys.stderr)
    if options.offices and (options.scenes or size != offices.SIZE):
        raise ValueError(f"--offices: expected neither --scenes nor a size other than {offices.SIZE} px")
    if options.offices:
        name, dataset = "offices", offices.OfficeDataset(options.gap, options.seed)
    elif options.scenes:
        name, dataset = "scenes", SceneDataset(size, options.gap, options.seed, options.scenes)
    else:
        common = size, options.gap, options.seed, options.rooms
        name, dataset = options.split, MaskDepthDataset(options.split, *common, light=options.light)
    tuning = training = None
    if not options.no_baselines:
        # Scenes have shadows at every gap: a threshold tuned on composites without shadows would fail on them.
        no_shadow = options.gap in LEVELS and not LEVELS[options.gap].shadow
        gap = "tripod" if options.scenes and no_shadow else options.gap
        light = "lamps" if options.scenes == "hard" else options.light
        tuning = MaskDepthDataset("val", size, gap, options.seed, light=light)
        if not options.offices:  # their depth is unknown
            training = MaskDepthDataset("train", size, options.gap, options.seed, options.rooms)
    count = min(options.count, len(dataset))
    rows = compare_with_baselines(predictor, dataset, count, tuning, training, options.batch, options.workers)
    figures = rows[predictor.metadata["network"]]
    if options.offices:
        cutouts = [dataset.describe(index)["cutout"] for index in range(count)]
        details = {"intervals": intervals(figures, objects=cutouts, rooms=cutouts)}
    else:
        details = breakdown(figures, dataset, count)
    return {"samples": name, "gap": options.gap, "size": size, "images": count} | means_by_region(rows) | details


def predict(options: Namespace) -> dict:
    """Predict the mask and depth of your own photo, given one of the same place without the object."""
    paths = [Path(options.out) / name for name in PICTURES]
    check_output(*paths, inputs=[options.image, options.background])
    predictor = load_pretrained(options.checkpoint)
    image, background = read_picture(options.image, "image"), read_picture(options.background, "background")
    result = {"out": options.out, "width": image.shape[1], "height": image.shape[0]}
    if options.align:
        aligned = align(image, background)
        background = aligned.background
        result["aligned"] = aligned.reason
    prediction = predictor.predict(image, background, options.fov, options.eye_height)
    if prediction.warning:
        print(f"warning: {prediction.warning}", file=sys.stderr)
    mask, depth = prediction
    pictures = {}
    if mask is not None:
        pictures["mask.png"] = np.uint8(np.rint(mask * 255))
        pictures["cutout.png"] = cut_out(image, mask)
        result["object_share"] = round(float((mask > 0.5).mean()), 4)
    if depth is not None:
        pictures["depth.png"] = np.uint16(np.clip(np.rint(depth * 1000), 0, FARTHEST_MM))  # millimetres
        pictures["depth_preview.png"] = plots.color_depth(depth)
        if (too_far := float((depth * 1000 > FARTHEST_MM).mean())) > 0:
            result["share_beyond_65_m"] = round(too_far, 4)  # depth.png says 65.535 m there
        result["nearest_m"] = round(float(depth.min()), 2)
        result["farthest_m"] = round(float(depth.max()), 2)
        if mask is not None and (mask > 0.5).any():
            result["object_m"] = round(float(np.median(depth[mask > 0.5])), 2)
    shown = [None if one is None else shrink_array(one, PREVIEW_SIDE) for one in (image, background, mask, depth)]
    preview = plots.to_png(plots.show_prediction(*shown[:2], Prediction(*shown[2:])))
    write_file(paths[-1], preview, overwrite=True)
    for path in paths[:-1]:
        if path.name in pictures:
            with replacing(path, overwrite=True) as [part]:
                Image.fromarray(pictures[path.name]).save(part, "PNG", compress_level=1)
        else:
            path.unlink(missing_ok=True)  # of another pair
    return result


def export(options: Namespace) -> dict:
    """Write samples for other programs, or a network as ONNX."""
    if options.onnx:
        check_output(Path(options.onnx), inputs=[options.checkpoint])
        predictor = load_pretrained(options.checkpoint, device="cpu")
        with replacing(Path(options.onnx), overwrite=True) as [part]:
            return write_onnx(predictor, part) | {"saved_to": options.onnx}
    if not options.out:
        raise ValueError("export: expected --out DIR for samples, or --onnx FILE for a network; found neither")
    common = options.size, options.gap, options.seed, options.rooms
    dataset = MaskDepthDataset(options.split, *common, light=options.light)
    indices = range(len(dataset))[options.start : options.start + options.count]
    if not indices:
        raise ValueError(f"--start: expected a sample from 0 to {len(dataset) - 1:,}; found {options.start:,}")
    if len(indices) < options.count:
        print(f"note: {options.split} ends with sample {indices[-1]:,}: only {len(indices):,} samples", file=sys.stderr)
    write = {"zip": write_zips, "arrays": write_arrays, "webdataset": write_shards}[options.format]
    shards = {"per_shard": options.per_shard, "workers": options.workers} if options.format == "webdataset" else {}
    result = write(dataset, options.out, indices, overwrite=options.overwrite, **shards)
    return result | {"format": options.format, "split": options.split, "first": indices[0], "last": indices[-1]}
