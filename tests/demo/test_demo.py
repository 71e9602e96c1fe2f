"""The page "Try it" in a real browser, as a reader uses it, and its numbers beside those of the package.

The tests need Chromium and, to build the page for the first time, npm (README). Without one of them they are skipped,
or fail where MASKDEPTH_BROWSER=required or MASKDEPTH_NPM=required says that it is there.
"""

import base64
import contextlib
import functools
import http.server
import io
import os
import random
import re
import sys
import threading
import time

import numpy as np
import pytest
from notebook_files import ROOT
from PIL import Image

from maskdepth_utils import load_pretrained
from maskdepth_utils.inference.photos import cut_out

sys.path.append(str(ROOT / "demo"))

import build_demo  # noqa: E402  (after the path to it)

pytestmark = [pytest.mark.browser, pytest.mark.slow]
# What the page shows; the numbers of a test come out of the page's own module.
IMPORT = "async () => { window.demo = await import('./try.js'); }"
CHANGED = "window.demo.shown !== window.before && document.getElementById('panels').ariaBusy === 'false'"
NUMBERS = """(name) => {
  const bytes = Array.from(new Uint8Array(window.demo.shown[name].buffer), (byte) => String.fromCharCode(byte));
  return [btoa(bytes.join("")), window.demo.shown.photo.pixels.width];
}"""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The address of a server on this machine that serves the page."""
    folder = tmp_path_factory.mktemp("demo")
    try:
        build_demo.build(folder / "demo")
    except build_demo.PageError as error:
        (pytest.fail if os.environ.get("MASKDEPTH_NPM") == "required" else pytest.skip)(str(error))
    handler = functools.partial(QuietHandler, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


@pytest.fixture(scope="module")
def loaded_page(browser, site):
    """The page with its first example, in which no test may cause an error or a request to another host."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.set_default_timeout(240_000)  # a slow page on a busy machine is not broken
    page.problems = []
    page.on("console", lambda message: page.problems.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: page.problems.append(str(error)))
    own = (site, "data:", "blob:")
    page.on("request", lambda request: request.url.startswith(own) or page.problems.append(request.url))
    page.goto(f"{site}demo/")
    page.evaluate(IMPORT)
    page.wait_for_function("window.demo.shown")
    yield page
    page.close()


@pytest.fixture
def page(loaded_page):
    yield loaded_page
    assert not loaded_page.problems


@pytest.fixture(scope="module")
def predictor():
    return load_pretrained(device="cpu")


def status(page) -> str:
    return page.inner_text("#status")


@contextlib.contextmanager
def prediction(page):
    """Wait for the prediction that the block causes."""
    page.evaluate("window.before = window.demo.shown")
    yield
    page.wait_for_function(CHANGED)


def choose(page, number: int) -> None:
    with prediction(page):
        page.locator(".thumb").nth(number).click()


def wait_for(page, words: str) -> None:
    """Wait until the page says these words."""
    page.wait_for_function("(words) => document.getElementById('status').textContent.includes(words)", arg=words)


def upload(page, slot: str, name: str, content: bytes, kind: str = "image/png") -> None:
    page.locator(f"[data-slot={slot}] input").first.set_input_files({"name": name, "mimeType": kind, "buffer": content})


def to_png(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(array).save(file, "PNG")
    return file.getvalue()


def read_numbers(page, name: str) -> np.ndarray:
    """The "mask" or "depth" of the prediction on the page."""
    content, width = page.evaluate(NUMBERS, name)
    return np.frombuffer(base64.b64decode(content), np.float32).reshape(-1, width)


def read_pair(page, site, number: int) -> list[np.ndarray]:
    """Photo and background of an example, as the server has them."""
    button = page.locator(".thumb").nth(number)
    urls = [f"{site}demo/{button.get_attribute(f'data-{slot}')}" for slot in ("photo", "background")]
    return [np.asarray(Image.open(io.BytesIO(page.request.get(url).body()))) for url in urls]


def test_predictions_are_those_of_python(page, site, predictor):
    for number in range(page.locator(".thumb").count()):
        choose(page, number)
        expected = predictor.predict(*read_pair(page, site, number))
        assert np.abs(read_numbers(page, "mask") - expected.mask).max() < 2e-3
        assert np.abs(read_numbers(page, "depth") - expected.depth).max() < 0.01
    assert number == 11


def test_a_prediction_takes_at_most_ten_times_as_long_as_in_python(page, site):
    """One thread in both: the page has one, too."""
    onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    content = page.request.get(f"{site}demo/maskdepthnet.onnx").body()
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    pictures = np.random.default_rng(0).random((2, 1, 3, 160, 160), np.float32)
    python, browser = [], []
    for number in range(6):
        begin = time.perf_counter()
        session.run(None, dict(zip(("image", "background"), pictures)))
        python.append(1000 * (time.perf_counter() - begin))
        choose(page, number)
        browser.append(page.evaluate("window.demo.shown.milliseconds"))
    print(f"{min(browser):.0f} ms in the browser, {min(python):.0f} ms in Python")
    assert min(browser) < 10 * min(python)


@pytest.mark.parametrize("size", [(320, 241), (100, 140), (48, 200)], ids=str)
def test_photos_of_other_sizes(page, site, predictor, size):
    """As in Python without the refinement, up to OpenCV's rounding of colours where a photo is enlarged."""
    pair = [np.asarray(Image.fromarray(one).resize(size, Image.BICUBIC)) for one in read_pair(page, site, 0)]
    choose(page, 0)
    upload(page, "photo", "photo.png", to_png(pair[0]))
    wait_for(page, "Now choose the background")
    with prediction(page):
        upload(page, "background", "background.png", to_png(pair[1]))
    mask, depth = read_numbers(page, "mask"), read_numbers(page, "depth")
    expected = predictor.predict(*pair, refine=False)
    assert mask.shape == expected.mask.shape
    assert np.abs(mask - expected.mask).mean() < 1e-3 and np.abs(mask - expected.mask).max() < 0.2
    assert np.abs(depth - expected.depth).max() < 0.2


def test_a_large_photo_is_reduced_and_turned_upright(page):
    choose(page, 0)
    file, turned = io.BytesIO(), Image.Exif()
    turned[0x0112] = 6  # the orientation of a photo taken with the phone upright
    Image.new("RGB", (3000, 700)).save(file, "JPEG", exif=turned)
    upload(page, "photo", "large.jpg", file.getvalue(), "image/jpeg")
    wait_for(page, "Now choose the background")
    size = page.locator("[data-slot=photo] canvas").evaluate("(canvas) => [canvas.width, canvas.height]")
    assert size == [478, 2048]


def test_bad_files_are_named_in_words(page, site):
    photo, background = read_pair(page, site, 1)
    png = to_png(photo)
    choose(page, 1)
    cases = (
        ("photo", "notes.txt", b"no picture", "text/plain", "notes.txt is not a picture"),
        ("photo", "IMG_1.heic", b"\0\0\0\x18ftypheic" + bytes(50), "image/heic", "HEIC, an iPhone's format"),
        ("photo", "broken.png", png[:60] + bytes(200), "image/png", "broken.png is damaged"),
        ("photo", "tiny.png", to_png(photo[:20]), "image/png", "at least 32 pixels"),
        ("background", "empty.png", to_png(background), "image/png", "Now choose the photo"),
        ("photo", "low.png", to_png(photo[:100]), "image/png", "expected equal sizes, found 160 × 100 and 160 × 160"),
        ("photo", "photo.png", png, "image/png", "Your own photos. The object is about"),
    )
    for slot, name, content, kind, words in cases:
        upload(page, slot, name, content, kind)
        wait_for(page, words)


def test_two_photos_are_dropped_and_swapped(page, site):
    dropped = {name: list(to_png(one)) for name, one in zip(("b.png", "a.png"), read_pair(page, site, 2))}
    drop = """(dropped) => {
      const files = new DataTransfer();
      for (const [name, bytes] of Object.entries(dropped)) {
        files.items.add(new File([new Uint8Array(bytes)], name, { type: "image/png" }));
      }
      document.body.dispatchEvent(new DragEvent("drop", { dataTransfer: files, bubbles: true, cancelable: true }));
    }"""
    with prediction(page):
        page.evaluate(drop, dropped)
    mask = read_numbers(page, "mask")
    with prediction(page):
        page.get_by_role("button", name="Swap").click()
    assert not np.array_equal(mask, read_numbers(page, "mask"))
    page.evaluate(drop, dropped | {"c.png": [1, 2, 3]})
    assert "found 3 files" in status(page)


def test_the_threshold_moves_the_mask_and_the_cutout_is_saved(page, site):
    choose(page, 1)
    share = page.locator("#share")
    page.locator("#threshold").fill("0.5")
    before = float(share.inner_text().split()[0])
    page.locator("#threshold").focus()
    for _ in range(20):
        page.keyboard.press("ArrowRight")
    assert page.inner_text("#threshold-value") == "0.70" and float(share.inner_text().split()[0]) < before
    page.locator("#threshold").fill("0.5")
    with page.expect_download() as download:
        page.get_by_role("button", name="Save cutout").click()
    assert download.value.suggested_filename == "cutout.png"
    cutout = np.asarray(Image.open(download.value.path())).astype(int)
    mask = read_numbers(page, "mask")
    assert cutout.shape == (160, 160, 4)
    assert np.abs(cutout - cut_out(read_pair(page, site, 1)[0], mask))[..., 3].max() <= 1


def test_metres_under_the_pointer_and_by_keyboard(page):
    choose(page, 3)
    depth = read_numbers(page, "depth")
    canvas = page.locator("#depth")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    page.mouse.move(box["x"] + 0.501 * box["width"], box["y"] + 0.751 * box["height"])
    assert page.inner_text("#metres") == f"{depth[120, 80]:.2f} m"
    canvas.focus()
    page.keyboard.press("ArrowUp")
    assert page.inner_text("#metres") == f"{depth[116, 80]:.2f} m"
    assert float(page.inner_text("#nearest").split()[0]) == pytest.approx(depth.min(), abs=0.06)
    assert "near" in page.inner_text(".bar")


def test_a_phone_shows_progress_and_measures_under_the_finger(browser, site):
    page, held = browser.new_page(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True), []
    page.set_default_timeout(240_000)
    page.route("**/maskdepthnet.onnx", lambda route: held.append(route))
    page.goto(f"{site}demo/")
    page.wait_for_function("document.getElementById('progress').value > 0")
    bar = page.locator("#progress")
    assert bar.is_visible() and bar.evaluate("(bar) => bar.value < bar.max")
    while not held:
        page.wait_for_timeout(50)
    held[0].continue_()
    page.evaluate(IMPORT)
    page.wait_for_function("window.demo.shown")
    assert bar.is_hidden() and page.get_by_label("Photo: use the camera").is_visible()
    canvas, depth = page.locator("#depth"), read_numbers(page, "depth")
    box = canvas.bounding_box()
    canvas.tap(position={"x": 0.751 * box["width"], "y": 0.501 * box["height"]})
    assert page.inner_text("#metres") == f"{depth[80, 120]:.2f} m"
    page.close()


def test_the_points_turn_by_mouse_and_by_keyboard(page):
    space = page.locator("#space")
    space.scroll_into_view_if_needed()

    def picture():
        page.wait_for_timeout(200)
        return np.asarray(Image.open(io.BytesIO(space.screenshot())).convert("L")).astype(int)

    shots = [picture()]
    box = space.bounding_box()
    page.mouse.move(box["x"] + 300, box["y"] + 150)
    page.mouse.down()
    page.mouse.move(box["x"] + 400, box["y"] + 160, steps=3)
    page.mouse.up()
    shots.append(picture())
    space.focus()
    page.keyboard.press("ArrowLeft")
    shots.append(picture())
    page.get_by_role("button", name="Zoom in").click()
    shots.append(picture())
    assert shots[0].std() > 10
    assert all(np.abs(a - b).mean() > 0.5 for a, b in zip(shots, shots[1:]))


def test_everything_has_a_name_and_can_be_reached_by_keyboard(page):
    unnamed = """() => [...document.querySelectorAll("button, input, canvas, a, progress")].filter((one) =>
      !(one.ariaLabel || one.textContent.trim() || one.labels?.length)).map((one) => one.outerHTML)"""
    assert page.evaluate(unnamed) == []
    page.evaluate("document.activeElement.blur(); window.getSelection().collapse(document.body, 0)")
    reached, name = set(), "document.activeElement.closest('[data-slot]')?.dataset.slot ?? document.activeElement.id"
    for _ in range(40):
        page.keyboard.press("Tab")
        reached.add(page.evaluate(name))
    assert {"threshold", "cutout", "depth", "space", "reset", "swap", "photo", "background"} <= reached


@pytest.mark.parametrize("width, scheme", [(1280, "light"), (390, "dark")])
def test_the_page_fits_and_follows_the_readers_colours(page, width, scheme):
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme=scheme)
    choose(page, 0)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (light == "rgb(255, 255, 255)") == (scheme == "light")
    page.set_viewport_size({"width": 1280, "height": 900})


def test_random_actions(page, site):
    choice = random.Random(0)
    good, other = (to_png(one) for one in read_pair(page, site, 5))
    actions = {
        "example": lambda: page.locator(".thumb").nth(choice.randrange(12)).click(),
        "key": lambda: page.keyboard.press(choice.choice(("Tab", "ArrowRight", "ArrowDown", "Home", "Enter", "Space"))),
        "slider": lambda: page.locator("#threshold").fill(f"{choice.randrange(2, 98) / 100:.2f}"),
        "photo": lambda: upload(page, "photo", "photo.png", choice.choice((good, other, b"x"))),
        "background": lambda: upload(page, "background", "background.png", choice.choice((good, other, b"x"))),
        "button": lambda: page.locator(f"#{choice.choice(('nearer', 'farther', 'reset'))}").click(),
        "point": lambda: page.locator("#depth").hover(position={"x": choice.randrange(200), "y": 100}),
        "swap": lambda: page.evaluate("document.getElementById('swap').click()"),
    }
    for _ in range(60):
        actions[choice.choice(list(actions))]()
    page.wait_for_timeout(200)
    page.wait_for_function("document.getElementById('panels').ariaBusy === 'false'")
    choose(page, 0)
    assert re.search(r"about \d+\.\d m away", status(page))


def test_without_the_network_the_page_says_so(browser, site):
    page = browser.new_page()
    page.route("**/maskdepthnet.onnx", lambda route: route.fulfill(status=404))
    page.goto(f"{site}demo/")
    wait_for(page, "maskdepthnet.onnx: the server answered 404")
    page.close()


def test_where_npm_is_missing_the_page_is_left_out(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(build_demo, "CACHE", tmp_path / "cache")
    monkeypatch.setenv("PATH", "")
    assert not build_demo.build_if_possible(tmp_path / "demo")
    assert "npm is not installed" in capsys.readouterr().err
