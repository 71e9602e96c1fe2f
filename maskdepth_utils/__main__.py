"""The command line, `python -m maskdepth_utils COMMAND`: a parser made from the functions and dataclasses of cli.py."""

import argparse
import contextlib
import inspect
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import MISSING, fields
from typing import NoReturn, get_args

import cv2
import torch

from . import cli
from .options import positive
from .tables import format_results
from .training import parallel

KEYWORDS = ("help", "choices", "metavar", "nargs", "type")


class Parser(argparse.ArgumentParser):
    """A parser that reports an error in one line, without the usage before it."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"error: {message} (see {self.prog} --help)\n")


def make_parser() -> Parser:
    """Make the parser: a command for each function of `cli.COMMANDS`, a group of options for each of its parameters."""
    parser = Parser(
        prog="python -m maskdepth_utils",
        description="Predict an object's mask and a photo's depth from the photo and its empty background.",
        epilog="Each command has its own --help. An error is reported in one line, with exit code 2.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for function in cli.COMMANDS:
        text = inspect.getdoc(function)
        command = commands.add_parser(function.__name__, help=text, description=text)
        command.set_defaults(function=function)
        for title, parameter in inspect.signature(function).parameters.items():
            add_options(command.add_argument_group(title), parameter.annotation, parameter.default)
        command.add_argument("--json", action="store_true", help="print the results as JSON and nothing else")
        command.add_argument("--threads", type=positive, help="CPU threads to use (default: all)")
        command.add_argument("--debug", action="store_true", help="show where an error comes from")
    return parser


def add_options(group, options: type, defaults: object) -> None:
    """Add an option for each field of a dataclass, unless no text can give it (a dict, say).

    The defaults are those of the instance `defaults`, if it is one. A field's metadata may hold keywords of
    ``add_argument``, and `positional` or `short`, other names of the option.
    """
    for field in fields(options):
        keywords = {name: field.metadata[name] for name in KEYWORDS if name in field.metadata}
        types = [kind for kind in get_args(field.type) or [field.type] if kind in (int, float, str)]  # of `int | None`
        if field.type is bool:
            keywords["action"] = "store_true"
        elif types:
            keywords.setdefault("type", types[0])
        else:
            continue
        default = getattr(defaults, field.name, field.default)
        if default is not MISSING:
            keywords["default"] = default
        if default not in (MISSING, None, ()) and field.type is not bool:
            keywords["help"] += f" (default: {' '.join(default) if isinstance(default, tuple) else default})"
        if field.metadata.get("positional"):
            group.add_argument(field.name, **keywords)
        else:
            names = *field.metadata.get("short", ()), f"--{field.name.replace('_', '-')}"
            group.add_argument(*names, required=default is MISSING, **keywords)


def run(function: Callable[..., dict], options: dict) -> dict:
    """Call a command with its dataclasses, made of the parsed options."""
    if options.get("steps") is not None:
        options["samples"] = None  # train: its default must not stand beside --steps
    values = {name: tuple(value) if isinstance(value, list) else value for name, value in options.items()}
    arguments = {}
    for name, parameter in inspect.signature(function).parameters.items():
        names = [field.name for field in fields(parameter.annotation) if field.name in values]
        arguments[name] = parameter.annotation(**{name: values[name] for name in names})
    return function(**arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and print its results.

    Returns:
        The exit code: 0, 2 after an error in the input, 130 after an interruption.
    """
    options = make_parser().parse_args(arguments)
    if options.threads:
        torch.set_num_threads(options.threads)
        cv2.setNumThreads(options.threads)
    try:
        # With --json the standard output is for the result alone.
        with contextlib.redirect_stdout(sys.stderr) if options.json else contextlib.nullcontext():
            result = run(options.function, vars(options))
        if parallel.is_first():
            print(to_json(result) if options.json else format_results(result))
    except KeyboardInterrupt:
        print("\nInterrupted.", file=sys.stderr)
        return 130
    except (ValueError, TypeError, KeyError, OSError, RuntimeError, ArithmeticError) as error:
        if options.debug:
            raise
        print("error:", " ".join(str(error).split()) or type(error).__name__, file=sys.stderr)
        return 2
    return 0


def to_json(result: dict) -> str:
    """Write a result as JSON, with null for nan and infinity, which JSON does not have."""
    return json.dumps(json.loads(json.dumps(result), parse_constant=lambda name: None), indent=1)


if __name__ == "__main__":
    sys.exit(main())
