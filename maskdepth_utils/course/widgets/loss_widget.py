"""The loss explorer of notebook 04: spoil a true map with sliders, and see each loss and its gradient."""

import ipywidgets as w
import numpy as np
from matplotlib import colormaps
from torch import Tensor

from ... import plots
from .faults import LOSSES, PRESETS, SAMPLES, TRUTH, UNITS, Fault, LossReport, load_truth, report_losses, spoil
from .parts import Tiles, assemble, dropdown, follow_preset, read_settings, slider, to_gray

OWN_MIXTURE = "your own mixture"
START = "2 px to the right"  # every tile shows something, even to readers without a kernel
PUSH = "orange to brown: nearer or less likely, purple: farther or more likely, white: stay"
CAPTIONS = {
    "truth": ("Truth", "depth: bright is near; mask: the object is white"),
    "spoiled": ("Spoiled", "the prediction whose losses are computed"),
    **{name: (f"Push by {name}", PUSH) for name in ("L1", "edge", "BCE", "Dice", "SSIM")},
}
GROUPS = {
    "Look at": ("task", "index", "preset"),
    "Spoil it": ("blur", "shift", "gray", "scale", "offset", "noise"),
}
# The two sliders whose unit depends on the task: label, least and greatest value, step.
RANGES = {
    "depth": {"offset": ("offset, m", -3.0, 3.0, 0.1), "noise": ("noise, m", 0.0, 1.0, 0.05)},
    "mask": {"offset": ("offset, p", -1.0, 1.0, 0.05), "noise": ("noise, p", 0.0, 0.5, 0.05)},
}
WEAK = 0.01  # a descent weaker than this share of L1's is drawn as zero
FULL_BAR = 2.0  # times plain gray's loss
CELL = 'style="text-align:left;padding:0 12px 0 0"'


def loss_explorer() -> w.VBox:
    """Spoil a true depth map or mask; see each loss, and where it would push each pixel (minus its gradient)."""
    controls = {
        "task": dropdown("task", LOSSES),
        "index": slider("sample", 5, 0, SAMPLES - 1, 1),
        "preset": dropdown("preset", [TRUTH]),
        "blur": slider("blur (sigma), px", 0.0, 0, 4, 0.25),
        "shift": slider("to the right, px", 0, -10, 10, 1),
        "gray": slider("gray (1: plain)", 0.0, 0, 1, 0.05),
        "scale": slider("scale ×", 1.0, 0, 1.5, 0.05),
        "offset": slider("offset", 0.0, -1, 1, 0.05),
        "noise": slider("noise", 0.0, 0, 1, 0.05),
    }
    set_ranges(controls)
    tiles = Tiles(CAPTIONS)
    table = w.HTML()
    reset = w.Button(description="reset", tooltip="back to the unspoiled truth")
    reset.on_click(lambda _: setattr(controls["preset"], "value", TRUTH))

    def follow(changed):
        if "task" in changed:
            set_ranges(controls)
        follow_preset(controls, changed, PRESETS[controls["task"].value], OWN_MIXTURE)

    def current_maps():
        task = controls["task"].value
        truth = load_truth(task, controls["index"].value)
        return truth, spoil(truth, read_settings(Fault, controls), task), task

    def update():
        truth, spoiled, task = current_maps()
        reports = report_losses(truth, spoiled, task)
        for name, tile in zip(CAPTIONS, tiles.box.children, strict=True):
            tile.layout.display = None if name in ("truth", "spoiled", *reports) else "none"
            tile.layout.width = "185px"  # five tiles fit side by side
        tiles.show(draw_maps(truth, spoiled, task, reports))
        table.value = loss_table(reports, task)
        return ""

    box = assemble(
        controls, update, tiles, [reset, table, tiles.box], start={"preset": START}, follow=follow, groups=GROUPS,
        above=2, draw_still=lambda tiles: still_picture(*current_maps()),
    )  # fmt: skip
    box.table = table
    box.reset = reset
    return box


def set_ranges(controls: dict) -> None:
    """Offer the task's presets, give offset and noise its unit, and set both to 0, since their units have changed."""
    task = controls["task"].value
    for name, (label, low, high, step) in RANGES[task].items():
        control = controls[name]
        control.value = 0.0
        control.min, control.max, control.step = low, high, step
        control.description = label
    controls["preset"].options = [*PRESETS[task], OWN_MIXTURE]


def loss_table(reports: dict[str, LossReport], task: str) -> str:
    """An HTML table: loss, value, how many times plain gray's loss that is, and the same as a bar."""
    names = ("loss", "value", "times plain gray", f"0 to {FULL_BAR:g} times; the line is at 1")
    rows = ["".join(f'<th scope="col" {CELL}>{name}</th>' for name in names)]
    for name, report in reports.items():
        metres = f" ({report.value * UNITS[task]:.2f} m)" if name == "L1" else ""
        cut = " (cut off)" if report.relative > FULL_BAR else ""
        bar = (
            f'<div aria-hidden="true" style="position:relative;width:200px;height:12px;border:1px solid #888"><div '
            f'style="width:{min(report.relative / FULL_BAR, 1):.1%};height:100%;background:{plots.BLUE}"></div><div '
            f'style="position:absolute;left:{1 / FULL_BAR:.0%};top:-3px;height:18px;border-left:2px solid #888"></div>'
            f"</div>"
        )
        rows.append(
            f'<th scope="row" {CELL}>{name}</th><td {CELL}>{report.value:.4f}{metres}</td>'
            f"<td {CELL}>{report.relative:.2f} ×{cut}</td><td {CELL}>{bar}</td>"
        )
    return f'<table style="line-height:1.6">{"".join(f"<tr>{row}</tr>" for row in rows)}</table>'


def scale_to_one(descent: np.ndarray) -> np.ndarray:
    """Scale a descent so that its strongest value is 1 or -1; all 0 if it is weak, see `WEAK`."""
    strongest = np.abs(descent).max()
    # The gradient of L1, a mean, is 1 / (number of pixels) everywhere.
    return descent / strongest if strongest * descent.size > WEAK else np.zeros_like(descent)


def color_map(values: Tensor, truth: Tensor, task: str) -> np.ndarray:
    """A map as uint8 (H, W, 3): depth in the colours of the truth's range, a mask from black to white."""
    if task == "depth":
        return plots.color_depth(plots.to_metres(values[0]), plots.depth_limits(plots.to_metres(truth[0])))
    return to_gray(values[0, 0].numpy())


def draw_maps(truth: Tensor, spoiled: Tensor, task: str, reports: dict[str, LossReport]) -> dict[str, np.ndarray]:
    """The truth, the spoiled map, and the descent of each loss, by its name, as colours."""
    pictures = {"truth": color_map(truth, truth, task), "spoiled": color_map(spoiled, truth, task)}
    for name, report in reports.items():
        pictures[name] = colormaps["PuOr"](0.5 + 0.5 * scale_to_one(report.descent), bytes=True)[..., :3]
    return pictures


def still_picture(truth: Tensor, spoiled: Tensor, task: str) -> bytes:
    """The explorer as a PNG file, for readers without a kernel."""
    reports = report_losses(truth, spoiled, task)
    ends = ("nearer", "stay", "farther") if task == "depth" else ("less\nlikely", "stay", "more\nlikely")
    with plots.panels(1, 2 + len(reports), width=11, title=0.5) as (figure, axes):
        for axis, title, values in zip(axes[0], (f"true {task}", "spoiled"), (truth, spoiled)):
            axis.imshow(color_map(values, truth, task))
            axis.set_title(title)
        for axis, (name, report) in zip(axes[0, 2:], reports.items()):
            drawn = axis.imshow(scale_to_one(report.descent), cmap="PuOr", vmin=-1, vmax=1)
            axis.set_title(f"push by {name}\nloss: {report.relative:.2f} × plain gray's")
        bar = figure.colorbar(drawn, ax=axes[0].tolist(), shrink=0.8, ticks=[-1, 0, 1])
        bar.ax.set_yticklabels(ends)
    return plots.to_png(figure)
