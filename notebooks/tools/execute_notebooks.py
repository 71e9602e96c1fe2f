"""Run notebooks in the full profile and store them with their outputs, ready to be committed.

    python notebooks/tools/execute_notebooks.py            # those whose code changed since they were executed
    python notebooks/tools/execute_notebooks.py --all      # every one
    python notebooks/tools/execute_notebooks.py 02 05      # these, and their solutions
    python notebooks/tools/execute_notebooks.py --confirm  # after a change of imports and names only

Stored with them, in `metadata.maskdepth.executed`: the day, seconds, peak memory in MB, and the machine. Head, alt
texts and README's times are updated (heads.py). A notebook that fails is left unchanged. With --confirm, a notebook
whose texts and pictures come out the same keeps them, and only its hash becomes that of the new code.
"""

import base64
import datetime
import io
import os
import re

import numpy as np
from heads import finish, write_times
from notebook_checks import problems
from notebook_files import code_cells, find_notebooks, label, read, source_hash, stored_hash, tidy, tool_parser, write
from PIL import Image
from results import machine
from run_notebooks import OUT, interruptible, run

NUMBER = re.compile(r"\d+(?:\.\d+)?(?:e[-+]?\d+)?")
TIMED = re.compile(r"\b(ms|s|seconds?|minutes?|hours?|\w+/s|MB)\b")  # a line with such a unit differs in each run
TOLERANCE = 0.01  # relative, of numbers
MOST_DIFFERENT = 2.0  # of 255, the mean over a picture


def executed(result):
    """Return what is stored about a run, from what `run` returns."""
    about = {"date": datetime.date.today().isoformat(), "seconds": result["seconds"], "peak_mb": result["peak_mb"]}
    about |= machine() | {"cores": os.cpu_count()}
    device = about.pop("device")
    return about if "CPU" in device else about | {"gpu": device}


def same_text(a, b):
    """Return whether two texts have the same words, and numbers that agree except where they are times."""
    if len(a.splitlines()) != len(b.splitlines()):
        return False
    for old, new in zip(a.splitlines(), b.splitlines()):
        if NUMBER.sub("", old).split() != NUMBER.sub("", new).split():
            return False
        numbers = [[float(number) for number in NUMBER.findall(line)] for line in (old, new)]
        if not TIMED.search(old) and not np.allclose(*numbers, rtol=TOLERANCE, atol=0):
            return False
    return True


def same_picture(a, b):
    """Return whether two pictures, as base64, show the same."""
    pictures = [Image.open(io.BytesIO(base64.b64decode(text))).convert("RGB") for text in (a, b)]
    old, new = (np.asarray(picture, dtype=float) for picture in pictures)
    return old.shape == new.shape and np.abs(old - new).mean() < MOST_DIFFERENT


def same_output(a, b):
    """Return whether two outputs show the same. HTML that comes with a text in words is compared by that text."""
    if a.output_type == "stream" or b.output_type == "stream":
        return a.output_type == b.output_type and same_text(a.text, b.text)
    if set(a.data) != set(b.data):
        return False
    described = not a.data.get("text/plain", "<").startswith("<")  # "<IPython...HTML object>" describes nothing
    for kind in set(a.data) - ({"text/html"} if described else set()):
        old, new = (re.sub("<[^>]+>", " ", one.data[kind]) if kind == "text/html" else one.data[kind] for one in (a, b))
        if not (same_picture if kind.startswith("image/") else same_text)(old, new):
            return False
    return True


def confirm(stored, new):
    """Copy the hash and HTML of a new run into a stored notebook; return the numbers of cells that differ, if any."""
    different = []
    for number, (old_cell, new_cell) in enumerate(zip(code_cells(stored), code_cells(new)), 1):
        pairs = list(zip(old_cell.outputs, new_cell.outputs))
        if len(old_cell.outputs) != len(new_cell.outputs) or not all(same_output(*pair) for pair in pairs):
            different.append(number)
            continue
        for old, fresh in pairs:
            if "text/html" in fresh.get("data", {}):
                old.data["text/html"] = fresh.data["text/html"]
    return different


def main():
    parser = tool_parser(__doc__, names=True)
    parser.add_argument("--all", action="store_true", help="include those that are up to date")
    parser.add_argument("--confirm", action="store_true", help="keep stored outputs that come out the same")
    args = parser.parse_args()
    paths = find_notebooks(args.names, solutions=True)
    if not (args.names or args.all):
        paths = [path for path in paths if stored_hash(nb := read(path)) != source_hash(nb)]

    bad = False
    for path in paths:
        print(f"{label(path)} ...", end=" ", flush=True)
        # Run it as a reader would, in its own folder and unchanged: its profile is "full".
        result = run(path, None, OUT / "stored", cwd=path.parent)
        if result["error"]:
            bad = True
            print(f"FAILED, left as it was\n{result['error']}\n")
            continue
        nb = tidy(read(OUT / "stored" / path.name))
        stored = read(path)
        different = confirm(stored, nb) if args.confirm else ["all"]
        if different:
            nb.metadata["maskdepth"]["executed"] = executed(result)
        else:
            nb = tidy(stored)
        write(nb, path)  # even if its head has problems
        write(finish(nb, path), path)
        print(f"{result['seconds']:.0f} s, {result['peak_mb']} MB: {result['headline']}")
        if args.confirm:
            print(f"  different outputs, stored anew: code cells {different}" if different else "  the same outputs")
        for problem in problems(nb):
            bad = True
            print(f"  {problem}")
    write_times()
    return int(bad)


if __name__ == "__main__":
    interruptible(main)
