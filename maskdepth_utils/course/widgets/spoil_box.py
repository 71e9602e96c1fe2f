"""The loss explorer of notebook 04: spoil a true map with sliders, and see what each loss charges and asks for.

What it computes is in spoiling.py, what it is made of in widget_parts.py.
"""

import html
from dataclasses import asdict, replace

import ipywidgets as w

from ... import plots
from . import spoiling
from .parts import Tiles, assemble, dropdown, reported, slider
from .spoiling import NAMES, PRESETS, SAMPLES, UNITS, Bill, Spoil, ask, draw, load_truth, spoil

TRUTH, OWN = "none: the truth", "your own mixture"
START = "2 px to the right"  # has something to show in every tile, for readers without a kernel
DEPTH_PUSH = "orange to brown: nearer, purple: farther, white: stay"
MASK_PUSH = "orange to brown: less likely, purple: more likely, white: stay"
CAPTIONS = {
    "truth": ("Truth", "depth: bright is near; mask: the object is white"),
    "spoiled": ("Spoiled", "the prediction that the losses are asked about"),
    "L1": ("Push by L1", DEPTH_PUSH),
    "edge": ("Push by edge", DEPTH_PUSH),
    "BCE": ("Push by BCE", MASK_PUSH),
    "Dice": ("Push by Dice", MASK_PUSH),
    "SSIM": ("Push by SSIM", "orange to brown: nearer or less likely, purple: farther or more likely, white: stay"),
}
GROUPS = {
    "Look at": ("task", "index", "preset"),
    "Spoil it": ("blur", "shift", "gray", "scale", "offset", "noise"),
}
# Of the two sliders whose unit depends on the task: description, smallest, largest, step.
RANGES = {
    "depth": {"offset": ("offset, m", -3.0, 3.0, 0.1), "noise": ("noise, m", 0.0, 1.0, 0.05)},
    "mask": {"offset": ("offset, p", -1.0, 1.0, 0.05), "noise": ("noise, p", 0.0, 0.5, 0.05)},
}
FULL_BAR = 2.0  # times plain gray
CELL = 'style="text-align:left;padding:0 12px 0 0"'


def loss_explorer(task: str = "depth", index: int = 5, **start) -> w.VBox:
    """Spoil a true depth map or mask; see each loss's bill, and where it would push each pixel.

    index: which validation sample, 0 to 39. start: `preset`, or sliders, by the names of `Spoil`'s fields;
    offset and noise in metres for depth, and in probability for masks. Notebook 04.
    """
    named, tiles, table, note = controls(task, index), Tiles(CAPTIONS), w.HTML(), w.HTML()
    reset = w.Button(description="reset", tooltip="back to the truth, undisturbed")
    before, following = {"task": task, "preset": TRUTH}, []

    def update(change=None):
        if following:  # set by another control just now: six sliders of a preset, one update
            return
        with reported(note):
            following.append(True)
            try:
                follow(named, before)
            finally:
                following.clear()
            truth, spoiled = maps_of(named)
            answers = ask(truth, spoiled, before["task"])
            show_used(tiles, before["task"])
            tiles.show(dict.fromkeys(CAPTIONS, b"") | draw(truth, spoiled, before["task"], answers))
            table.value, note.value = bill_table(answers, before["task"]), ""

    reset.on_click(lambda _: setattr(named["preset"], "value", TRUTH))
    first = start_values(named, start or {"preset": START})
    below = [reset, note, table, tiles.box]
    box = assemble(
        named, first, update, below, tiles, GROUPS, above=2,
        picture=lambda tiles: still_picture(*maps_of(named), before["task"]),
    )  # fmt: skip
    box.table, box.note, box.reset = table, note, reset
    return box


def controls(task: str, index: int) -> dict:
    """Task, sample and preset, then one slider for each field of `Spoil`; labelled, reachable by the keyboard."""
    load_truth(task, index)  # refuses what there is not, in words
    named = {
        "task": dropdown("task", NAMES, task),
        "index": slider("sample", index, 0, SAMPLES - 1, 1),
        "preset": dropdown("preset", presets(task)),
        "blur": slider("blur (sigma), px", 0.0, 0, 4, 0.25),
        "shift": slider("to the right, px", 0, -10, 10, 1),
        "gray": slider("gray (1: plain)", 0.0, 0, 1, 0.05),
        "scale": slider("scale ×", 1.0, 0, 1.5, 0.05),
        "offset": slider("offset", 0.0, -1, 1, 0.05),
        "noise": slider("noise", 0.0, 0, 1, 0.05),
    }
    set_ranges(named, task)
    return named


def presets(task: str) -> list[str]:
    """The names to choose from: nothing, the task's presets, and whatever else the sliders may say."""
    return [TRUTH, *PRESETS[task], OWN]


def preset(task: str, name: str) -> Spoil:
    """What a preset does to a map; nothing for a name that is none."""
    return PRESETS[task].get(name, Spoil())


def set_ranges(named: dict, task: str) -> None:
    """Give offset and noise the task's unit, and set them to 0: a metre is no probability."""
    for name, (text, low, high, step) in RANGES[task].items():
        control = named[name]
        control.value = 0.0
        control.min, control.max, control.step, control.description = low, high, step, text
    named["preset"].options = presets(task)


def start_values(named: dict, start: dict) -> dict:
    """The sliders' start values, a preset being its sliders' values. ValueError if one cannot be set."""
    values, task = dict(start), named["task"].value
    if "preset" in values:
        name, choices = values.pop("preset"), presets(task)[:-1]
        if name not in choices:
            raise ValueError(f"preset: expected one of {', '.join(choices)}; found {name!r}")
        values = in_units(preset(task, name), task) | values
    for name in values.keys() & asdict(Spoil()).keys():
        control = named[name]
        if not control.min <= values[name] <= control.max:
            raise ValueError(f"{name}: expected {control.min:g} to {control.max:g}, found {values[name]}")
    return values


def follow(named: dict, before: dict) -> None:
    """What was chosen sets other controls: a task the units, a preset its sliders, the sliders the preset's name.

    before: task and preset as they were; brought up to date.
    """
    task, chosen = named["task"].value, named["preset"].value
    if task != before["task"]:
        set_ranges(named, task)
    elif chosen not in (before["preset"], OWN):
        for name, value in in_units(preset(task, chosen), task).items():
            named[name].value = value
    now = spoil_of(named)
    named["preset"].value = next((name for name in presets(task)[:-1] if preset(task, name) == now), OWN)
    before.update(task=task, preset=named["preset"].value)


def in_units(how: Spoil, task: str) -> dict:
    """The sliders' values: metres for depth."""
    return asdict(replace(how, offset=how.offset * UNITS[task], noise=how.noise * UNITS[task]))


def spoil_of(named: dict) -> Spoil:
    """What the sliders say, on the map's own scale."""
    values, unit = {name: named[name].value for name in asdict(Spoil())}, UNITS[named["task"].value]
    # Rounded: 0.3 m from a slider may be 0.30000000000000004.
    return Spoil(**values | {name: round(values[name] / unit, 6) for name in RANGES["depth"]})


def maps_of(named: dict) -> tuple:
    """(truth, spoiled), tensors (1, 1, 80, 80)."""
    truth = load_truth(named["task"].value, named["index"].value)
    return truth, spoil(truth, spoil_of(named))


def show_used(tiles: Tiles, task: str) -> None:
    """Hide the pushes of the other task's losses; five tiles fit beside each other."""
    used = {"truth", "spoiled", *NAMES[task].values()}
    for name, tile in zip(CAPTIONS, tiles.box.children, strict=True):
        tile.layout.display, tile.layout.width = None if name in used else "none", "185px"


def bill_table(answers: dict, task: str) -> str:
    """HTML: loss, value, how many times plain gray's bill that is, and this as a bar. answers: of `ask`."""
    names = ("loss", "value", "times plain gray", f"0 to {FULL_BAR:g} times; the line is 1")
    head = "".join(f'<th scope="col" {CELL}>{name}</th>' for name in names)
    rows = "".join(bill_row(name, bill, task) for name, (bill, _) in answers.items())
    return f'<table style="line-height:1.6"><tr>{head}</tr>{rows}</table>'


def bill_row(name: str, bill: Bill, task: str) -> str:
    """One loss's row of `bill_table`."""
    metres = f" ({bill.value * UNITS[task]:.2f} m)" if (task, name) == ("depth", "L1") else ""
    bar = (
        f'<div aria-hidden="true" style="position:relative;width:200px;height:12px;border:1px solid #888">'
        f'<div style="width:{min(bill.relative / FULL_BAR, 1):.1%};height:100%;background:{plots.BLUE}"></div>'
        f'<div style="position:absolute;left:{1 / FULL_BAR:.0%};top:-3px;height:18px;border-left:2px solid #888"></div>'
        f"</div>"
    )
    cut = " (cut off)" if bill.relative > FULL_BAR else ""
    return (
        f'<tr><th scope="row" {CELL}>{html.escape(name)}</th><td {CELL}>{bill.value:.4f}{metres}</td>'
        f"<td {CELL}>{bill.relative:.2f} ×{cut}</td><td {CELL}>{bar}</td></tr>"
    )


def still_picture(truth, spoiled, task: str) -> bytes:
    """The explorer as one PNG, for where no widget can be. matplotlib, but only once, at the start."""
    answers = ask(truth, spoiled, task)
    ends = ("nearer", "stay", "farther") if task == "depth" else ("less\nlikely", "stay", "more\nlikely")
    with plots.panels(1, 2 + len(answers), width=11, title=0.5) as (figure, axes):
        for axis, title, values in zip(axes[0], (f"true {task}", "spoiled"), (truth, spoiled)):
            axis.imshow(spoiling.color_map(values, truth, task))
            axis.set_title(title)
        for axis, (name, (bill, push)) in zip(axes[0, 2:], answers.items()):
            drawn = axis.imshow(spoiling.scaled(push), cmap="PuOr", vmin=-1, vmax=1)
            axis.set_title(f"push by {name}\nbill: {bill.relative:.2f} × plain gray's")
        bar = figure.colorbar(drawn, ax=axes[0].tolist(), shrink=0.8, ticks=[-1, 0, 1])
        bar.ax.set_yticklabels(ends)
    return plots.to_png(figure)
