"""Measure how much IoU each part of the gap costs the shipped network: data/results/gap_parts.json, for notebook 07.

    python notebooks/tools/measure_exercises.py    # some minutes

Exercise C asks for the order of the parts, and accepts either order of two that are not told apart: their difference
is less than three times its standard error over whole rooms.
"""

import itertools

import numpy as np
from notebook_files import tool_parser, write_json
from results import RESULTS, timed_report
from write_results import checksum

from maskdepth_utils.course import widgets
from maskdepth_utils.course.checks import nb07
from maskdepth_utils.data import MaskDepthDataset, library
from maskdepth_utils.metrics import bootstrap_interval

STORED = RESULTS / "gap_parts.json"
SCENES = 160  # test samples


def setup_of(dataset, index, **changes):
    """The setup of a test sample, with changes."""
    about = dataset.describe(index)
    yaw = library.find_entry("objects", about["object"], None)[1]["yaws"].index(about["yaw"])
    place = {"distance": about["distance"], "azimuth": about["azimuth"], "flip": about["flip"], "seed": index}
    return widgets.Setup(about["room"], about["object"], yaw, **place, **changes)


def measure():
    """Return the network's IoU of each scene with one part of the gap at four times its strength."""
    dataset = MaskDepthDataset("test", gap="tripod")
    facts = {"command": "python notebooks/tools/measure_exercises.py", "network": checksum("maskdepthnet")}
    with timed_report(**facts, strength=nb07.STRONG) as report:
        report["rooms"] = [dataset.describe(index)["room"] for index in range(SCENES)]
        report["iou"] = {}
        for part in nb07.STRENGTHS:
            gap = "handheld" if part == "motion" else "tripod"
            setups = [setup_of(dataset, index, gap=gap, **{part: nb07.STRONG}) for index in range(SCENES)]
            report["iou"][part] = [round(nb07.shipped_iou(setup), 4) for setup in setups]
            print(f"{part}: mean IoU {np.mean(report['iou'][part]):.3f}", flush=True)
        iou = {part: np.array(values) for part, values in report["iou"].items()}
        pairs = itertools.combinations(sorted(iou, key=lambda part: -iou[part].mean()), 2)
        report["told_apart"] = [pair for pair in pairs if differ(*(iou[part] for part in pair), report["rooms"])]
    return report


def differ(high, low, rooms):
    """Return whether the mean difference is more than three times its standard error over whole rooms."""
    interval = bootstrap_interval(high - low, rooms)
    return (high - low).mean() > 3 * (interval[1] - interval[0]) / (2 * 1.96)


def main():
    tool_parser(__doc__).parse_args()
    write_json(STORED, measure())


if __name__ == "__main__":
    main()
