"""Widgets and a quiz in a real browser: a reader's mouse and keyboard, and the page's pixels.

All are tried in JupyterLab, the playground also in Notebook 7 and as `make app` serves it (Voila). The tests need
Chromium (README); without it they are skipped, or fail where MASKDEPTH_BROWSER=required says that there is one.
"""

import os
import random
import re

import numpy as np
import pytest
from lab import open_notebook
from PIL import Image

from maskdepth_utils import load_pretrained
from maskdepth_utils.course import widgets
from maskdepth_utils.course.widgets.faults import PRESETS, load_truth, report_losses, spoil
from maskdepth_utils.data import library
from maskdepth_utils.data.shots import LEVELS

pytestmark = [pytest.mark.browser, pytest.mark.slow]
IMPORTS = """from maskdepth_utils import load_pretrained
from maskdepth_utils.course import quiz, widgets
from maskdepth_utils.course.pointcloud import view
from maskdepth_utils.data.library import data_dir, load_scene, scene_names

predictor = load_pretrained()
scene = load_scene(scene_names()[0])"""
COMPOSED = "room_val_037", "val_009_chair"
PLAYGROUND = "box = widgets.playground(predictor)"
CELLS = [
    IMPORTS,
    'box = widgets.composer("val", room="{}", object="{}", distance=3)'.format(*COMPOSED),
    PLAYGROUND,
    "box = widgets.loss_explorer()",
    "box = widgets.feature_maps(predictor, scene.image, scene.background)",
    'paths = [data_dir() / "scenes" / f"{scene_names()[0]}{end}.webp" for end in ("", "_background")]\n'
    'box = widgets.own_photos(predictor, {"example": paths})',
    "view(scene.image[::2, ::2], scene.depth[::2, ::2])",
    'quiz.show("02")',
]


@pytest.fixture(scope="module")
def page_with_all(browser, tmp_path_factory):
    with open_notebook(browser, tmp_path_factory.mktemp("lab"), CELLS) as sheet:
        yield sheet


@pytest.fixture
def jupyterlab(page_with_all):
    """One page of JupyterLab with all widgets, in which no test may cause an error."""
    yield page_with_all
    page_with_all.assert_no_errors()


@pytest.fixture(params=["notebook", "voila"])
def other_front_end(request, tmp_path, browser):
    """A page of another front end with the playground."""
    if os.environ.get("MASKDEPTH_BROWSER") != "required":
        pytest.importorskip(request.param, reason=f"{request.param} is not installed")
    with open_notebook(browser, tmp_path, [IMPORTS, PLAYGROUND], request.param) as sheet:
        yield sheet
        sheet.assert_no_errors()


def check_playground(sheet):
    """Presets and threshold do what they should, and the scores are those of the package."""
    widget = sheet.widget("break it")
    widget.choose("break it", "camouflaged object")
    scene = widgets.build_scene(widgets.HARD_SCENES["camouflaged object"])
    scores = widgets.predict_scene(scene, load_pretrained()).scores

    def shows_the_scores():
        found = {name: float(value) for name, value in re.findall(r"(IoU|depth RMSE, m) (\d+\.\d+)", widget.text())}
        return all(abs(found[name] - scores[name]) < 0.02 for name in found)

    widget.wait_until(shows_the_scores)
    widget.settle()
    threshold, mask = widget.pixels("Difference threshold"), widget.pixels("Network's mask")
    widget.press("mask above", "PageUp", 4)
    widget.wait_until(lambda: not np.array_equal(mask, widget.pixels("Network's mask")))
    assert np.array_equal(threshold, widget.pixels("Difference threshold"))  # it has no probabilities
    widget.choose("gap", next(iter(LEVELS)))
    widget.wait_until(lambda: not np.array_equal(threshold, widget.pixels("Difference threshold")))


def test_the_composer_shows_the_scene_of_its_sliders(jupyterlab):
    widget = jupyterlab.widget("column")
    near = {title: widget.pixels(title) for title in ("Background", "Image", "Mask", "Depth")}
    widget.press("distance, m", "PageUp", 4)
    far = {title: widget.pixels(title) for title in near}
    assert np.array_equal(near["Background"], far["Background"])
    assert widget.image("Mask").get_attribute("title") == "Mask: the object's pixels are white"  # for a screen reader
    assert 0 < (far["Mask"] > 127).sum() < (near["Mask"] > 127).sum()
    scene = widgets.build_scene(widgets.Setup(*COMPOSED, distance=widget.readout("distance, m")))
    assert np.array_equal(far["Image"][::2, ::2][:40], scene.image[:40])  # above the cross
    column, row = int(widget.readout("column")), int(widget.readout("row"))
    assert f"{scene.depth[row, column]:.2f} m" in widget.text()


def test_the_playground_agrees_with_the_package(jupyterlab):
    check_playground(jupyterlab)


def test_the_playground_in_other_front_ends(other_front_end):
    check_playground(other_front_end)
    if other_front_end.front_end == "voila":
        assert "import " not in other_front_end.page.locator("body").inner_text()  # a page without code


def test_the_loss_explorer_agrees_with_the_losses(jupyterlab):
    widget = jupyterlab.widget("preset")
    truth, spoiled = widget.pixels("Truth"), widget.pixels("Spoiled")
    widget.choose("preset", "1 m too far")
    assert np.array_equal(truth, widget.pixels("Truth"))
    assert not np.array_equal(spoiled, widget.pixels("Spoiled"))
    rows = widget.box.locator("tr").all_inner_texts()
    true = load_truth()
    for name, report in report_losses(true, spoil(true, PRESETS["depth"]["1 m too far"])).items():
        assert any(name in row and f"{report.relative:.2f} ×" in row for row in rows), (name, rows)
    widget.press("to the right, px", "ArrowRight", 3)
    assert widget.control("preset").locator("select").input_value() == "your own mixture"


def test_feature_maps_by_stage_and_without_skips(jupyterlab):
    widget = jupyterlab.widget("stage")
    picture = widget.box.locator("img").first
    first, mask = picture.get_attribute("src"), widget.pixels("Network's mask")
    widget.press("stage", "ArrowRight", 2)
    assert picture.get_attribute("src") != first
    widget.box.get_by_role("button", name="no skips").click()
    widget.settle()
    assert not np.array_equal(mask, widget.pixels("Network's mask"))


def test_the_room_in_3d_turns_with_the_mouse(jupyterlab):
    plot = jupyterlab.page.locator(".js-plotly-plot").first
    plot.scroll_into_view_if_needed()
    plot.locator("canvas").first.wait_for()
    jupyterlab.page.wait_for_timeout(2000)
    before, box = plot.screenshot(), plot.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    jupyterlab.page.mouse.move(x, y)
    jupyterlab.page.mouse.down()
    jupyterlab.page.mouse.move(x + 150, y + 20, steps=5)
    jupyterlab.page.mouse.up()
    jupyterlab.page.wait_for_timeout(1000)
    assert plot.screenshot() != before


def upload(widget, label, path):
    with widget.page.expect_file_chooser() as chooser:
        widget.box.get_by_role("button", name=re.compile(label)).click()
    chooser.value.set_files(path)


def test_own_photos_good_and_bad(jupyterlab, tmp_path):
    scene = library.load_scene(library.scene_names()[2])
    for name, picture in (("photo", scene.image), ("background", scene.background), ("small", scene.image[:100])):
        Image.fromarray(picture).save(tmp_path / f"{name}.png")
    with open(tmp_path / "photo.png", "ab") as file:
        file.write(bytes(15_000_000))  # a phone's photo is as large, and Jupyter's own limit is 10 MB
    (tmp_path / "broken.png").write_bytes(b"no picture")
    widget = jupyterlab.widget("align the background")
    assert "The object covers" in widget.text()  # the bundled example
    for label, name, words in (
        ("photo", "photo", "Choose a photo and a background"), ("background", "background", "The object covers"),
        ("background", "small", "expected equal sizes"), ("background", "broken", "not a readable picture"),
        ("background", "background", "The object covers"),
    ):  # fmt: skip
        upload(widget, label, tmp_path / f"{name}.png")
        widget.wait_until(lambda words=words: words in widget.text())
    widget.settle()
    assert np.array_equal(widget.pixels("Photo")[::2, ::2], scene.image)  # enlarged
    with widget.page.expect_download() as download:
        widget.box.get_by_role("link", name="cutout").click()
    cutout = np.asarray(Image.open(download.value.path()))
    assert cutout.shape == (160, 160, 4) and 0.005 < (cutout[..., 3] > 127).mean() < 0.7


def test_a_quiz_explains_choices_by_mouse_and_by_keyboard(jupyterlab):
    page = jupyterlab.page
    page.wait_for_selector(".md-quiz")
    explanation = page.get_by_text("In exact arithmetic, yes.")
    assert not explanation.is_visible()
    page.locator("details", has=explanation).locator("summary").click()
    assert explanation.is_visible()
    page.keyboard.press("Space")
    assert not explanation.is_visible()
    page.keyboard.press("a")  # in JupyterLab's command mode: a new cell
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.get_by_text("is too small for float32 and becomes 0").is_visible()
    assert page.locator(".jp-CodeCell").count() == len(CELLS)


def test_random_interactions_on_a_narrow_page(jupyterlab):
    """The widget fits a phone's page, and random interaction causes no error in the page or in the kernel."""
    page = jupyterlab.page
    page.set_viewport_size({"width": 390, "height": 900})
    widget = jupyterlab.widget("break it")
    page.wait_for_timeout(500)
    scroll, client = widget.box.evaluate("e => [e.scrollWidth, e.clientWidth]")
    assert scroll <= client + 1
    choice = random.Random(0)
    for _ in range(30):
        if choice.random() < 0.15:
            menu = widget.control(choice.choice(("room", "object", "gap", "break it"))).locator("select")
            menu.select_option(index=choice.randrange(menu.locator("option").count()))
        else:
            handles = widget.box.locator(".noUi-handle")
            handles.nth(choice.randrange(handles.count())).focus()
            page.keyboard.press(choice.choice(("ArrowRight", "ArrowLeft", "Home", "End", "PageUp", "PageDown")))
    widget.settle()
    page.set_viewport_size({"width": 1000, "height": 900})
    assert "Error" not in widget.text()
