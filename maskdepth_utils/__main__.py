"""The command line: `python -m maskdepth_utils train | evaluate | predict | export | bench`, each with --help."""

import argparse
import contextlib
import json
import sys

GAPS = ("none", "tripod", "handheld", "mixed")
TASKS = ["mask", "depth"]
GAP_HELP = "what differs between photo and background: none, tripod (light, noise, shadow), handheld (also shift)"


class Formatter(argparse.HelpFormatter):
    """Adds each default to the help, where there is one to tell."""

    def _get_help_string(self, action):
        telling = action.option_strings and action.default not in (None, False, argparse.SUPPRESS)
        return f"{action.help} (default: %(default)s)" if telling else action.help


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, without the usage before it."""

    def error(self, message):
        self.exit(2, f"error: {message} (see {self.prog} --help)\n")


def positive(text: str) -> int:
    """argparse type: a whole number above 0."""
    if not text.isdigit() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"expected a whole number above 0, found {text}")
    return int(text)


def weight_of(*terms: str):
    """An argparse type: name=number, the name one of `terms`."""

    def weight(text: str) -> tuple[str, float]:
        name, _, value = text.partition("=")
        try:
            number = float(value)
        except ValueError:
            raise argparse.ArgumentTypeError(f"expected TERM=WEIGHT, such as ssim=1; found {text}") from None
        if name not in terms:
            raise argparse.ArgumentTypeError(f"expected one of {', '.join(terms)}; found {name}")
        return name, number

    return weight


def make_parser() -> Parser:
    """All commands and their options."""
    parser = Parser(
        prog="python -m maskdepth_utils",
        description="Predict an object's mask and a photo's depth, from the photo and its empty background.",
        epilog="Every command has its own --help. An error is one line and exit code 2.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, add_options, text in (
        ("train", add_train_options, "Train a network on composites made as they are needed. "
         "Ctrl-C stops and saves; the same command goes on."),
        ("evaluate", add_evaluate_options, "Measure a network on unseen rooms and objects."),
        ("predict", add_predict_options, "Predict mask and depth of your own photo, given one of the "
         "same place without the object."),
        ("export", add_export_options, "Write samples for other programs, or a network as ONNX."),
        ("bench", add_bench_options, "Measure speed here (samples, formats, steps, losses) beside a stored run."),
    ):  # fmt: skip
        command = commands.add_parser(name, help=text, description=text, formatter_class=Formatter)
        add_options(command.add_argument, command.add_argument_group)
        command.add_argument("--json", action="store_true", help="print the results as JSON, and nothing else")
        command.add_argument("--threads", type=positive, help="CPU threads to use (all, if not given)")
        command.add_argument("--debug", action="store_true", help="on an error, show where it came from")
    return parser


def add_sample_options(add, gap: str, split: str | None = None, size: int | None = 160) -> None:
    """Which samples: what several commands ask. size None: the network's own."""
    if split:
        add("--split", choices=("train", "val", "test"), default=split, help="whose rooms and objects")
    own = "" if size else " (the network's own, if not given)"
    add("--size", type=int, choices=(80, 160), default=size, help=f"width and height, pixels{own}")
    add("--gap", choices=GAPS, default=gap, help=GAP_HELP)
    add("--rooms", type=positive, default=100, help="training rooms to use")
    add("--seed", type=int, default=0, help="another seed draws other samples")


def add_train_options(add, group) -> None:
    add = group("where it goes, and how long").add_argument
    add(
        "--out",
        required=True,
        metavar="DIR",
        help="folder for checkpoints and TensorBoard; a run in it goes on",
    )
    add("--restart", action="store_true", help="delete the run in --out and start over")
    add("--samples", type=positive, default=100_000, help="how many samples to train on")
    add("--steps", type=positive, help="instead of --samples: how many steps of --batch samples")
    add("--max-minutes", type=float, metavar="M", help="stop after so long, save, and say how to go on")
    add("--save-minutes", type=float, metavar="M", default=5.0, help="save a checkpoint so often (0: after each step)")
    add("--save-to", metavar="FILE", help="when finished, also write a small file for `predict` (fp16)")
    add = group("samples").add_argument
    add_sample_options(add, gap="mixed")
    add("--recolor", action="store_true", help="other colours for room and object in each training sample")
    add("--real-light", action="store_true", help="shadows and reflections under every gap in training samples")
    add("--workers", type=int, default=1, help="processes that make samples beside the training")
    add("--val-gap", choices=GAPS, default="tripod", help="gap of the held-out samples")
    add("--val-every", type=positive, default=500, help="steps between measurements on held-out samples")
    add("--val-samples", type=positive, default=256, help="how many of them")
    add = group("network").add_argument
    add("--network", choices=("MaskDepthNet", "MaskNet"), default="MaskDepthNet", help="which one")
    add("--tasks", nargs="+", choices=TASKS, default=TASKS, help="MaskDepthNet's branches")
    add("--init", metavar="PATH", help="start from this checkpoint, a file or a run's folder (of 80 px, say)")
    add("--imagenet", action="store_true", help="start the encoder from ImageNet weights (a download)")
    add("--no-skips", action="store_true", help="MaskDepthNet without skip connections")
    add("--detail", choices=("on", "off", "raw"), help="MaskDepthNet: what differs, at full size (on, if with skips)")
    add("--stem", choices=("7x7", "3x3"), default="7x7", help="MaskDepthNet's first convolution")
    add("--width", type=float, help="MaskDepthNet: factor on all channels (1); MaskNet: channels (32)")
    add = group("optimisation").add_argument
    add("--batch", type=positive, default=32, help="samples in a step")
    add("--lr", type=float, default=0.01, help="learning rate")
    add("--full-size-lr", type=float, metavar="FACTOR", help="MaskDepthNet: its full-size layers learn so much faster")
    add("--schedule", choices=("constant", "one-cycle"), default="constant", help="learning rate over time")
    add("--optimizer", choices=("sgd", "adamw"), default="sgd", help="which one")
    add("--momentum", type=float, default=0.0, help="for sgd; the 2020 write-up names none, 0.9 is usual")
    add("--weight-decay", type=float, default=0.0, help="how strongly weights are drawn towards 0")
    for name, terms, usual in (
        ("--mask-loss", ("bce", "ssim", "dice", "cut"), "1 1 0 0"),
        ("--depth-loss", ("l1", "edge", "ssim", "log"), "1 1 1 0"),
    ):
        words = f"weights of {', '.join(terms)} ({usual})"
        add(name, nargs="+", type=weight_of(*terms), metavar="TERM=WEIGHT", help=words)
    add("--mask-ssim-on", choices=("probability", "logits"), help="logits: the 2020 project's mistake")
    add("--uncertainty", action="store_true", help="learn how mask and depth loss are weighted")
    add(
        "--precision",
        choices=("auto", "bf16", "fp16", "float32"),
        default="auto",
        help="auto: what the chip can",
    )


def add_evaluate_options(add, group) -> None:
    add("--checkpoint", metavar="PATH", help="a file or a run's folder (the shipped network, if not given)")
    add_sample_options(add, gap="tripod", split="test", size=None)
    add("--scenes", action="store_true", help="instead of composites: the rendered scenes, in real light")
    add("--offices", action="store_true", help="instead: the 2020 project's photos (masks only; a download)")
    add("--count", type=positive, default=1000, help="how many samples")
    add("--batch", type=positive, default=32, help="samples at a time")
    add("--workers", type=int, default=0, help="processes that make samples")
    add("--no-baselines", action="store_true", help="the network alone")


def add_predict_options(add, group) -> None:
    add("image", metavar="IMAGE", help="the photo")
    add(
        "background",
        metavar="BACKGROUND",
        help="the same place without the object; a picture of the same size",
    )
    add(
        "-o",
        "--out",
        metavar="DIR",
        required=True,
        help="for mask.png, cutout.png (the object alone), "
        "depth.png (16 bit, mm), depth_preview.png and preview.png (all of it)",
    )
    add("--align", action="store_true", help="first lay the background over the photo, if the camera has moved")
    add("--fov", type=float, default=60.0, help="the camera's horizontal field of view, degrees")
    add("--eye-height", type=float, default=1.5, help="the camera's height above the floor, metres")
    add("--checkpoint", metavar="PATH", help="a file or a run's folder (the shipped network, if not given)")


def add_export_options(add, group) -> None:
    add("-o", "--out", metavar="DIR", help="folder for the samples")
    add("--format", choices=("zip", "webdataset", "arrays"), default="zip", help="zips as in 2020, tar shards, .npy")
    add("--onnx", metavar="FILE", help="instead of samples: write a network as an ONNX file, for other runtimes")
    add("--checkpoint", metavar="PATH", help="with --onnx: which network (the shipped one, if not given)")
    add_sample_options(add, gap="none", split="train")
    add("--start", type=int, default=0, help="first sample")
    add("--count", type=positive, default=1000, help="how many samples")
    add("--overwrite", action="store_true", help="replace an earlier export in the folder")
    add("--workers", type=positive, default=1, help="webdataset: processes that write shards beside each other")
    add("--per-shard", type=positive, default=1000, help="webdataset: samples in a tar file")


def add_bench_options(add, group) -> None:
    add("what", nargs="*", metavar="data | formats | step | losses", help="only these; all take ten minutes or more")
    add("--seconds", type=float, default=2.0, help="time for each measurement")


def main(arguments=None) -> int:
    """Run a command; returns the exit code: 0, 2 after an error in the input, 130 after an interruption."""
    options = make_parser().parse_args(arguments)
    try:
        from . import cli, evaluation
        from .course import bench
        from .training import parallel  # here: they load PyTorch, and --help should come at once

        if options.threads:
            cli.set_threads(options.threads)
        # With --json the standard output is for the result alone.
        with contextlib.redirect_stdout(sys.stderr) if options.json else contextlib.nullcontext():
            module = {"bench": bench, "evaluate": evaluation}.get(options.command, cli)
            name = {"evaluate": "compare"}.get(options.command, options.command)
            result = getattr(module, name)(options)
        if parallel.rank_and_world()[0] == 0:
            # nan and infinity are no JSON: a figure that could not be computed is null
            print(json.dumps(cli.finite(result), indent=1) if options.json else cli.to_text(result))
    except KeyboardInterrupt:
        print("\nInterrupted.", file=sys.stderr)
        return 130
    except (ValueError, TypeError, KeyError, OSError, RuntimeError, ArithmeticError) as error:
        if options.debug:
            raise
        text = " ".join(str(error).split()) or type(error).__name__
        print(f"error: {text}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
