"""What the command line's train, evaluate, predict and export do. Each takes parsed options and returns its results."""

import functools
import math
from pathlib import Path

import cv2
import numpy as np
import torch

from .data.datasets import MaskDepthDataset
from .data.storage.arrays import write_arrays
from .data.storage.shards import write_shards
from .data.storage.zips import write_zips
from .files import write_file
from .inference.align import align
from .inference.photos import cut_out, read_picture, resize_array
from .inference.predictor import load_pretrained
from .losses import UncertaintyWeighting
from .models import networks
from .models.weights import load_network, load_weights, read_network, save_pretrained
from .training import checkpoint, parallel
from .training.loop import fit, mask_and_depth_loss

FARTHEST_MM = 65535  # what a 16-bit PNG can say


def set_threads(count: int) -> None:
    """Limit PyTorch and OpenCV to so many CPU threads."""
    torch.set_num_threads(count)
    cv2.setNumThreads(count)


def train(options) -> dict:
    """Train as the options say, going on where the folder's run stopped."""
    torch.manual_seed(options.seed)
    model = new_network(options)
    if options.init:
        load_weights(model, read_network(options.init)[0], options.init, networks.FULL_SIZE)
    weights = {"mask": dict(options.mask_loss or []), "depth": dict(options.depth_loss or [])}
    weights["mask"] |= {"ssim_on": options.mask_ssim_on} if options.mask_ssim_on else {}
    weights = {name: terms for name, terms in weights.items() if terms}
    history = fit(
        model,
        training_samples(options),
        steps=options.steps,
        samples=None if options.steps else options.samples,
        batch=options.batch,
        loss=functools.partial(mask_and_depth_loss, **weights) if weights else mask_and_depth_loss,
        weighting=UncertaintyWeighting() if options.uncertainty else None,
        lr=options.lr,
        lr_factors=None if options.full_size_lr is None else {networks.FULL_SIZE: options.full_size_lr},
        momentum=options.momentum,
        weight_decay=options.weight_decay,
        optimizer=options.optimizer,
        schedule=options.schedule,
        precision=options.precision,
        workers=options.workers,
        seed=options.seed,
        out=options.out,
        resume=not options.restart,
        max_minutes=options.max_minutes,
        save_minutes=options.save_minutes,
        val=(MaskDepthDataset("val", options.size, options.val_gap, options.seed), options.val_every),
        val_samples=options.val_samples,
    )
    step = checkpoint.newest_step(options.out)
    steps = options.steps or -(-options.samples // options.batch)
    result = {"out": options.out, "step": step, "steps": steps, "finished": step >= steps}
    if result["finished"] and options.save_to and parallel.rank_and_world()[0] == 0:
        _, metadata = load_network(options.out)
        save_pretrained(model, options.save_to, size=options.size, training=metadata["training"])
        result["saved_to"] = options.save_to
    return result | {"last": history[-1] if history else {}}


def training_samples(options) -> MaskDepthDataset:
    """The dataset that the options describe."""
    look = {"recolor": options.recolor, "real_light": options.real_light}
    return MaskDepthDataset("train", options.size, options.gap, options.seed, options.rooms, **look)


def new_network(options):
    """The network that the options describe, with its first random (or ImageNet's) weights."""
    if options.network == "MaskNet":
        others = {"--imagenet": options.imagenet, "--no-skips": options.no_skips, "--detail": options.detail,
                  "--stem": options.stem != "7x7", "--tasks": options.tasks != list(networks.TASKS),
                  "--full-size-lr": options.full_size_lr, "--depth-loss": options.depth_loss}  # fmt: skip
        if unfit := [name for name, given in others.items() if given]:
            raise ValueError(f"{', '.join(unfit)}: for MaskDepthNet only, found with --network MaskNet")
        if options.width is not None and options.width % 1:
            raise ValueError(f"--width: expected MaskNet's channels, a whole number; found {options.width:g}")
        return networks.MaskNet(**({} if options.width is None else {"width": int(options.width)}))
    arguments = {} if options.width is None else {"width": options.width}
    arguments |= {"detail": {"on": True, "off": False, "raw": "raw"}[options.detail]} if options.detail else {}
    arguments |= {"stem": options.stem, "tasks": options.tasks, "weights": "DEFAULT" if options.imagenet else None}
    return networks.MaskDepthNet(skips=not options.no_skips, **arguments)


def predict(options) -> dict:
    """Predict one photo's mask and depth, and write them as pictures."""
    from . import plots

    predictor = load_pretrained(options.checkpoint)
    out = Path(options.out)
    if not (out.is_dir() or not out.exists()):
        raise NotADirectoryError(f"--out: {out} cannot be written, it is a file (expected a folder)")
    image, background = read_picture(options.image, "image"), read_picture(options.background, "background")
    result = {"out": str(out), "width": image.shape[1], "height": image.shape[0]}
    if options.align:
        aligned = align(image, background)
        background = aligned.background
        result["aligned"] = aligned.reason
    mask, depth = prediction = predictor.predict(image, background, options.fov, options.eye_height)
    if mask is not None:
        write_png(out / "mask.png", np.rint(mask * 255).astype(np.uint8))
        write_png(out / "cutout.png", cut_out(image, mask))
        result["object_share"] = round(float((mask > 0.5).mean()), 4)
    if depth is not None:
        write_png(out / "depth.png", np.clip(np.rint(depth * 1000), 0, FARTHEST_MM).astype(np.uint16))
        write_png(out / "depth_preview.png", plots.color_depth(depth))
        if (beyond := float((depth * 1000 > FARTHEST_MM).mean())) > 0:
            result["share_beyond_65_m"] = round(beyond, 4)  # depth.png says 65.535 m there
        result["nearest_m"], result["farthest_m"] = (round(float(f(depth)), 2) for f in (np.min, np.max))
        if mask is not None and (mask > 0.5).any():
            result["object_m"] = round(float(np.median(depth[mask > 0.5])), 2)
    size = preview_size(image)
    small = (None if one is None else resize_array(one, *size) for one in (image, background, *prediction))
    image, background, *prediction = small
    write_file(out / "preview.png", plots.to_png(plots.show_prediction(image, background, prediction)))
    others = ("mask.png", "cutout.png") * (mask is None) + ("depth.png", "depth_preview.png") * (depth is None)
    for name in others:  # of another pair of photos: they must not stand beside this one's
        (out / name).unlink(missing_ok=True)
    return result


def preview_size(image: np.ndarray) -> tuple[int, int]:
    """(width, height) of a photo in preview.png, where four stand side by side: at most 800 px."""
    height, width = image.shape[:2]
    scale = min(1.0, 800 / max(height, width))
    return max(1, round(width * scale)), max(1, round(height * scale))


def export(options) -> dict:
    """Write a stretch of a dataset's samples in one of the formats, or a network as an ONNX file."""
    if options.onnx:
        from .inference.onnx import write_onnx

        return write_onnx(load_pretrained(options.checkpoint, device="cpu"), options.onnx)
    if not options.out:
        raise ValueError("export: expected --out DIR for samples, or --onnx FILE for a network; found neither")
    dataset = MaskDepthDataset(options.split, options.size, options.gap, options.seed, options.rooms)
    stop = min(options.start + options.count, len(dataset))
    if not 0 <= options.start < stop:
        raise ValueError(f"--start: expected a sample of 0 to {len(dataset) - 1:,}; found {options.start:,}")
    common = {"folder": options.out, "indices": range(options.start, stop), "overwrite": options.overwrite}
    if options.format == "webdataset":
        result = write_shards(dataset, **common, workers=options.workers, per_shard=options.per_shard)
    elif options.format == "arrays":
        result = write_arrays(dataset, **common)
    else:
        result = write_zips(dataset, **common)
    return result | {"format": options.format, "split": options.split, "first": options.start, "last": stop - 1}


def finite(value):
    """A result as JSON can say it: None for nan and infinity, however deep."""
    if isinstance(value, dict):
        return {name: finite(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def write_png(path: Path, picture: np.ndarray) -> None:
    """Write a gray (8 or 16 bit), RGB or RGBA picture, whole or not at all."""
    if picture.ndim == 3:
        picture = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR if picture.shape[2] == 3 else cv2.COLOR_RGBA2BGRA)
    write_file(path, cv2.imencode(".png", picture)[1].tobytes())


def to_text(result: dict) -> str:
    """Results as lines, and dicts of dicts as tables, for reading in a terminal."""
    lines = []
    for name, value in result.items():
        title = name.replace("_", " ")
        if isinstance(value, dict) and value and all(isinstance(row, dict) for row in value.values()):
            lines += ["", *table(title, value), ""]
        elif isinstance(value, dict):
            lines += [f"{title}: " + ", ".join(f"{key} {number(item)}" for key, item in value.items())]
        else:
            lines += [f"{title}: {number(value)}"]
    return "\n".join(lines).strip("\n")


def table(title: str, rows: dict) -> list[str]:
    """{row: {column: value}} as aligned lines."""
    columns = list(dict.fromkeys(column for row in rows.values() for column in row))
    cells = [[title, *(column.replace("_", " ") for column in columns)]]
    cells += [[name, *(number(row.get(column, "-")) for column in columns)] for name, row in rows.items()]
    widths = [max(len(line[i]) for line in cells) for i in range(len(columns) + 1)]
    return [
        "  ".join(
            cell.rjust(width) if i else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in cells
    ]


def number(value) -> str:
    """Four digits are enough to read."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
