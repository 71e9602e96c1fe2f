"""Print the margins that exercises rely on, beside the spread of what they rest on.

    python notebooks/tools/measure_exercises.py --measure   # some minutes: stores data/results/gap_parts.json first
    python notebooks/tools/measure_exercises.py             # from what is stored

A margin should be at least three times the spread (the standard error; over whole rooms, where scenes are drawn).
"""

import itertools

import numpy as np
from notebook_files import read_json, tool_parser, write_json
from results import RESULTS, timed_report
from write_results import checksum

from maskdepth_utils.course import widgets
from maskdepth_utils.course.checks import nb05, nb07
from maskdepth_utils.data import MaskDepthDataset, library
from maskdepth_utils.inference.align import align
from maskdepth_utils.metrics import bootstrap_interval

STORED = RESULTS / "gap_parts.json"
SCENES = 160  # test samples
SEEDS = range(20, 44)  # bootstraps, and movements of the camera


def setup_of(dataset, index, **changes):
    """The setup of a test sample, with changes."""
    about = dataset.describe(index)
    yaw = library.find_entry("objects", about["object"], None)[1]["yaws"].index(about["yaw"])
    place = {"distance": about["distance"], "azimuth": about["azimuth"], "flip": about["flip"], "seed": index}
    return widgets.Setup(about["room"], about["object"], yaw, **place, **changes)


def network_iou(scene, cure=lambda image, background: background):
    """The IoU of the shipped network's mask, with a background that is cured first."""
    return nb07.mask_iou(nb07.shipped().predict(scene.image, cure(scene.image, scene.background)).mask, scene)


def measure():
    """Return the network's IoU of each scene with one part of the gap at its strength (notebook 07, exercise C)."""
    dataset = MaskDepthDataset("test", gap="tripod")
    facts = {"command": "python notebooks/tools/measure_exercises.py --measure", "network": checksum("maskdepthnet")}
    with timed_report(**facts, strength=nb07.STRONG) as report:
        report["rooms"] = [dataset.describe(index)["room"] for index in range(SCENES)]
        report["iou"] = {}
        for part in nb07.STRENGTHS:
            gap = "handheld" if part == "motion" else "tripod"
            setups = [setup_of(dataset, index, gap=gap, **{part: nb07.STRONG}) for index in range(SCENES)]
            report["iou"][part] = [round(network_iou(widgets.build_scene(setup)), 4) for setup in setups]
            print(f"{part}: mean IoU {np.mean(report['iou'][part]):.3f}", flush=True)
        pairs = pair_margins(report).items()
        report["told_apart"] = [pair for pair, (margin, spread) in pairs if margin > 3 * spread]
    return report


def pair_margins(report):
    """The difference of IoU between each two parts, and its spread: {(the harmless one, the other): both}."""
    iou = {part: np.array(values) for part, values in report["iou"].items()}
    pairs = {}
    for first, second in itertools.combinations(sorted(iou, key=lambda part: -iou[part].mean()), 2):
        low, high = bootstrap_interval(iou[first] - iou[second], report["rooms"])
        pairs[first, second] = (iou[first] - iou[second]).mean(), (high - low) / (2 * 1.96)
    return pairs


def order_margins():
    """07, exercise C: the check lets pairs pass either way that are not told apart."""
    for (first, second), margin in pair_margins(read_json(STORED)).items():
        yield f"07 C  {first} before {second}", *margin


def interval_margins():
    """05, exercise D: how far the ends of a right interval lie from the expected ones, in widths; one end each."""
    scores = nb05.scores_of_rooms(0.1, 0.04)
    runs = np.array([nb05.bootstrap(*scores, np.random.default_rng(seed)) for seed in SEEDS])
    runs = runs.reshape(-1, nb05.SEEDS, 2).mean(1)  # as the check averages them
    for name, spread in zip(("low", "high"), runs.std(0, ddof=1)):
        yield f"05 D  {name} end of a right interval", nb05.NEAR, 2**0.5 * spread  # the expected one is drawn, too


def cure_margins():
    """07, exercise D: the IoU of each object without and with a cure, over several movements of the camera."""
    cures = {"not cured": lambda image, background: background, "cured": lambda *pair: align(*pair).background}
    for setup, (name, cure) in itertools.product(nb07.SCENES, cures.items()):
        moved = (nb07.replace(setup, gap="handheld", motion=nb07.STRONG, seed=seed) for seed in SEEDS[:8])
        found = np.array([network_iou(widgets.build_scene(one), cure) for one in moved])
        margin = (found.mean() - nb07.CURED) * (1 if name == "cured" else -1)
        yield f"07 D  {setup.object}, {name}: IoU {found.mean():.2f}", margin, found.std(ddof=1) / len(found) ** 0.5


def main():
    parser = tool_parser(__doc__)
    parser.add_argument("--measure", action="store_true", help="measure what costs the network how much again")
    if parser.parse_args().measure:
        write_json(STORED, measure())
    print(f"{'':58} {'margin':>7} {'spread':>7}  ratio")
    for name, margin, spread in itertools.chain(order_margins(), interval_margins(), cure_margins()):
        print(f"{name:58} {margin:7.3f} {spread:7.4f} {margin / spread:6.1f}", flush=True)


if __name__ == "__main__":
    main()
