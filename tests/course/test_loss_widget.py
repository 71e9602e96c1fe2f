"""The loss explorer without a browser: what moving a control does."""

import io

import numpy as np
import pytest
from PIL import Image

from maskdepth_utils.course.widgets import loss_explorer, loss_widget, parts
from maskdepth_utils.course.widgets.faults import PRESETS, Fault, LossReport, load_truth, report_losses, spoil
from maskdepth_utils.course.widgets.loss_widget import current_fault, draw_maps

draw_still = loss_widget.still_picture


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Leave out the still picture, which takes half a second."""
    monkeypatch.setattr(loss_widget, "still_picture", lambda *maps: b"")


@pytest.fixture
def updates(monkeypatch):
    """A list that grows with every update."""
    done = []
    monkeypatch.setattr(loss_widget, "report_losses", lambda *maps: done.append(1) or report_losses(*maps))
    return done


def pictures(box):
    return {name: image.value for name, image in box.tiles.images.items() if image.value}


def sliders(box):
    return {name: box.controls[name].value for name in vars(Fault())}


def test_a_slider_changes_everything_but_the_truth():
    box = loss_explorer(blur=1.0)
    before, table = pictures(box), box.table.value
    assert set(before) == {"truth", "spoiled", "L1", "edge", "SSIM"}
    box.controls["shift"].value = 4
    after = pictures(box)
    assert {name for name in after if after[name] != before[name]} == {"spoiled", "L1", "edge", "SSIM"}
    assert box.table.value != table and box.controls["preset"].value == loss_widget.OWN_MIXTURE


def test_sliders_are_in_metres():
    box = loss_explorer(index=7, offset=0.3, noise=0.5)
    truth = load_truth("depth", 7)
    spoiled = spoil(truth, Fault(offset=0.3, noise=0.5))
    reports = report_losses(truth, spoiled)
    assert pictures(box) == draw_maps(truth, spoiled, "depth", reports)
    assert f"{reports['L1'].value:.4f} ({10 * reports['L1'].value:.2f} m)" in box.table.value
    assert f"{reports['L1'].relative:.2f} ×" in box.table.value


@pytest.mark.parametrize("task", ["depth", "mask"])
def test_a_preset_sets_its_sliders_in_one_update(task, updates):
    box, by_sliders = loss_explorer(task), loss_explorer(task)
    for name, fault in PRESETS[task].items():
        box.controls["preset"].value = loss_widget.TRUTH
        updates.clear()
        box.controls["preset"].value = name
        assert len(updates) == 1 and current_fault(box.controls) == fault
        by_sliders.set(**sliders(box))
        assert pictures(by_sliders) == pictures(box) and by_sliders.table.value == box.table.value
        assert by_sliders.controls["preset"].value == name  # recognised


def test_several_controls_at_once_are_one_update(updates):
    box = loss_explorer()
    updates.clear()
    box.set(task="mask", index=3)
    assert len(updates) == 1 and "BCE" in pictures(box)
    box.set(preset="nothing found")
    assert len(updates) == 2 and sliders(box)["scale"] == 0


def test_reset_brings_back_the_truth_in_one_update(updates):
    box = loss_explorer(blur=2.0, scale=0.5, offset=1.0, noise=0.2)
    updates.clear()
    box.reset.click()
    assert len(updates) == 1 and current_fault(box.controls) == Fault()
    assert box.tiles.images["spoiled"].value == box.tiles.images["truth"].value
    assert box.table.value.count("0.00 ×") == 3


def test_another_task_has_other_losses_and_other_units(updates):
    box = loss_explorer(shift=3, offset=2.0)
    updates.clear()
    box.controls["task"].value = "mask"
    assert len(updates) == 1
    shown = {name for name, tile in zip(box.tiles.images, box.tiles.box.children) if tile.layout.display != "none"}
    assert shown == set(pictures(box)) == {"truth", "spoiled", "BCE", "Dice", "SSIM"}
    assert sliders(box)["shift"] == 3 and sliders(box)["offset"] == 0  # two metres are no probability
    assert box.controls["offset"].description == "offset, p" and " m)" not in box.table.value
    assert "nothing found" in box.controls["preset"].options
    box.controls["task"].value = "depth"
    assert box.controls["offset"].max == 3 and "BCE" not in pictures(box)


def test_the_start_shows_a_preset_and_every_control_has_a_label():
    box = loss_explorer()
    assert box.controls["preset"].value == "2 px to the right" and sliders(box)["shift"] == 2
    assert all(control.description for control in box.controls.values())


def test_orange_means_nearer_and_white_means_stay():
    truth = load_truth()
    files = draw_maps(truth, truth + 0.1, "depth", report_losses(truth, truth + 0.1))
    decoded = {name: np.asarray(Image.open(io.BytesIO(file))).astype(int) for name, file in files.items()}
    red, _, blue = decoded["L1"].reshape(-1, 3).mean(axis=0)
    assert red > blue + 30 and (decoded["edge"] > 240).all()


def test_a_bar_is_also_in_words():
    row = loss_widget.loss_row("SSIM", LossReport(0.5, 3.0, None), "depth")
    assert "3.00 ×" in row and "cut off" in row and "width:100.0%" in row


def test_a_still_picture_is_shown_for_readers_without_a_kernel(monkeypatch):
    shown = []
    monkeypatch.setattr(loss_widget, "still_picture", draw_still)
    monkeypatch.setattr(parts, "show", lambda box, still: shown.append(still))
    loss_explorer("mask", 3)
    assert np.asarray(Image.open(io.BytesIO(shown[0]))).shape[1] > 1000


@pytest.mark.parametrize(
    "settings, words",
    [
        ({"colour": 3}, "unknown settings colour: expected some of task, index, preset"),
        ({"blur": 99}, "blur: expected 0 to 4; found 99"),
        ({"preset": "2 m too far"}, "preset: expected one of none: the truth, plain gray"),
        ({"task": "flow"}, 'expected "depth" or "mask"'),
        ({"index": 40}, "expected 0 to 39"),
    ],
)
def test_wrong_start_values_are_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        loss_explorer(**settings)
