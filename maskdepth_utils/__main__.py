"""The command line, `python -m maskdepth_utils COMMAND`: the options; the commands are functions in cli.py."""

import argparse
import contextlib
import errno
import math
import os
import platform
import re
import signal
import sys
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any, NoReturn, get_args

import cv2
import torch

from . import __version__, cli
from .course.bench import bench
from .data.datasets import SIZES
from .data.library import SCENES
from .data.light import LIGHTS
from .data.shots import GAPS, LEVELS
from .losses import DEPTH_TERMS, MASK_TERMS
from .models.networks import TASKS
from .tables import format_results, to_json
from .training import parallel
from .training.settings import Settings

CHECKPOINT_HELP = "a file or a run's folder (default: the shipped network)"


class Parser(argparse.ArgumentParser):
    """A parser that reports an error in one line, without the usage before it."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"error: {message.removeprefix('argument ')} (see {self.prog} --help)\n")


def read_number(text: str, kind: type, least: int = 0) -> float:
    """Read an int or a finite float that is not too small."""
    try:
        value = kind(text)
    except ValueError:
        value = math.nan
    if not least <= value < math.inf:
        what = "whole number" if kind is int else "number"
        raise argparse.ArgumentTypeError(f"expected a {what} of at least {least}, found {text or 'nothing'}")
    return value


def read_term(names: dict, text: str) -> tuple[str, float]:
    """Read the weight of a loss term, such as "ssim=1"."""
    name, _, weight = text.partition("=")
    if name not in names:
        raise argparse.ArgumentTypeError(f"expected TERM=WEIGHT with TERM one of {', '.join(names)}; found {text}")
    return name, read_number(weight, float)


def read_text(text: str, output: str = "") -> str:
    """Read a name or path that is not empty; `output` says whether it is a "file" or a "folder" to write."""
    if not text:
        raise argparse.ArgumentTypeError("expected a name or path, found an empty one")
    found = "folder" if Path(text).is_dir() else "file"
    if output not in ("", found) and Path(text).exists():
        raise argparse.ArgumentTypeError(f"expected a {output}, found the {found} {text}")
    return text


READERS = {int: partial(read_number, kind=int), float: partial(read_number, kind=float), str: read_text}
positive = partial(read_number, kind=int, least=1)
folder, file = (partial(read_text, output=output) for output in ("folder", "file"))


def add(group, names: str, help: str, default: Any = None, type: Any = None, **keywords: Any) -> None:
    """Add an option with the type of its default; False makes a flag. The help text ends with the default."""
    if default is False:
        keywords["action"] = "store_true"
    else:
        kind = type or (str if default is None else default.__class__)
        keywords["type"] = READERS.get(kind, kind)
        help += "" if default is None else " (default: %(default)s)"
    group.add_argument(*names.split(), default=default, help=help, **keywords)


def add_sample_options(group, size: int | None, gap: str, split: str | None = None) -> None:
    level_help = "; ".join(f"{name}: {level.help}" for name, level in LEVELS.items())
    add(group, "--size", "width and height in pixels", size, type=int, choices=SIZES)
    add(group, "--gap", f"what differs between photo and background ({level_help})", gap, choices=GAPS)
    add(group, "--light", "sky: soft light; lamps: they cast shadows, too; mixed: some of each", "sky", choices=LIGHTS)
    add(group, "--rooms", "training rooms to use", 100, type=positive)
    if split:
        add(group, "--split", "which rooms and objects", split, choices=("train", "val", "test"))
        add(group, "--seed", "a different seed draws different samples", 0)


def add_train_options(command: Parser) -> None:
    add(command, "--out", "folder of the run; continues a run in it", type=folder, required=True, metavar="DIR")
    add(command, "--restart", "delete the run in --out and start over", False)
    add(command, "--init", "start from this checkpoint, a file or a run's folder", metavar="PATH")
    add(command, "--save-to", "at the end, also write a small file (fp16) for predict", type=file, metavar="FILE")
    samples = command.add_argument_group("samples")
    add_sample_options(samples, size=160, gap="mixed")
    add(samples, "--recolor", "change the colours of room and object in each training sample", False)
    add(samples, "--zoom", "enlarge a random part of most training samples", False)
    add(samples, "--real-light", "add shadows and reflections to training samples, whatever the gap", False)
    add(samples, "--val-gap", "gap of the validation samples", "tripod", choices=GAPS)
    add(samples, "--val-every", "steps between two measurements on validation samples", 500, type=positive)
    network = command.add_argument_group("network", "All options but the first two are for MaskDepthNet only.")
    add(network, "--network", "the network's class", "MaskDepthNet", choices=("MaskDepthNet", "MaskNet"))
    add(network, "--width", "MaskDepthNet: factor on all channels (1); MaskNet: channels (32)", type=float)
    network.add_argument("--tasks", nargs="+", choices=TASKS, default=TASKS, help="its branches (default: both)")
    add(network, "--imagenet", "start the encoder from ImageNet weights (a download)", False)
    add(network, "--no-skips", "leave out the skip connections", False)
    add(network, "--detail", "full-size differences (default: on with skips)", choices=("on", "off", "raw"))
    add(network, "--stem", "the first convolution", "7x7", choices=("7x7", "3x3"))
    add(network, "--full-size-lr", "factor on the full-size layers' learning rate", type=float, metavar="FACTOR")
    loss = command.add_argument_group("loss")
    for name, terms in {"--mask-loss": MASK_TERMS, "--depth-loss": DEPTH_TERMS}.items():
        usual = " ".join(f"{term}={weight:g}" for term, (_, weight) in terms.items())
        help = f"weights of the loss's terms (default: {usual})"
        loss.add_argument(name, nargs="+", type=partial(read_term, terms), default=(), metavar="TERM=WEIGHT", help=help)
    add(loss, "--mask-ssim-on", "logits: the 2020 project's mistake", choices=("probability", "logits"))
    add(loss, "--uncertainty", "learn the weights of the mask and depth losses", False)
    settings = command.add_argument_group("settings")
    for field in fields(Settings):
        name = f"--{field.name.replace('_', '-')}"
        default = {"samples": 100_000, "workers": 1}.get(field.name, field.default)
        kind = next((kind for kind in get_args(field.type) or [field.type] if kind in (int, float, str)), None)
        if kind:  # a dict cannot be given on the command line
            add(settings, name, field.metadata["help"], default, type=kind, choices=field.metadata.get("choices"))


def add_evaluate_options(command: Parser) -> None:
    add(command, "--checkpoint", CHECKPOINT_HELP, metavar="PATH")
    add(
        command, "--scenes", "measure on rendered scenes in this light (soft) instead of composites",
        nargs="?", const="soft", choices=tuple(SCENES),
    )  # fmt: skip
    add(command, "--offices", "measure on the 2020 project's photos instead (masks only; a download)", False)
    add(command, "--count", "how many samples", 1000, type=positive)
    add(command, "--batch", "samples at a time", 32, type=positive)
    add(command, "--workers", "processes that make samples", 0)
    add(command, "--no-baselines", "measure the network alone", False)
    add_sample_options(command, size=None, gap="tripod", split="test")


def add_predict_options(command: Parser) -> None:
    add(command, "image", "the photo", metavar="IMAGE")
    add(command, "background", "the same place without the object", metavar="BACKGROUND")
    add(command, "--checkpoint", CHECKPOINT_HELP, metavar="PATH")
    add(command, "-o --out", "folder for mask, depth, cutout and previews", type=folder, required=True, metavar="DIR")
    add(command, "--align", "first align the background with the photo, in case the camera moved", False)
    add(command, "--fov", "the camera's horizontal field of view in degrees", 60.0)
    add(command, "--eye-height", "the camera's height above the floor in metres", 1.5)


def add_export_options(command: Parser) -> None:
    add(command, "--checkpoint", CHECKPOINT_HELP, metavar="PATH")
    add(command, "-o --out", "folder for the samples", type=folder, metavar="DIR")
    add(command, "--format", "zips, tar shards or .npy arrays", "zip", choices=("zip", "webdataset", "arrays"))
    add(command, "--onnx", "write a network as an ONNX file instead of samples", type=file, metavar="FILE")
    add(command, "--start", "the first sample", 0)
    add(command, "--count", "how many samples", 1000, type=positive)
    add(command, "--overwrite", "replace an earlier export in the folder", False)
    add(command, "--workers", "webdataset: processes that make samples", 0)
    add(command, "--per-shard", "webdataset: samples per tar file", 1000, type=positive)
    add_sample_options(command, size=160, gap="none", split="train")


def add_bench_options(command: Parser) -> None:
    command.add_argument("what", nargs="*", default=(), help="data, formats, step or losses (default: all)")
    add(command, "--seconds", "time for each measurement", 2.0)


COMMANDS = {
    cli.train: add_train_options,
    cli.evaluate: add_evaluate_options,
    cli.predict: add_predict_options,
    cli.export: add_export_options,
    bench: add_bench_options,
}


def make_parser() -> Parser:
    """Make the parser of all commands. The help of a command is its function's docstring."""
    parser = Parser(prog="python -m maskdepth_utils", description="Masks and depth from photos. See COMMAND --help.")
    versions = f"Python {platform.python_version()}, PyTorch {torch.__version__}, {platform.platform()}"
    parser.add_argument("--version", action="version", version=f"maskdepth_utils {__version__}, {versions}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for function, add_options in COMMANDS.items():
        command = commands.add_parser(function.__name__, help=function.__doc__, description=function.__doc__)
        command.set_defaults(function=function)
        add_options(command)
        add(command, "--json", "print the results as JSON and nothing else", False)
        add(command, "--threads", "CPU threads to use (default: all)", type=positive)
        add(command, "--debug", "show where an error comes from", False)
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run a command and print its results; return the exit code: 2 after an error, 130 after an interruption."""
    options = make_parser().parse_args(arguments)
    try:
        if options.threads:
            threads = min(options.threads, os.cpu_count() or 1)  # thousands cannot be started
            torch.set_num_threads(threads)
            cv2.setNumThreads(threads)
        with contextlib.redirect_stdout(sys.stderr if options.json else sys.stdout):  # only JSON there
            result = options.function(options)
        if parallel.is_first():
            show(to_json(result) if options.json else format_results(result))
    except KeyboardInterrupt:
        print("\nInterrupted.", file=sys.stderr)
        return 130
    except (ValueError, TypeError, KeyError, OSError, RuntimeError, ArithmeticError, MemoryError, cv2.error) as error:
        if options.debug:
            raise
        message = name_options(" ".join(str(error).split()), options)
        print("error:", message or type(error).__name__, file=sys.stderr)
        return 2
    return 0


def show(text: str) -> None:
    """Print results. A reader who has seen enough, as in `... | head -1`, is not an error."""
    try:
        print(text, flush=True)
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # where Python can write what is left
        if error.errno not in (errno.EPIPE, errno.EINVAL):  # what Windows says of a closed pipe
            raise


def name_options(message: str, options: argparse.Namespace) -> str:
    """Name options where a message names Python's arguments: ``fov: expected ...`` becomes ``--fov: expected ...``."""
    for python, option in {"out=": "--out", "resume=False": "--restart", "overwrite=True": "--overwrite"}.items():
        message = re.sub(rf"(?<![\w/]){python}", option, message)
    name = message.partition(":")[0]
    is_option = name in vars(options) and name not in ("image", "background")
    return f"--{name.replace('_', '-')}{message[len(name) :]}" if is_option else message


if __name__ == "__main__":
    for output in filter(None, (sys.stdout, sys.stderr)):
        output.reconfigure(errors="backslashreplace")  # a file's name may have letters that the terminal lacks
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # removes unfinished files
    sys.exit(main())
