"""Composer, playground and own photos without a browser: what moving a control does."""

import datetime
import io

import numpy as np
import pytest
from PIL import Image

from maskdepth_utils.course import widgets
from maskdepth_utils.course.widgets import HARD_SCENES, Setup, photo_widget, scene_widgets
from maskdepth_utils.data import library
from maskdepth_utils.inference.photos import check_sizes
from maskdepth_utils.inference.predictor import Prediction


class LeftHalf:
    """A predictor that finds an object in the left half, 3 m away."""

    def predict(self, image, background, fov=60.0, eye_height=1.5):
        check_sizes(image, background)
        mask = np.zeros(np.shape(image)[:2], np.float32)
        mask[:, : mask.shape[1] // 2] = 1
        return Prediction(mask, np.full(mask.shape, 3.0 * eye_height / 1.5, np.float32), "not a pair")


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
    assert tiles["depth"][:, 160].sum() > 0 and f"{scene.depth[120, 80]:.2f} m" in box.note.value
    box.set(azimuth=28, distance=1.6)
    assert "out of the picture" in box.note.value or "in the data" in box.note.value


def test_the_shadow_turns_with_the_lamp():
    box = widgets.composer(distance=2.5, gap="none")
    empty = tiles_of(box)
    box.controls["lamp"].value = 0.6
    shadows = {}
    for side in (-2.0, 2.0):
        box.controls["lamp_x"].value = side
        tiles = tiles_of(box)
        assert {name for name in tiles if not np.array_equal(tiles[name], empty[name])} == {"image"}
        shadows[side] = np.nonzero((tiles["image"] < empty["image"]).any(-1))[1].mean()
    assert shadows[-2.0] > shadows[2.0] + 20  # a lamp at the left casts the shadow to the right


def test_the_playgrounds_presets_and_sliders_follow_each_other():
    box = widgets.playground(LeftHalf())
    box.set(preset="heavy noise")
    assert "IoU <b>" in box.note.value and "RMSE" in box.note.value
    assert widgets.current_setup(box.controls) == HARD_SCENES["heavy noise"]
    box.controls["noise"].value = 1.0
    assert box.controls["preset"].value == "nothing special"  # the same scene without the noise
    box.controls["distance"].value = 4.0
    assert box.controls["preset"].value == scene_widgets.OWN_SCENE
    box.set(preset="window behind")
    assert widgets.current_setup(box.controls) == HARD_SCENES["window behind"]


def test_wrong_values_are_refused():
    for settings, words in (
        ({"colour": 3}, "unknown settings colour: expected some of room, object"),
        ({"gap": "wide"}, "gap: expected one of none, .*found 'wide'"),
        ({"noise": 99}, "noise: expected 0 to 8; found 99"),
    ):
        with pytest.raises(ValueError, match=words):
            widgets.composer(**settings)


def test_an_error_becomes_a_message_and_the_widget_still_works(monkeypatch):
    box = widgets.composer()

    def fail(setup):
        raise ValueError("too <far> away")

    monkeypatch.setattr(scene_widgets, "build_scene", fail)
    box.controls["distance"].value = 5.0
    assert "too &lt;far&gt; away" in box.note.value
    monkeypatch.undo()
    box.controls["distance"].value = 4.0
    assert "Under the cross" in box.note.value


def upload(control, content: bytes, name="a.png"):
    """Set a FileUpload's value as the browser does."""
    when = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)
    file = {"name": name, "type": "image/png", "size": len(content), "content": memoryview(content)}
    control.set_trait("value", (file | {"last_modified": when},))


def as_png(size):
    buffer = io.BytesIO()
    Image.new("RGB", size, (90, 120, 150)).save(buffer, "PNG")
    return buffer.getvalue()


def test_own_photos_are_predicted_and_can_be_saved():
    box = widgets.own_photos(LeftHalf())
    upload(box.controls["photo"], as_png((80, 60)))
    assert "Still missing: background." in box.note.value and "10 MB" in box.note.value and box.links.value == ""
    upload(box.controls["background"], as_png((80, 60)))
    assert "covers 50.0% of the picture and is about 3.0 m away" in box.note.value
    assert "<b>Warning</b>: not a pair" in box.note.value
    assert box.links.value.count("download=") == 3
    assert tiles_of(box)["cutout"].shape == (240, 320, 4)
    box.controls["eye_height"].value = 3.0
    assert "about 6.0 m away" in box.note.value


@pytest.mark.parametrize(
    "content, words",
    [(b"no picture", "background: b.png is not a readable picture"), (as_png((70, 60)), "expected equal sizes")],
)
def test_a_bad_upload_is_reported_in_place_of_the_pictures(content, words):
    box = widgets.own_photos(LeftHalf())
    for name, file in (("photo", as_png((80, 60))), ("background", as_png((80, 60))), ("background", content)):
        upload(box.controls[name], file, "b.png")
    assert words in box.note.value and tiles_of(box) == {} and box.links.value == ""


def test_uploads_of_version_7_of_ipywidgets_are_read():
    class Upload:
        value = {"a.png": {"content": as_png((40, 40)), "metadata": {}}}

    assert photo_widget.read_upload(Upload(), "photo").shape == (40, 40, 3)
