"""Measure the shipped networks for the tables in README.md and in their model card, and write these tables.

    python notebooks/tools/write_results.py --measure   # some minutes: stores data/results/evaluation.json and writes
    python notebooks/tools/write_results.py             # writes the tables from the stored figures
    python notebooks/tools/write_results.py --check     # exit 1 if the tables or the figures are out of date
"""

import hashlib
import sys
import time

from notebook_files import ROOT, read_json, tool_parser, write_json
from results import CHECKPOINTS, RESULTS, commit, evaluate_by_command, machine

from maskdepth_utils.data.offices import office_photos
from maskdepth_utils.files import AssetError, write_file
from maskdepth_utils.tables import format_table

STORED = RESULTS / "evaluation.json"
CARD = CHECKPOINTS / "README.md"
ROWS = {
    "composites, `none`": "--gap none --count 400",
    "composites, `tripod`": "--gap tripod --count 400",
    "composites, `handheld`": "--gap handheld --count 400",
    "scenes in real light, `none`": "--scenes --gap none",
    "scenes in real light, `tripod`": "--scenes --gap tripod",
    "real offices, `none`": "--offices --gap none --count 400",
    "real offices, `tripod`": "--offices --gap tripod --count 400",
}
INTERVALS = ("iou", "boundary_f", "rmse", "rmse_object", "rmse_edge", "abs_rel", "delta1")


def measure(name):
    """Run the evaluations one after the other; return what `STORED` holds of a network."""
    runs = []
    for row, options in ROWS.items():
        options += "" if name == "maskdepthnet" else f" --checkpoint {name} --no-baselines"
        print(f"{row} ...", end=" ", flush=True)
        if "--offices" in options:
            try:
                office_photos(progress=False)
            except AssetError:
                print("left out: the 2020 project's photos are not available")
                continue
        start = time.monotonic()
        found = evaluate_by_command(options)
        seconds = round(time.monotonic() - start, 1)
        print(f"{seconds:.0f} s", flush=True)
        command = f"python -m maskdepth_utils evaluate {options} --json"
        runs.append({"row": row, "command": command, "seconds": seconds, **found})
    return {"commit": commit(), "machine": machine(), "network": checksum(name), "runs": runs}


def checksum(name):
    """Return the checksum of a shipped network, shortened."""
    return hashlib.sha256((CHECKPOINTS / f"{name}.safetensors").read_bytes()).hexdigest()[:16]


def markdown(title, rows):
    """Write rows of figures as a Markdown table."""
    return format_table(title, rows, "github", digits=".3f", missing="")


def results(stored):
    """Write README.md's table, and what the reader must know to read it."""
    rows = {}
    for run in stored["runs"]:
        figures = run["results"]
        network = figures["MaskDepthNet"]
        columns = {
            "mask IoU": f"**{network['iou']:.3f}**", "threshold": figures["difference threshold"].get("iou"),
            "depth RMSE": f"**{network['rmse']:.3f}**" if "rmse" in network else None,  # the offices have no depth
            "constant": figures.get("one constant depth", {}).get("rmse"),
            "per pixel": figures.get("mean depth per pixel", {}).get("rmse"),
            "AbsRel": network.get("abs_rel"), "delta < 1.25": network.get("delta1"),
        }  # fmt: skip
        rows[run["row"]] = {column: figure for column, figure in columns.items() if figure is not None}
    rows["the 2020 project, on its own data"] = {
        "mask IoU": "0.2 (of 0.5)", "depth RMSE": "0.18", "constant": "about 0.04"
    }  # fmt: skip
    counts = sorted({run["images"] for run in stored["runs"]}, reverse=True)
    minutes = sum(run["seconds"] for run in stored["runs"]) / 60
    where = f"{stored['machine']['device']} ({stored['machine']['processor']}), commit {stored['commit']}"
    return f"""{markdown("tested on", rows)}

Rooms and objects that the network never saw, {" or ".join(map(str, counts))} pictures per row, 160 px. IoU: higher is
better; RMSE (on a scale from 0 to 1, which is 0 to 10 m): lower is better. The photo and its background differ by the
object alone, in scenes with its shadow (`none`); also by light, noise and a contact shadow (`tripod`); or also by a
small motion of the camera (`handheld`). Beside the network stand baselines that cost nothing: a threshold on the
difference of the two pictures, one constant depth, and the training rooms' mean depth at each pixel. The 2020 figures
are an overlap that cannot exceed 0.5, and a depth error that one constant gray would have beaten. The offices are
photos of the 2020 project with its cutouts pasted in; their depth has not been measured.

Measured in {minutes:.0f} min on {where}.
Commands and all figures: [data/results/evaluation.json](data/results/evaluation.json); notebook 05 explains them."""


def figures(stored):
    """Write the model card's tables, one section per row of README.md's table."""
    lines = []
    for run in stored["runs"]:
        spans = run["intervals"]
        texts = [f"{name} {spans[name]['low']:.3f} to {spans[name]['high']:.3f}" for name in INTERVALS if name in spans]
        lines += [f"### {run['row']}", f"{run['images']} pictures; `{run['command']}`"]
        lines += tables(run, "results", "on_the_object", "near_its_outline")
        lines.append(f"95 % intervals: {', '.join(texts)}.")
        if run["row"] == "composites, `tripod`":
            lines += tables(run, "by_size", "by_distance", "by_kind")
    return "\n\n".join(lines)


def tables(run, *titles):
    """Write those of the named tables that a run has."""
    return [markdown(title.replace("_", " "), run[title]) for title in titles if title in run]


def masknet(stored):
    """Write the model card's section on the small network: its training, and its masks beside the threshold's."""
    thresholds = {run["row"]: run["results"]["difference threshold"] for run in stored["runs"]}
    rows = {
        run["row"]: run["results"]["MaskNet"] | {"iou of the threshold": thresholds[run["row"]]["iou"]}
        for run in stored["masknet"]["runs"]
    }
    return f"{training('masknet')}\n\n{markdown('tested on', rows)}"


def training(name):
    """Write a line per stage of a network's training, from its report."""
    file = f"training_{name}.json"
    report = read_json(RESULTS / file)
    machine = f"{report['machine']['device']} ({report['machine']['processor']}"
    lines = []
    for stage in report["stages"]:
        curves = stage["curves"]
        depth = f" and depth RMSE {curves['val_rmse'][-1]:.3f}" if "val_rmse" in curves else ""
        lines.append(
            f"- `{stage['command']}`: {stage['samples']:,} samples in {stage['training_hours']:.1f} hours on "
            f"{machine}, {stage['machine']['precision']}); "
            f"begun at commit {stage['commit']}; at its end IoU {curves['val_iou'][-1]:.3f}{depth} on its validation "
            "samples"
        )
    lines += ["", f"Seed 0 where a command names no other. The curves: [{file}](../results/{file})."]
    return "\n".join(lines)


def between(text, mark, content):
    """Put `content` between <!-- mark --> and <!-- /mark --> in a text."""
    start, end = f"<!-- {mark} -->", f"<!-- /{mark} -->"
    before, found, rest = text.partition(start)
    _, found_end, after = rest.partition(end)
    if not (found and found_end):
        raise ValueError(f"expected {start} with {end} after it, found no such marks")
    return f"{before}{start}\n{content}\n{end}{after}"


def pages(stored):
    """Return the pages with tables, {path: text}."""
    readme = ROOT / "README.md"
    card = CARD.read_text(encoding="utf8")
    parts = {"figures": figures(stored), "training": training("maskdepthnet"), "masknet": masknet(stored)}
    for mark, content in parts.items():
        card = between(card, mark, content)
    return {readme: between(readme.read_text(encoding="utf8"), "results", results(stored)), CARD: card}


def out_of_date():
    """List, in sentences, what is out of date."""
    stored = read_json(STORED)
    found = []
    for name, measured in (("maskdepthnet", stored), ("masknet", stored["masknet"])):
        if measured["network"] != checksum(name):
            found.append(f"evaluation.json was measured with another {name}: run write_results.py --measure")
    for path, text in pages(stored).items():
        if text != path.read_text(encoding="utf8"):
            found.append(f"{path.relative_to(ROOT)}'s tables are not those of evaluation.json: run write_results.py")
    return found


def main():
    parser = tool_parser(__doc__)
    parser.add_argument("--measure", action="store_true", help="evaluate both networks again")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if something is out of date")
    args = parser.parse_args()
    if args.check:
        problems = out_of_date()
        print("\n".join(problems) or "up to date")
        return int(bool(problems))
    if args.measure:
        write_json(STORED, {"masknet": measure("masknet")} | measure("maskdepthnet"))
    for path, text in pages(read_json(STORED)).items():
        write_file(path, text.encode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
