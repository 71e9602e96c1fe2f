"""Comparing training runs honestly: several seeds, paired differences, intervals. Used by extras/loss_ablation_report.

Runs with the same seed saw the same samples in the same order and, wherever the networks allow it, began with the same
weights, so their differences say more than their values. notebooks/tools/ablate.py stores them.
"""

import json
import math
from collections.abc import Iterable
from statistics import mean

from scipy import stats

from .. import plots
from ..files import data_dir
from ..tables import format_table

LEVEL = 0.95  # of all intervals here
LINES = ("--", ":", "-.")  # of the baselines in `show_points`
# figure: (its name, the direction that is better: 1 more, -1 less, 0 neither)
FIGURES = {
    "rmse": ("depth RMSE, 0 to 1\n(lower is better)", -1), "rmse_object": ("RMSE on the object\n(lower is better)", -1),
    "rmse_edge": ("RMSE near its outline\n(lower is better)", -1), "ssim": ("SSIM of the depth\n(higher is better)", 1),
    "spread": ("spread of the depth\n(1 is right)", 0), "iou": ("mask IoU\n(higher is better)", 1),
    "boundary_f": ("boundary F\n(higher is better)", 1),
}  # fmt: skip
WORDS = {0: ("less", "more"), 1: ("worse", "better"), -1: ("better", "worse")}  # below 0, above 0


def stored(study: str, part: str = "test") -> dict[str, dict[int, dict]]:
    """Read a study's figures, ``{row: {seed: figures}}``; part: ``"test"`` or ``"scenes"``."""
    found = {}
    for run in stored_runs(study):
        found.setdefault(run["row"], {})[run["seed"]] = run[part]
    return found


def stored_runs(study: str) -> list[dict]:
    """Read a study's runs from data/results/ablation.jsonl, those with the most common number of samples."""
    path = data_dir() / "results" / "ablation.jsonl"
    lines = path.read_text(encoding="utf8").splitlines() if path.is_file() else []
    runs = [run for run in map(json.loads, lines) if run["study"] == study]
    if not runs:
        raise FileNotFoundError(f"{path.name}: expected runs of study {study!r}, found none (ablate.py makes them)")
    counts = [run["samples"] for run in runs]
    return [run for run in runs if run["samples"] == max(set(counts), key=counts.count)]


def provenance(study: str) -> str:
    """Say how many runs a study has, of how many samples, from which commits and machines, and how long they took."""
    runs = stored_runs(study)
    commits = sorted({run["commit"] for run in runs})
    machines = sorted({f"{run['machine']['processor']}, {run['machine']['device']}" for run in runs})
    hours = sum(run["seconds"] for run in runs) / 3600
    return (
        f"{len(runs)} runs of {runs[0]['samples']:,} samples, {hours:.1f} hours on {' / '.join(machines)}; "
        f"commit {', '.join(commits)}; python notebooks/tools/ablate.py"
    )


def student_interval(values: Iterable[float]) -> tuple[float, float]:
    """Return the mean of the values and the half width of Student's 95 % interval around it.

    With n values the half width is t(n - 1) * s / sqrt(n), where t is 12.7 for two values, 4.3 for three and 2.3 for
    ten; with a single value it is infinite. Source: Student (1908); extras/loss_ablation_report.
    """
    values = list(values)
    if not values:
        raise ValueError("student_interval: expected at least one value, found none")
    half = stats.t.ppf((1 + LEVEL) / 2, len(values) - 1) * stats.sem(values) if len(values) > 1 else math.inf
    return float(mean(values)), float(half)


def paired(runs: dict[int, dict], base: dict[int, dict], figure: str) -> list[float]:
    """Return `runs` minus `base` for each seed that both have: what they share, such as a lucky start, cancels."""
    return [runs[seed][figure] - base[seed][figure] for seed in sorted(runs.keys() & base.keys())]


def verdict(differences: Iterable[float], better: int) -> str:
    """Return "better" or "worse" if the interval of the paired differences excludes 0, otherwise "cannot say".

    better: 1 if more is better, -1 if less is; with 0, for neither, the words are "more" and "less".
    """
    center, half = student_interval(differences)
    return WORDS[better][center > 0] if abs(center) > half else "cannot say"


def verdicts(rows: dict, base: str, figures: Iterable[str] = tuple(FIGURES)) -> dict[str, dict[str, str]]:
    """Compare the rows that share two seeds or more with `base` by paired differences: ``{row: {figure: verdict}}``."""
    return {
        row: {figure: verdict(paired(runs, rows[base], figure), FIGURES[figure][1]) for figure in figures}
        for row, runs in rows.items()
        if row != base and len(runs.keys() & rows[base].keys()) > 1
    }


def verdict_table(said: dict[str, dict[str, str]], corner: str = "") -> str:
    """Write what `verdicts` found as an HTML table; `corner` is the heading above the row names."""
    rows = {row: {} for row in said}
    for row, words in said.items():
        for figure, word in words.items():
            rows[row][FIGURES[figure][0].partition("\n")[0]] = word if word == "cannot say" else f"<b>{word}</b>"
    return format_table(corner, rows, "unsafehtml")


def show_points(
    rows: dict[str, dict[int, dict]], figures: Iterable[str], base: str | None = None, baselines: dict | None = None
):
    """Draw a panel per figure and a line per row: a point per seed, with the mean and its 95 % interval below.

    Args:
        rows: ``{row: {seed: figures}}``.
        figures: Which figures are shown.
        base: Show the paired differences to this row instead, with a line at 0.
        baselines: ``{name: figures}``, drawn as vertical lines.
    """
    baselines = baselines or {}
    names = [row for row in rows if row != base]
    width = 2.4 + 1.7 * len(figures)
    aspect = (0.36 * len(names) + 0.5) * len(figures) / width
    legend = 0.35 if baselines else 0.0
    with plots.panels(1, len(figures), width, aspect, title=0.5, legend=legend) as (figure, axes):
        for axis, key in zip(axes[0], figures, strict=True):
            axis.set_axis_on()
            for line, row in enumerate(names):
                values = paired(rows[row], rows[base], key) if base else [run[key] for run in rows[row].values()]
                axis.plot(values, [line] * len(values), "o", markersize=6, alpha=0.75, color=plots.BLUE)
                center, half = student_interval(values)
                if len(values) > 1:
                    axis.errorbar(center, line + 0.27, xerr=half, fmt="|", color="black", linewidth=1.4, markersize=7)
            if base:
                axis.axvline(0, color="black", linewidth=1)
            for number, (name, values) in enumerate(baselines.items()):
                if key in values:
                    axis.axvline(values[key], color="black", linestyle=LINES[number % 3], linewidth=1.3, label=name)
            axis.set_yticks(range(len(names)), names if axis is axes[0, 0] else [""] * len(names))
            axis.set_title(FIGURES[key][0] if key in FIGURES else key, fontsize=9)
            axis.set_ylim(len(names) - 0.4, -0.6)
            axis.tick_params(axis="x", labelsize=8)
        if baselines:
            figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower left", ncols=2)
    return figure
