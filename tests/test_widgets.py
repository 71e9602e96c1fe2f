"""The widgets without a browser: what moving a control does."""

import datetime
import io

import ipywidgets
import numpy as np
import pytest
from PIL import Image

from maskdepth_utils.course import widgets
from maskdepth_utils.course.widgets.scene import BREAK_IT, Setup, build, draw_scene
from maskdepth_utils.course.widgets.scene_box import OWN, uploaded
from maskdepth_utils.data import library
from maskdepth_utils.inference.predictor import Prediction


class Half:
    """A predictor that finds an object in the left half, 3 m away."""

    def predict(self, image, background, fov=60.0, eye_height=1.5):
        image = np.asarray(image)
        mask = np.zeros(image.shape[:2], np.float32)
        mask[:, : mask.shape[1] // 2] = 1
        return Prediction(mask, np.full(mask.shape, 3.0 * eye_height / 1.5, np.float32))


def note_of(box):
    """The line of words, the first text that is no title."""
    return next(child for child in box.children if isinstance(child, ipywidgets.HTML))


def picture(value: bytes):
    return np.asarray(Image.open(io.BytesIO(value)))


def test_the_composer_shows_what_its_controls_say():
    box = widgets.composer(distance=2.5)
    first = {name: image.value for name, image in box.tiles.images.items()}
    box.controls["distance"].value = 4.0
    changed = {name for name, image in box.tiles.images.items() if image.value != first[name]}
    assert changed == {"image", "mask", "depth"}
    setup = widgets.setup_of(box.controls)
    assert setup == Setup(library.room_names("test")[0], library.object_names("test")[0], distance=4.0)
    scene = build(setup)
    assert box.tiles.images["image"].value == draw_scene(scene, (80, 120))["image"]
    note = note_of(box)
    assert f"{scene.depth[120, 80]:.2f} m" in note.value
    box.controls["azimuth"].value = 28
    box.controls["distance"].value = 1.6
    assert "data" in note.value or "out of the picture" in note.value  # why the data have no such sample


def test_the_playground_scores_network_and_threshold():
    box = widgets.playground(Half())
    note, mask = note_of(box), box.tiles.images["mask"].value
    assert "IoU <b>" in note.value and "RMSE" in note.value
    box.controls["azimuth"].value = -10.0
    assert box.tiles.images["mask"].value != mask


def test_the_playgrounds_presets_and_sliders_follow_each_other():
    box = widgets.playground(Half(), preset="heavy noise")
    assert widgets.setup_of(box.controls) == BREAK_IT["heavy noise"]
    box.controls["noise"].value = 1.0
    assert box.controls["preset"].value == "nothing special"  # the same scene without the noise
    box.controls["distance"].value = 4.0
    assert box.controls["preset"].value == OWN
    box.controls["preset"].value = "nothing special"
    assert widgets.setup_of(box.controls) == BREAK_IT["nothing special"]
    with pytest.raises(ValueError, match="preset: expected one of nothing special, .*found 'nonsense'"):
        widgets.playground(Half(), preset="nonsense")


def test_the_playground_takes_other_splits_and_says_what_it_cannot():
    box = widgets.playground(Half(), "val")
    assert "preset" not in box.controls and "IoU <b>" in note_of(box).value
    half = Half()
    half.predict = lambda *pair: Prediction(Half().predict(*pair).mask, None)
    assert "without the depth" in note_of(widgets.playground(half)).value


def test_a_mistake_in_the_start_values_is_said():
    with pytest.raises(ValueError, match="unknown settings colour: expected some of room, object"):
        widgets.composer(colour=3)


def test_an_error_is_words_and_the_widget_goes_on(monkeypatch):
    box = widgets.composer()
    monkeypatch.setattr(widgets, "build", lambda setup: (_ for _ in ()).throw(ValueError("too <far> away")))
    box.controls["distance"].value = 5.0
    assert "too &lt;far&gt; away" in note_of(box).value
    monkeypatch.undo()
    box.controls["distance"].value = 4.0
    assert "Under the cross" in note_of(box).value


def file(content: bytes, name="a.png"):
    when = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)
    content = memoryview(content)
    return {"name": name, "type": "image/png", "size": len(content), "content": content, "last_modified": when}


def put(upload, one):
    """As the browser does: version 7 of ipywidgets has a dict that only it may set, version 8 a tuple."""
    old = {one["name"]: {"content": bytes(one["content"]), "metadata": {}}}
    upload.set_trait("value", old if ipywidgets.__version__.startswith("7.") else (one,))


def as_png(size):
    buffer = io.BytesIO()
    Image.new("RGB", size, (90, 120, 150)).save(buffer, "PNG")
    return buffer.getvalue()


def test_own_photos_are_predicted_and_can_be_saved():
    box = widgets.own_photos(Half())
    note, links = note_of(box), box.links
    assert "Choose a photo" in note.value and links.value == ""
    put(box.controls["photo"], file(as_png((80, 60))))
    assert "Choose a photo" in note.value
    put(box.controls["background"], file(as_png((80, 60))))
    assert "covers 50.0% of the picture and is about 3.0 m away" in note.value
    assert links.value.count("download=") == 3
    assert picture(box.tiles.images["cutout"].value).shape == (60, 80, 4)
    box.controls["eye_height"].value = 3.0
    assert "about 6.0 m away" in note.value


@pytest.mark.parametrize(
    "content, words", [(b"no picture", "no picture that can be read"), (as_png((70, 60)), "equal sizes")]
)
def test_a_bad_upload_is_said_in_place(content, words):
    box = widgets.own_photos(Half())
    put(box.controls["photo"], file(as_png((80, 60))))
    put(box.controls["background"], file(content))
    assert words in note_of(box).value


def test_uploads_of_both_versions_of_ipywidgets():
    class Upload:
        value = {"a.png": {"content": as_png((40, 40)), "metadata": {}}}  # version 7

    assert uploaded(Upload(), "photo").size == (40, 40)
