"""The loss explorer without a browser: what moving a control does."""

import io

import pytest
from PIL import Image

from maskdepth_utils.course.widgets import loss_explorer, loss_widget
from maskdepth_utils.course.widgets.faults import PRESETS, TRUTH, Fault, LossReport, load_truth, report_losses, spoil
from maskdepth_utils.course.widgets.loss_widget import draw_maps
from maskdepth_utils.course.widgets.parts import read_settings

draw_still = loss_widget.still_picture


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Leave out the still picture, which takes half a second."""
    monkeypatch.setattr(loss_widget, "still_picture", lambda *maps: b"")


def explorer(**settings):
    box = loss_explorer()
    box.set(preset=TRUTH)
    box.set(**settings)
    return box


def pictures(box):
    return {name: image.value for name, image in box.tiles.images.items() if image.value}


def current_fault(box):
    return read_settings(Fault, box.controls)


def test_the_start_shows_a_preset_and_every_control_has_a_label():
    box = loss_explorer()
    assert box.controls["preset"].value == "2 px to the right" and current_fault(box) == Fault(shift=2)
    assert all(control.description for control in box.controls.values())


def test_a_slider_changes_everything_but_the_truth():
    box = explorer(blur=1.0)
    before, table = pictures(box), box.table.value
    assert set(before) == {"truth", "spoiled", "L1", "edge", "SSIM"}
    box.controls["shift"].value = 4
    after = pictures(box)
    assert {name for name in after if after[name] != before[name]} == {"spoiled", "L1", "edge", "SSIM"}
    assert box.table.value != table and box.controls["preset"].value == loss_widget.OWN_MIXTURE


def test_sliders_are_in_metres_and_long_bars_are_cut():
    box = explorer(index=7, offset=0.3, noise=0.5)
    truth = load_truth("depth", 7)
    spoiled = spoil(truth, Fault(offset=0.3, noise=0.5))
    reports = report_losses(truth, spoiled)
    assert f"{reports['L1'].value:.4f} ({10 * reports['L1'].value:.2f} m)" in box.table.value
    assert f"{reports['L1'].relative:.2f} ×" in box.table.value
    table = loss_widget.loss_table({"SSIM": LossReport(0.5, 3.0, None)}, "depth")
    assert "3.00 ×" in table and "cut off" in table and "width:100.0%" in table


@pytest.mark.parametrize("task", ["depth", "mask"])
def test_presets_and_sliders_follow_each_other(task):
    box, by_sliders = explorer(task=task), explorer(task=task)
    for name, fault in list(PRESETS[task].items())[1:]:
        box.reset.click()
        assert current_fault(box) == Fault()
        box.controls["preset"].value = name
        assert current_fault(box) == fault
        by_sliders.set(**vars(fault))
        assert by_sliders.controls["preset"].value == name  # recognised
        assert pictures(by_sliders) == pictures(box) and by_sliders.table.value == box.table.value


def test_another_task_has_other_losses_and_other_units():
    box = explorer(shift=3, offset=2.0)
    box.controls["task"].value = "mask"
    shown = {name for name, tile in zip(box.tiles.images, box.tiles.box.children) if tile.layout.display != "none"}
    assert shown == set(pictures(box)) == {"truth", "spoiled", "BCE", "Dice", "SSIM"}
    assert current_fault(box) == Fault(shift=3)  # two metres are not a probability
    assert box.controls["offset"].description == "offset, p" and " m)" not in box.table.value
    assert "nothing found" in box.controls["preset"].options
    box.controls["task"].value = "depth"
    assert box.controls["offset"].max == 3 and "BCE" not in pictures(box)


def test_orange_means_nearer_and_white_means_stay():
    truth = load_truth()
    drawn = draw_maps(truth, truth + 0.1, "depth", report_losses(truth, truth + 0.1))
    red, _, blue = drawn["L1"].reshape(-1, 3).mean(axis=0)
    assert red > blue + 30 and (drawn["edge"] > 240).all()


@pytest.mark.parametrize("task", ["depth", "mask"])
def test_readers_without_a_kernel_get_a_picture(task):
    truth = load_truth(task, 3)
    assert Image.open(io.BytesIO(draw_still(truth, truth, task))).width > 1000
