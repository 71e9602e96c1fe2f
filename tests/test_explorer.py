"""The loss explorer without a browser: what moving a control does."""

import io

import numpy as np
import pytest
from PIL import Image

from maskdepth_utils.course.widgets import parts, spoil_box, spoiling
from maskdepth_utils.course.widgets.spoiling import PRESETS, Spoil, bills, draw, load_truth, spoil

drawn_still = spoil_box.still_picture


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Without the still picture, which takes matplotlib half a second."""
    monkeypatch.setattr(spoil_box, "still_picture", lambda *maps: b"")
    monkeypatch.setattr(parts, "still", lambda tiles: b"")


@pytest.fixture
def updates(monkeypatch):
    """A list that grows by one with every update."""
    done = []
    monkeypatch.setattr(spoil_box, "ask", lambda *maps: done.append(1) or spoiling.ask(*maps))
    return done


def pictures(box):
    return {name: image.value for name, image in box.tiles.images.items() if image.value}


def sliders(box):
    return {name: box.controls[name].value for name in vars(Spoil())}


def test_a_slider_changes_the_spoiled_map_its_pushes_and_the_bill_but_not_the_truth():
    box = spoil_box.loss_explorer(blur=1.0)
    before, table = pictures(box), box.table.value
    assert set(before) == {"truth", "spoiled", "L1", "edge", "SSIM"}
    box.controls["shift"].value = 4
    after = pictures(box)
    assert {name for name in after if after[name] != before[name]} == {"spoiled", "L1", "edge", "SSIM"}
    assert box.table.value != table and box.controls["preset"].value == spoil_box.OWN


def test_it_shows_what_the_sliders_say_in_metres():
    box = spoil_box.loss_explorer(index=7, offset=0.3, noise=0.5)
    truth = load_truth("depth", 7)
    spoiled = spoil(truth, Spoil(offset=0.03, noise=0.05))
    assert pictures(box) == draw(truth, spoiled)
    bill = bills(truth, spoiled)["L1"]
    assert f"{bill.value:.4f} ({10 * bill.value:.2f} m)" in box.table.value
    assert f"{bill.relative:.2f} ×" in box.table.value


@pytest.mark.parametrize("task", ["depth", "mask"])
def test_a_preset_is_its_sliders_and_one_update(task, updates):
    box = spoil_box.loss_explorer(task)
    for name, how in PRESETS[task].items():
        box.controls["preset"].value = spoil_box.TRUTH
        updates.clear()
        box.controls["preset"].value = name
        assert len(updates) == 1 and spoil_box.spoil_of(box.controls) == how
        by_preset = pictures(box)
        by_sliders = spoil_box.loss_explorer(task, **sliders(box))
        assert pictures(by_sliders) == by_preset and by_sliders.table.value == box.table.value
        assert by_sliders.controls["preset"].value == name  # recognized


def test_several_controls_at_once_are_one_update(updates):
    box = spoil_box.loss_explorer()
    updates.clear()
    box.set(task="mask", index=3)
    assert len(updates) == 1 and "BCE" in pictures(box)
    box.set(preset="nothing found")
    assert len(updates) == 2 and sliders(box)["scale"] == 0


def test_reset_brings_back_the_truth_in_one_update(updates):
    box = spoil_box.loss_explorer(blur=2.0, scale=0.5, offset=1.0, noise=0.2)
    updates.clear()
    box.reset.click()
    assert len(updates) == 1 and spoil_box.spoil_of(box.controls) == Spoil()
    assert box.tiles.images["spoiled"].value == box.tiles.images["truth"].value
    assert box.table.value.count("0.00 ×") == 3
    box.reset.click()
    assert len(updates) == 1  # nothing to do


def test_another_task_has_other_losses_and_other_units(updates):
    box = spoil_box.loss_explorer(shift=3, offset=2.0)
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


def test_the_start_has_something_to_show_and_a_labelled_control_for_everything():
    box = spoil_box.loss_explorer()
    assert box.controls["preset"].value == "2 px to the right" and sliders(box)["shift"] == 2
    assert all(control.description for control in box.controls.values())


def test_a_bar_is_also_words():
    row = spoil_box.bill_row("SSIM", spoiling.Bill(0.5, 3.0), "depth")
    assert "3.00 ×" in row and "cut off" in row and "width:100.0%" in row
    assert "width:25.0%" in spoil_box.bill_row("L1", spoiling.Bill(0.05, 0.5), "depth")


def test_the_still_picture_is_shown_for_where_no_widget_can_be(monkeypatch):
    shown = []
    monkeypatch.setattr(spoil_box, "still_picture", drawn_still)
    monkeypatch.setattr(parts, "present", lambda box, png: shown.append(png))
    spoil_box.loss_explorer("mask", 3)
    assert np.asarray(Image.open(io.BytesIO(shown[0]))).shape[1] > 1000


@pytest.mark.parametrize(
    "settings, words",
    [
        ({"colour": 3}, "unknown settings colour: expected some of task, index, preset"),
        ({"blur": 99}, "blur: expected 0 to 4, found 99"),
        ({"preset": "2 m too far"}, "preset: expected one of none: the truth, plain gray"),
        ({"task": "flow"}, 'expected "depth" or "mask"'),
        ({"index": 40}, "expected 0 to 39"),
    ],
)
def test_a_mistake_in_the_start_values_is_said(settings, words):
    with pytest.raises(ValueError, match=words):
        spoil_box.loss_explorer(**settings)


def test_an_error_is_words_and_the_widget_goes_on(monkeypatch):
    box = spoil_box.loss_explorer()
    note = box.note
    monkeypatch.setattr(spoil_box, "spoil", lambda *maps: (_ for _ in ()).throw(ValueError("too <far> away")))
    box.controls["shift"].value = 5
    assert "too &lt;far&gt; away" in note.value
    monkeypatch.undo()
    box.controls["shift"].value = 6
    assert note.value == "" and box.controls["preset"].value == spoil_box.OWN
