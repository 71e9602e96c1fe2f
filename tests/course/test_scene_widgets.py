"""Composer, playground and own photos without a browser: what moving a control does."""

import datetime
import io

import ipywidgets
import numpy as np
import pytest
from PIL import Image

from maskdepth_utils.course import widgets
from maskdepth_utils.course.widgets import HARD_SCENES, Setup, photo_widget, scene_widgets
from maskdepth_utils.data import library
from maskdepth_utils.inference.predictor import Prediction


class LeftHalf:
    """A predictor that finds an object in the left half, 3 m away."""

    def predict(self, image, background, fov=60.0, eye_height=1.5):
        mask = np.zeros(np.shape(image)[:2], np.float32)
        mask[:, : mask.shape[1] // 2] = 1
        return Prediction(mask, np.full(mask.shape, 3.0 * eye_height / 1.5, np.float32))


def note_of(box):
    return next(child.value for child in box.children if isinstance(child, ipywidgets.HTML))


def tiles_of(box):
    """The pictures as arrays."""
    images = {name: image.value for name, image in box.tiles.images.items()}
    return {name: np.asarray(Image.open(io.BytesIO(value))) for name, value in images.items() if value}


def test_the_composer_shows_the_scene_of_its_controls():
    box = widgets.composer(distance=2.5)
    first = tiles_of(box)
    box.controls["distance"].value = 4.0
    tiles = tiles_of(box)
    assert {name for name in tiles if not np.array_equal(tiles[name], first[name])} == {"image", "mask", "depth"}
    setup = widgets.current_setup(box.controls)
    assert setup == Setup(library.room_names("test")[0], library.object_names("test")[0], distance=4.0)
    scene = widgets.build_scene(setup)
    assert all(tile.shape == (320, 320, 3) for tile in tiles.values())
    assert np.array_equal(tiles["image"][::2, ::2][:100], scene.image[:100])  # above the cross
    assert tuple(tiles["image"][241, 161]) == (255, 255, 255)
    assert tiles["depth"][:, 160].sum() > 0 and f"{scene.depth[120, 80]:.2f} m" in note_of(box)
    box.set(azimuth=28, distance=1.6)
    assert "out of the picture" in note_of(box) or "in the data" in note_of(box)


def test_the_playground_scores_network_and_threshold():
    box = widgets.playground(LeftHalf())
    mask = box.tiles.images["mask"].value
    assert "IoU <b>" in note_of(box) and "RMSE" in note_of(box)
    box.controls["azimuth"].value = -10.0
    assert box.tiles.images["mask"].value != mask
    other = widgets.playground(LeftHalf(), "val")
    assert "preset" not in other.controls and "IoU <b>" in note_of(other)


def test_the_playgrounds_presets_and_sliders_follow_each_other():
    box = widgets.playground(LeftHalf(), preset="heavy noise")
    assert widgets.current_setup(box.controls) == HARD_SCENES["heavy noise"]
    box.controls["noise"].value = 1.0
    assert box.controls["preset"].value == "nothing special"  # the same scene without the noise
    box.controls["distance"].value = 4.0
    assert box.controls["preset"].value == scene_widgets.OWN_SCENE
    box.set(preset="window behind")
    assert widgets.current_setup(box.controls) == HARD_SCENES["window behind"]


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda: widgets.composer(colour=3), "unknown settings colour: expected some of room, object"),
        (lambda: widgets.playground(LeftHalf(), preset="x"), "preset: expected one of nothing special, .*found 'x'"),
    ],
)
def test_wrong_start_values_are_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()


def test_an_error_becomes_words_and_the_widget_goes_on(monkeypatch):
    box = widgets.composer()

    def fail(setup):
        raise ValueError("too <far> away")

    monkeypatch.setattr(scene_widgets, "build_scene", fail)
    box.controls["distance"].value = 5.0
    assert "too &lt;far&gt; away" in note_of(box)
    monkeypatch.undo()
    box.controls["distance"].value = 4.0
    assert "Under the cross" in note_of(box)


def upload(control, content: bytes, name="a.png"):
    """Set a FileUpload's value as the browser does: a dict in version 7 of ipywidgets, a tuple in version 8."""
    when = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)
    file = {"name": name, "type": "image/png", "size": len(content), "content": memoryview(content)}
    old = {name: {"content": content, "metadata": {}}}
    control.set_trait("value", old if ipywidgets.__version__.startswith("7.") else (file | {"last_modified": when},))


def as_png(size):
    buffer = io.BytesIO()
    Image.new("RGB", size, (90, 120, 150)).save(buffer, "PNG")
    return buffer.getvalue()


def test_own_photos_are_predicted_and_can_be_saved():
    box = widgets.own_photos(LeftHalf())
    upload(box.controls["photo"], as_png((80, 60)))
    assert "Choose a photo" in note_of(box) and box.links.value == ""
    upload(box.controls["background"], as_png((80, 60)))
    assert "covers 50.0% of the picture and is about 3.0 m away" in note_of(box)
    assert box.links.value.count("download=") == 3
    assert tiles_of(box)["cutout"].shape == (60, 80, 4)
    box.controls["eye_height"].value = 3.0
    assert "about 6.0 m away" in note_of(box)


@pytest.mark.parametrize(
    "content, words", [(b"no picture", "no picture that can be read"), (as_png((70, 60)), "equal sizes")]
)
def test_a_bad_upload_is_reported_in_place(content, words):
    box = widgets.own_photos(LeftHalf())
    upload(box.controls["photo"], as_png((80, 60)))
    upload(box.controls["background"], content)
    assert words in note_of(box)


def test_uploads_of_version_7_of_ipywidgets_are_read():
    class Upload:
        value = {"a.png": {"content": as_png((40, 40)), "metadata": {}}}

    assert photo_widget.read_upload(Upload(), "photo").size == (40, 40)
