"""Measure the shipped network for the tables in README.md and in its model card, and write these tables.

    python notebooks/tools/write_results.py --measure   # some minutes: stores data/results/evaluation.json and writes
    python notebooks/tools/write_results.py --measure masknet   # of this network only
    python notebooks/tools/write_results.py             # writes the tables from the stored figures
    python notebooks/tools/write_results.py --check     # exit 1 if the table or the figures are out of date

The figures are those of `python -m maskdepth_utils evaluate --json`, one run a row. Stored with them: the command, its
seconds, the machine, the commit, and which network it was.
"""

import argparse
import hashlib
import json
import os
import platform
import shlex
import subprocess
import sys
import time
from pathlib import Path

import torch
from notebook_files import NOTEBOOKS

from maskdepth_utils.data.offices import office_photos
from maskdepth_utils.files import AssetError, write_file

ROOT = NOTEBOOKS.parent
STORED = ROOT / "data" / "results" / "evaluation.json"
CHECKPOINTS = ROOT / "data" / "checkpoints"
CARD = CHECKPOINTS / "README.md"
COUNT = 400
ROWS = {
    "composites, `none`": f"--gap none --count {COUNT}",
    "composites, `tripod`": f"--gap tripod --count {COUNT}",
    "composites, `handheld`": f"--gap handheld --count {COUNT}",
    "scenes in real light, `none`": "--scenes --gap none",
    "scenes in real light, `tripod`": "--scenes --gap tripod",
    "real offices, `none`": f"--offices --gap none --count {COUNT}",
    "real offices, `tripod`": f"--offices --gap tripod --count {COUNT}",
}
BASELINES = ("difference threshold", "one constant depth", "mean depth per pixel")


def measure(name="maskdepthnet", rows=ROWS, count=None):
    """Run the evaluations one after the other; returns what `STORED` holds of a network. count: fewer pictures."""
    runs = []
    for row, options in rows.items():
        options += f" --count {count}" if count else ""
        options += "" if name == "maskdepthnet" else f" --checkpoint {name} --no-baselines"
        print(f"{row} ...", end=" ", flush=True)
        if "--offices" in options and not offices_at_hand():
            print("left out: the 2020 project's photos are not at hand")
            continue
        start = time.monotonic()
        command = [sys.executable, "-m", "maskdepth_utils", "evaluate", *shlex.split(options), "--json"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"evaluate {options}: {done.stderr.strip()}")
        seconds = round(time.monotonic() - start, 1)
        print(f"{seconds:.0f} s", flush=True)
        command = f"python -m maskdepth_utils evaluate {options} --json"
        runs.append({"row": row, "command": command, "seconds": seconds, **json.loads(done.stdout)})
    return {"commit": commit(), "machine": machine(), "network": checksum(name), "runs": runs}


def offices_at_hand():
    """Whether the 2020 project's photos can be had."""
    try:
        return bool(office_photos(progress=False))
    except AssetError:
        return False


def commit():
    """The commit that was measured, "+changes" if files differed from it (those of this very step left out)."""
    git = ["git", "-C", str(ROOT)]
    head = subprocess.run([*git, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True)
    if head.returncode:
        return "none"
    others = [":!README.md", ":!data/results", ":!data/checkpoints/README.md"]
    changes = subprocess.run([*git, "status", "--porcelain", "--", ".", *others], capture_output=True, text=True)
    return head.stdout.strip() + ("+changes" if changes.stdout.strip() else "")


def machine():
    """The processor's name, its cores, and the versions that decide speed and last digits."""
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        lines = cpuinfo.read_text(encoding="utf8").splitlines()
        name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), name)
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else f"{os.cpu_count()} CPU cores"
    return {"processor": name, "device": device, "python": platform.python_version(), "torch": torch.__version__}


def checksum(name="maskdepthnet"):
    return hashlib.sha256((CHECKPOINTS / f"{name}.safetensors").read_bytes()).hexdigest()[:16]


def table(stored):
    """README.md's table, in Markdown."""
    lines = [
        "| tested on | mask IoU | threshold | depth RMSE | constant | per pixel | AbsRel | delta < 1.25 |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for run in stored["runs"]:
        figures = dict(run["results"])
        threshold, constant, per_pixel = (figures.pop(name, {}) for name in BASELINES)
        network = next(iter(figures.values()))
        cells = [
            bold(network, "iou"), number(threshold, "iou"), bold(network, "rmse"), number(constant, "rmse"),
            number(per_pixel, "rmse"), number(network, "abs_rel"), number(network, "delta1"),
        ]  # fmt: skip
        lines.append(f"| {run['row']} | {' | '.join(cells)} |")
    lines.append("| the 2020 project, on its own data | 0.2 (of 0.5) | | 0.18 | about 0.04 | | | |")
    counts = sorted({run["images"] for run in stored["runs"]}, reverse=True)
    where, seconds = stored["machine"], sum(run["seconds"] for run in stored["runs"])
    return "\n".join([*lines, "", *explanation(counts, where, seconds, stored["commit"])])


def number(figures, name):
    """A figure as the tables print it; nothing where there is none: nobody has measured the offices' depth."""
    return f"{figures[name]:.3f}" if name in figures else ""


def bold(figures, name):
    return f"**{figures[name]:.3f}**" if name in figures else ""


def explanation(counts, where, seconds, commit):
    """What the reader must know to read the table, and where it comes from."""
    return [
        f"Rooms and objects that the network never saw, {' or '.join(map(str, counts))} pictures a row, 160 px. "
        "IoU: higher is better; RMSE (scale 0 to 1, which is 0 to 10 m): lower. Between photo and background "
        "nothing differs but the object (`none`), or light, noise and a shadow do too (`tripod`), or the camera has "
        "moved a little as well (`handheld`). Beside the network stands what costs nothing: a threshold on the "
        "difference of the two pictures; one constant depth; the training rooms' mean depth at each pixel. The 2020 "
        "figures: an overlap that ends at 0.5, and a depth error that one gray would have beaten. The offices are its "
        "photos, with its cutouts pasted into them; nobody has measured their depth.",
        "",
        f"Measured in {seconds / 60:.0f} min on {where['device']} ({where['processor']}), commit {commit}. "
        "Commands and all figures: [data/results/evaluation.json](data/results/evaluation.json); what stands "
        "behind them: notebook 05.",
    ]


def between(text, mark, content):
    """`text` with `content` between <!-- mark --> and <!-- /mark -->."""
    start, end = f"<!-- {mark} -->", f"<!-- /{mark} -->"
    before, found, rest = text.partition(start)
    _, found_end, after = rest.partition(end)
    if not (found and found_end):
        raise ValueError(f"expected {start} with {end} after it, found no such marks")
    return f"{before}{start}\n{content}\n{end}{after}"


def pages(stored):
    """{path: text} of the pages with tables."""
    texts = {path: path.read_text(encoding="utf8") for path in (ROOT / "README.md", CARD)}
    texts[ROOT / "README.md"] = between(texts[ROOT / "README.md"], "results", table(stored))
    texts[CARD] = between(between(texts[CARD], "figures", figures(stored)), "training", training("maskdepthnet"))
    texts[CARD] = between(texts[CARD], "masknet", masknet(stored))
    return texts


def masknet(stored):
    """The model card's section on the small network: its training, and its masks beside the threshold's."""
    thresholds = {run["row"]: run["results"]["difference threshold"] for run in stored["runs"]}
    rows = {run["row"]: dict(run["results"]["MaskNet"]) for run in stored["masknet"]["runs"]}
    for row, figures in rows.items():
        figures["iou of the threshold"] = thresholds[row]["iou"]
    return "\n".join([training("masknet"), "", *markdown("tested on", rows)])


def training(name):
    """What the report of a network's training says, in a sentence a stage."""
    path = STORED.with_name(f"training_{name}.json")
    report, lines = json.loads(path.read_text(encoding="utf8")), []
    for stage in report["stages"]:
        curves = stage["curves"]
        lines.append(
            f"- `{stage['command']}`: {stage['samples']:,} samples in {stage['training_hours']:.1f} hours on "
            f"{report['machine']['device']} ({report['machine']['processor']}, {stage['machine']['precision']}); "
            f"begun at commit {stage['commit']}; at its end IoU {curves['val_iou'][-1]:.3f}"
            + (f" and depth RMSE {curves['val_rmse'][-1]:.3f}" if "val_rmse" in curves else "")
            + " on its validation samples"
        )
    return "\n".join(
        [
            *lines,
            "",
            "Seed 0 where a command names no other. The curves: "
            f"[{path.name}](../results/{path.name}).",
        ]
    )


def figures(stored):
    """The model card's tables: every figure beside its baselines, one section a row of README.md's table."""
    lines = []
    for run in stored["runs"]:
        lines += [f"### {run['row']}", "", f"{run['images']} pictures; `{run['command']}`", ""]
        for title in [title for title in ("results", "on_the_object", "near_its_outline") if title in run]:
            lines += [*markdown(title.replace("_", " "), run[title]), ""]
        spans = {name: f"{span['low']:.3f} to {span['high']:.3f}" for name, span in run["intervals"].items()}
        kept = ("iou", "boundary_f", "rmse", "rmse_object", "rmse_edge", "abs_rel", "delta1")
        lines += ["95 % intervals: " + ", ".join(f"{name} {spans[name]}" for name in kept if name in spans) + ".", ""]
        if run["row"] == "composites, `tripod`":
            for title in ("by_size", "by_distance", "by_kind"):
                lines += [*markdown(title.replace("_", " "), run[title]), ""]
    return "\n".join(lines).rstrip()


def markdown(title, rows):
    """{row: {column: number}} as lines of a table."""
    columns = list(dict.fromkeys(column for row in rows.values() for column in row))
    lines = [f"| {title} | " + " | ".join(columns) + " |", "| --- |" + " --- |" * len(columns)]
    for name, row in rows.items():
        cells = [row.get(column) for column in columns]
        texts = ["" if x is None else str(x) if isinstance(x, int) else f"{x:.3f}" for x in cells]
        lines.append(f"| {name} | " + " | ".join(texts) + " |")
    return lines


def read_stored():
    if not STORED.is_file():
        raise FileNotFoundError(f"{STORED.relative_to(ROOT)} is missing: run write_results.py --measure")
    return json.loads(STORED.read_text(encoding="utf8"))


def out_of_date():
    """Sentences about what is; an empty list if nothing."""
    stored, found = read_stored(), []
    for name, measured in (("maskdepthnet", stored), ("masknet", stored["masknet"])):
        if measured["network"] != checksum(name):
            found.append(f"evaluation.json was measured with another {name}: run write_results.py --measure")
    for path, text in pages(stored).items():
        if text != path.read_text(encoding="utf8"):
            found.append(f"{path.relative_to(ROOT)}'s tables are not those of evaluation.json: run write_results.py")
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = ("all", "maskdepthnet", "masknet")
    parser.add_argument("--measure", nargs="?", const="all", choices=names, help="evaluate anew (all, or one network)")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if something is out of date")
    args = parser.parse_args()
    if args.check:
        problems = out_of_date()
        print("\n".join(problems) or "up to date")
        return int(bool(problems))
    if args.measure:
        stored = read_stored() if STORED.is_file() else {}
        if args.measure != "masknet":
            stored = {"masknet": stored.get("masknet")} | measure()
        if args.measure != "maskdepthnet":
            stored["masknet"] = measure("masknet")
        write_file(STORED, (json.dumps(stored, indent=1) + "\n").encode())
    for path, text in pages(read_stored()).items():
        write_file(path, text.encode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
