"""Film the playground of notebook 07 while its lamp moves: the picture at the top of README.md.

    python docs/draw_readme.py    # about two minutes; writes data/results/playground.webp

The widget runs in JupyterLab in Chromium, and its slider is moved by the keyboard, as a reader would do it. Run it
again when the widget or the network changes.
"""

import io
import sys
import tempfile
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "notebooks" / "tools")]

from lab import open_browser, open_notebook  # noqa: E402  (after the path to it)

from maskdepth_utils.files import write_file  # noqa: E402

PICTURE = ROOT / "data" / "results" / "playground.webp"
CODE = """from maskdepth_utils import load_pretrained
from maskdepth_utils.course import widgets

box = widgets.playground(load_pretrained())
box.set(room="room_test_057", object="test_014_modern_armchair", yaw=1, distance=2.5, azimuth=3,
        lamp=0.8, lamp_x=-2.4, lamp_z=1.2, lamp_height=2.2, lamp_radius=0.05)"""
LAMP = "to the right, m"  # the slider that is moved
LAST = 2.4  # metres
HIDDEN = ("Try this", "Scene", "Gap between the two shots", "Difference threshold", "True depth", "Depth error")
WIDTH = 830  # pixels: four pictures in a row
MILLISECONDS = 90  # of a frame
HIDE = "(title) => { title.closest('.widget-vbox').style.display = 'none'; }"


def film(sheet) -> list[Image.Image]:
    """Return a picture of the widget for each place of the lamp."""
    widget = sheet.widget(LAMP)
    widget.box.evaluate(f"(box) => {{ box.style.width = '{WIDTH}px'; }}")
    for title in HIDDEN:
        widget.box.locator(f'b:text-is("{title}")').evaluate(HIDE)
    frames = []
    while True:
        widget.settle()
        frames.append(Image.open(io.BytesIO(widget.box.screenshot())).convert("RGB"))
        if widget.readout(LAMP) >= LAST:
            return frames
        widget.press(LAMP, "ArrowRight", 2)


def main():
    with tempfile.TemporaryDirectory() as folder, open_browser() as browser:
        with open_notebook(browser, Path(folder), [CODE]) as sheet:
            frames = film(sheet)
    frames += frames[-2:0:-1]  # and back again
    file = io.BytesIO()
    options = {"duration": MILLISECONDS, "loop": 0, "quality": 80, "method": 6}
    frames[0].save(file, "WEBP", save_all=True, append_images=frames[1:], **options)
    write_file(PICTURE, file.getvalue())
    print(f"{PICTURE.relative_to(ROOT)}: {len(frames)} frames, {file.tell() / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
