"""The options of the command line: `__main__` makes one of each field of these dataclasses."""

import argparse
from dataclasses import MISSING, dataclass

from .data.datasets import SIZES
from .data.shots import GAPS, LEVELS
from .losses import DEPTH_TERMS, MASK_TERMS
from .models.networks import TASKS
from .training.settings import setting

LEVEL_HELP = "; ".join(f"{name}: {level.help}" for name, level in LEVELS.items())
options = dataclass(frozen=True, kw_only=True)


def positive(text: str) -> int:
    """Read a whole number above 0."""
    if not text.isdigit() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"expected a whole number above 0, found {text}")
    return int(text)


def weights_of(terms: dict) -> tuple[str, ...]:
    """Option for the weights of a loss's terms."""
    usual = " ".join(f"{name}={weight:g}" for name, (_, weight) in terms.items())
    return setting((), f"weights of the loss's terms (default: {usual})", nargs="+", metavar="TERM=WEIGHT")


@options
class RunOptions:
    out: str = setting(MISSING, "folder for checkpoints and TensorBoard; a run in it goes on", metavar="DIR")
    restart: bool = setting(False, "delete the run in --out and start over")
    init: str | None = setting(None, "start from this checkpoint, a file or a run's folder", metavar="PATH")
    save_to: str | None = setting(None, "at the end, also write a small file (fp16) for predict", metavar="FILE")


@options
class SampleOptions:
    size: int | None = setting(160, "width and height in pixels", choices=SIZES)
    gap: str = setting("mixed", f"what differs between photo and background ({LEVEL_HELP})", choices=GAPS)
    rooms: int = setting(100, "training rooms to use", type=positive)


@options
class TrainSamples(SampleOptions):
    recolor: bool = setting(False, "change the colours of room and object in each training sample")
    real_light: bool = setting(False, "add shadows and reflections to training samples under every gap")
    val_gap: str = setting("tripod", "gap of the validation samples", choices=GAPS)
    val_every: int = setting(500, "steps between two measurements on validation samples", type=positive)


@options
class SplitSamples(SampleOptions):
    split: str = setting("train", "whose rooms and objects", choices=("train", "val", "test"))
    seed: int = setting(0, "another seed draws other samples")


@options
class NetworkOptions:
    """Which network; all options but the first two are for MaskDepthNet only."""
    network: str = setting("MaskDepthNet", "the network's class", choices=("MaskDepthNet", "MaskNet"))
    width: float | None = setting(None, "MaskDepthNet: factor on all channels (1); MaskNet: channels (32)")
    tasks: tuple[str, ...] = setting(TASKS, "MaskDepthNet's branches", nargs="+", choices=TASKS)
    imagenet: bool = setting(False, "start MaskDepthNet's encoder from ImageNet weights (a download)")
    no_skips: bool = setting(False, "leave out MaskDepthNet's skip connections")
    detail: str | None = setting(None, "full-size differences (default: on with skips)", choices=("on", "off", "raw"))
    stem: str = setting("7x7", "MaskDepthNet's first convolution", choices=("7x7", "3x3"))
    full_size_lr: float | None = setting(None, "factor on the full-size layers' learning rate", metavar="FACTOR")


@options
class LossOptions:
    mask_loss: tuple[str, ...] = weights_of(MASK_TERMS)
    depth_loss: tuple[str, ...] = weights_of(DEPTH_TERMS)
    mask_ssim_on: str | None = setting(None, "logits: the 2020 project's mistake", choices=("probability", "logits"))
    uncertainty: bool = setting(False, "learn how the losses of mask and depth are weighted")


@options
class CheckpointOptions:
    checkpoint: str | None = setting(None, "a file or a run's folder (default: the shipped network)", metavar="PATH")


@options
class EvaluateOptions(CheckpointOptions):
    scenes: bool = setting(False, "measure on the rendered scenes, in real light, instead of composites")
    offices: bool = setting(False, "measure on the 2020 project's photos instead (masks only; a download)")
    count: int = setting(1000, "how many samples", type=positive)
    batch: int = setting(32, "samples at a time", type=positive)
    workers: int = setting(0, "processes that make samples")
    no_baselines: bool = setting(False, "measure the network alone")


@options
class PhotoOptions(CheckpointOptions):
    image: str = setting(MISSING, "the photo", positional=True, metavar="IMAGE")
    background: str = setting(MISSING, "the same place without the object", positional=True, metavar="BACKGROUND")
    out: str = setting(MISSING, "folder for the pictures: mask, depth, cutout, previews", short=("-o",), metavar="DIR")
    align: bool = setting(False, "first lay the background over the photo, in case the camera has moved")
    fov: float = setting(60.0, "the camera's horizontal field of view in degrees")
    eye_height: float = setting(1.5, "the camera's height above the floor in metres")


@options
class ExportOptions(CheckpointOptions):
    out: str | None = setting(None, "folder for the samples", short=("-o",), metavar="DIR")
    format: str = setting("zip", "zips as in 2020, tar shards or .npy arrays", choices=("zip", "webdataset", "arrays"))
    onnx: str | None = setting(None, "write a network as an ONNX file instead of samples", metavar="FILE")
    start: int = setting(0, "first sample")
    count: int = setting(1000, "how many samples", type=positive)
    overwrite: bool = setting(False, "replace an earlier export in the folder")
    workers: int = setting(0, "webdataset: processes that make samples")
    per_shard: int = setting(1000, "webdataset: samples per tar file", type=positive)


@options
class BenchOptions:
    what: tuple[str, ...] = setting((), "data, formats, step or losses (default: all)", positional=True, nargs="*")
    seconds: float = setting(2.0, "time for each measurement")
