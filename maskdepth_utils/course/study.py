"""Comparing trainings honestly: runs of several seeds, intervals, paired differences. Notebook 04 builds and uses it.

A *run* is a dict {"row": what was changed, "seed": ..., "test": {figure: value}}, as `notebooks/tools/ablate.py` stores
them in data/results/ablation.jsonl. Runs of one seed began with the same first weights, wherever the networks allow it,
and saw the same samples in the same order: their differences say more than their values.
"""

import json
from statistics import mean, stdev

from scipy.stats import t as student

from .. import plots
from ..files import data_dir

LEVEL = 0.95  # of all intervals here
LINES = ("--", ":", "-.")  # of the baselines in `show_points`
# figure -> (what to call it, the direction that is better: 1 more, -1 less, 0 neither)
FIGURES = {
    "rmse": ("depth RMSE, 0 to 1\n(lower is better)", -1), "rmse_object": ("RMSE on the object\n(lower is better)", -1),
    "rmse_edge": ("RMSE near its outline\n(lower is better)", -1), "ssim": ("SSIM of the depth\n(higher is better)", 1),
    "spread": ("spread of the depth\n(1 is right)", 0), "iou": ("mask IoU\n(higher is better)", 1),
    "boundary_f": ("boundary F\n(higher is better)", 1),
}  # fmt: skip


def stored(study: str, part: str = "test") -> dict[str, dict[int, dict]]:
    """{row: {seed: figures}} of a study in data/results/ablation.jsonl. part: "test", "scenes" or "training".

    FileNotFoundError if there is no such study.
    """
    found = {}
    for run in stored_runs(study):
        found.setdefault(run["row"], {})[run["seed"]] = run[part]
    return found


def stored_runs(study: str) -> list[dict]:
    """The stored runs of a study, those with as many training samples as most of them have."""
    path = data_dir() / "results" / "ablation.jsonl"
    lines = path.read_text(encoding="utf8").splitlines() if path.is_file() else []
    runs = [run for run in map(json.loads, lines) if run["study"] == study]
    if not runs:
        raise FileNotFoundError(f"{path.name}: expected runs of study {study!r}, found none (ablate.py makes them)")
    counts = [run["samples"] for run in runs]
    return [run for run in runs if run["samples"] == max(set(counts), key=counts.count)]


def provenance(study: str) -> str:
    """In words: how many runs, of how many samples, at which commits, on what, and how long they took."""
    runs = stored_runs(study)
    commits = sorted({run["commit"] for run in runs})
    machines = sorted({f"{run['machine']['processor']}, {run['machine']['device']}" for run in runs})
    hours = sum(run["seconds"] for run in runs) / 3600
    return (
        f"{len(runs)} runs of {runs[0]['samples']:,} samples, {hours:.1f} hours on {' / '.join(machines)}; "
        f"commit {', '.join(commits)}; python notebooks/tools/ablate.py {study}"
    )


def student_interval(values) -> tuple[float, float]:
    """(mean, half width) of Student's 95 % interval for the mean of what the values are drawn from.

    With n values the half width is t(n - 1) * s / sqrt(n); t is 12.7 for two values, 4.3 for three, 2.3 for ten. One
    value says nothing about how far another would lie: its half width is infinite. Source: Student (1908); notebook 04.
    """
    values = list(values)
    if not values:
        raise ValueError("student_interval: expected at least one value, found none")
    if len(values) == 1:
        return float(values[0]), float("inf")
    quantile = float(student.ppf((1 + LEVEL) / 2, len(values) - 1))
    return float(mean(values)), quantile * stdev(values) / len(values) ** 0.5


def paired(runs: dict[int, dict], base: dict[int, dict], figure: str) -> list[float]:
    """One difference a seed, `runs` minus `base`: what both owe to the same luck falls out. Seeds of both only."""
    return [runs[seed][figure] - base[seed][figure] for seed in sorted(runs.keys() & base.keys())]


def verdict(differences, better: int) -> str:
    """"better", "worse" (or "more", "less" where neither is) if the interval leaves out 0, otherwise "cannot say"."""
    center, half = student_interval(differences)
    if abs(center) <= half:
        return "cannot say"
    words = {0: ("less", "more"), 1: ("worse", "better"), -1: ("better", "worse")}[better]
    return words[center > 0]


def verdicts(rows: dict, base: str, figures=tuple(FIGURES)) -> dict[str, dict[str, str]]:
    """{row: {figure: verdict}} of every row against `base`, by paired differences; rows of one seed are left out."""
    return {
        row: {figure: verdict(paired(runs, rows[base], figure), FIGURES[figure][1]) for figure in figures}
        for row, runs in rows.items() if row != base and len(runs.keys() & rows[base].keys()) > 1
    }  # fmt: skip


def verdict_table(said: dict[str, dict[str, str]], corner: str = "") -> str:
    """What `verdicts` found as an HTML table: a line per row, a column per figure. corner: the words above the rows."""
    figures = list(next(iter(said.values()))) if said else []
    head = [corner, *(FIGURES[key][0].partition("\n")[0] for key in figures)]
    lines = ["<tr>" + "".join(f"<th>{word}</th>" for word in head) + "</tr>"]
    for row, words in said.items():
        cells = "".join(f"<td>{word if word == 'cannot say' else f'<b>{word}</b>'}</td>" for word in words.values())
        lines.append(f"<tr><th>{row}</th>{cells}</tr>")
    return f"<table>{''.join(lines)}</table>"


def show_points(rows: dict[str, dict[int, dict]], figures, base: str | None = None, baselines: dict | None = None):
    """A panel per figure, a line per row: a point per seed; below it the mean and its 95 % interval as a bar.

    rows: {row: {seed: figures}}. With `base`, the paired differences to that row instead, and a line at 0.
    baselines: {name: figures}, drawn as vertical lines. Returns the Figure.
    """
    if len(baselines or {}) > len(LINES):
        raise ValueError(f"baselines: expected at most {len(LINES)}, found {len(baselines)}")
    names = [row for row in rows if row != base]
    legend = 0.35 if baselines else 0.0
    width = 2.4 + 1.7 * len(figures)
    aspect = (0.36 * len(names) + 0.5) * len(figures) / width
    with plots.panels(1, len(figures), width, aspect, title=0.5, legend=legend) as (figure, axes):
        for axis, key in zip(axes[0], figures, strict=True):
            axis.set_axis_on()
            for line, row in enumerate(names):
                runs = rows[row]
                _draw_row(axis, line, paired(runs, rows[base], key) if base else [run[key] for run in runs.values()])
            if base:
                axis.axvline(0, color="black", linewidth=1)
            for (name, values), style in zip((baselines or {}).items(), LINES, strict=False):
                if key in values:
                    axis.axvline(values[key], color="black", linestyle=style, linewidth=1.3, label=name)
            axis.set_yticks(range(len(names)), names if axis is axes[0, 0] else [""] * len(names))
            axis.set_title(FIGURES[key][0] if key in FIGURES else key, fontsize=9)
            axis.set_ylim(len(names) - 0.4, -0.6)
            axis.tick_params(axis="x", labelsize=8)
        if baselines:
            figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower left", ncols=2)
    return figure


def _draw_row(axis, line: int, values: list[float]) -> None:
    axis.plot(values, [line] * len(values), "o", markersize=6, alpha=0.75, color=plots.BLUE)
    if len(values) > 1:
        center, half = student_interval(values)
        axis.errorbar(center, line + 0.27, xerr=half, fmt="|", color="black", linewidth=1.4, markersize=7)
