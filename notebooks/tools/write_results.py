"""Measure the shipped networks for the tables in README.md and in their model card, and write these tables.

    python notebooks/tools/write_results.py --measure   # some minutes: stores data/results/evaluation.json and writes
    python notebooks/tools/write_results.py             # writes the tables from the stored figures
"""

import functools
import hashlib
import json
import re
import subprocess

from notebook_files import ROOT, read_json, tool_parser, write_json
from results import CHECKPOINTS, RESULTS, call, timed_report

from maskdepth_utils.data.offices import office_photos
from maskdepth_utils.files import write_file
from maskdepth_utils.tables import format_table

STORED = RESULTS / "evaluation.json"
README, CARD = ROOT / "README.md", CHECKPOINTS / "README.md"
ROWS = {
    "composites, `none`": "--gap none --count 400",
    "composites, `tripod`": "--gap tripod --count 400",
    "composites, `handheld`": "--gap handheld --count 400",
    "composites with lamps, `tripod`": "--light lamps --gap tripod --count 400",
    "scenes in soft light, `none`": "--scenes --gap none",
    "scenes in soft light, `tripod`": "--scenes --gap tripod",
    "scenes in hard light, `none`": "--scenes hard --gap none",
    "scenes in hard light, `tripod`": "--scenes hard --gap tripod",
    "scenes with a mirror floor, `tripod`": "--scenes mirror --gap tripod",
    "real offices, `none`": "--offices --gap none --count 400",
    "real offices, `tripod`": "--offices --gap tripod --count 400",
}
HIDDEN = ("composites with", "scenes in soft light, `none`", "scenes with", "real offices, `none`")  # not in README.md
markdown = functools.partial(format_table, style="github", digits=".3f", missing="")
INTERVALS = ("iou", "boundary_f", "rmse", "rmse_object", "rmse_edge", "abs_rel", "delta1")


def measure(name):
    """Run the evaluations one after the other; return what `STORED` holds of a network."""
    with timed_report(network=checksum(name), runs=[]) as report:
        for row, options in ROWS.items():
            options += "" if name == "maskdepthnet" else f" --checkpoint {name} --no-baselines"
            command = f"evaluate {options} --json"
            found = json.loads(call(command, stdout=subprocess.PIPE))
            print(f"{row}: done", flush=True)
            report["runs"].append({"row": row, "command": f"python -m maskdepth_utils {command}", **found})
    return report


def checksum(name):
    """Return the checksum of a shipped network, shortened."""
    return hashlib.sha256((CHECKPOINTS / f"{name}.safetensors").read_bytes()).hexdigest()[:16]


def results(stored):
    """Write README.md's table, and how it was measured."""
    rows = {}
    for run in stored["runs"]:
        if not run["row"].startswith(HIDDEN):
            figures = run["results"]
            row = {"mask IoU": figures["MaskDepthNet"]["iou"], "threshold": figures["difference threshold"]["iou"]}
            if "rmse" in figures["MaskDepthNet"]:  # the offices have no depth
                row["depth RMSE"] = figures["MaskDepthNet"]["rmse"]
                row["per pixel"] = figures["mean depth per pixel"]["rmse"]
            rows[run["row"]] = row
    where = f"{stored['machine']['device']} ({stored['machine']['processor']}), commit {stored['commit']}"
    return f"""{markdown("tested on", rows)}

Measured in {stored["seconds"] / 60:.0f} min on {where}.
Commands: [data/results/evaluation.json](data/results/evaluation.json)."""


def figures(stored):
    """Write the model card's tables, one section per row of README.md's table."""
    lines = []
    for run in stored["runs"]:
        spans = run["intervals"]
        texts = [f"{name} {spans[name]['low']:.3f} to {spans[name]['high']:.3f}" for name in INTERVALS if name in spans]
        lines += [f"### {run['row']}", f"{run['images']} pictures; `{run['command']}`"]
        tables = [title for title in ("results", "on_the_object", "near_its_outline") if title in run]
        lines += [markdown(title.replace("_", " "), run[title]) for title in tables]
        lines.append(f"95 % intervals: {', '.join(texts)}.")
        if run["row"] == "composites, `tripod`":
            lines += [markdown(f"by {group}", run[f"by_{group}"]) for group in ("size", "distance", "kind")]
    return "\n\n".join(lines)


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
    seed = f"Commands that name no seed use seed 0. The curves: [{file}](../results/{file})."
    return "\n".join([*lines, "", seed])


def between(text, mark, content):
    """Put `content` between <!-- mark --> and <!-- /mark --> in a text."""
    start, end = f"<!-- {mark} -->\n", f"\n<!-- /{mark} -->"
    new, count = re.subn(f"{start}.*{end}", lambda _: start + content + end, text, flags=re.DOTALL)
    if count != 1:
        raise ValueError(f"expected <!-- {mark} --> with <!-- /{mark} --> after it, found no such marks")
    return new


def pages(stored):
    """Return the pages with tables, {path: text}."""
    card = CARD.read_text(encoding="utf8")
    parts = {"figures": figures(stored), "training": training("maskdepthnet"), "masknet": masknet(stored)}
    for mark, content in parts.items():
        card = between(card, mark, content)
    return {README: between(README.read_text(encoding="utf8"), "results", results(stored)), CARD: card}


def main():
    parser = tool_parser(__doc__)
    parser.add_argument("--measure", action="store_true", help="evaluate both networks again")
    args = parser.parse_args()
    if args.measure:
        office_photos()  # where they cannot be had, it fails now
        write_json(STORED, {"masknet": measure("masknet")} | measure("maskdepthnet"))
    for path, text in pages(read_json(STORED)).items():
        write_file(path, text.encode())


if __name__ == "__main__":
    main()
