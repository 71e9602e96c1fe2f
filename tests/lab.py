"""A notebook in JupyterLab, Notebook 7 or Voila, and a reader's mouse and keyboard on its page.

Used by the browser tests, and by docs/draw_readme.py.
"""

import contextlib
import io
import json
import os
import re
import secrets
import shlex
import shutil
import socket
import subprocess
import sys
import time

import nbformat
import numpy as np
from notebook_files import KERNEL, NOTEBOOKS
from PIL import Image

ICONS = "https://cdn.jsdelivr.net/npm/@fortawesome/**"  # Voila asks for two style sheets of icons
# Where each front end (its Python module) shows a notebook.
PAGES = {"jupyterlab": "doc/tree", "notebook": "notebooks", "voila": "voila/render"}
APPS = {"jupyterlab": "LabApp", "notebook": "JupyterNotebookApp"}
# Otherwise both attach only the cells in view, and JupyterLab asks whether to fetch news from the internet.
SETTINGS = {
    "@jupyterlab/notebook-extension:tracker": {"windowingMode": "none"},
    "@jupyterlab/apputils-extension:notification": {"fetchNews": "false"},
}
# Errors of the front ends themselves, with any notebook: Notebook 7 reports one at its start (jupyter/notebook#7862),
# Voila if an extension made for JupyterLab only is installed, as jupytext's is.
KNOWN_ERRORS = {
    "notebook": "Cannot read properties of undefined (reading 'schema')",
    "voila": "The getter for the shared module is not a function",
}
RUN_ALL_CELLS = """async () => {
  await jupyterapp.shell.currentWidget.sessionContext.ready;
  await jupyterapp.commands.execute("notebook:run-all-cells");
}"""
PIXELS = """async (image) => {
  await image.decode();
  const bytes = new Uint8Array(await (await fetch(image.src)).arrayBuffer());
  return Array.from(bytes);
}"""


def find_chromium() -> str | None:
    """Return the path of a Chromium or Chrome; None if there is none."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)


@contextlib.contextmanager
def open_browser():
    """Yield a running Chromium, driven by playwright."""
    from playwright.sync_api import sync_playwright

    flags = ["--no-sandbox", "--disable-gpu", "--enable-unsafe-swiftshader"]  # WebGL without a graphics card
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=flags)
        yield browser
        browser.close()


@contextlib.contextmanager
def open_notebook(browser, folder, cells: list[str], front_end: str = "jupyterlab"):
    """Start a server of a front end in `folder`; yield the page of a notebook of these code cells, all of them run."""
    settings, notebooks, token = folder / "labconfig", folder / "notebooks", secrets.token_hex(16)
    settings.mkdir()
    (settings / "default_setting_overrides.json").write_text(json.dumps(SETTINGS))
    notebooks.mkdir()
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    notebook.metadata["kernelspec"] = KERNEL
    nbformat.write(notebook, notebooks / "all.ipynb")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    recipes = (NOTEBOOKS.parent / "Makefile").read_text(encoding="utf8").replace("\\\n", "")
    module = "voila" if front_end == "voila" else "jupyterlab"  # started as `make app` and `make lab` do
    options = shlex.split(re.search(rf"-m {module} notebooks\S* (.*)", recipes)[1].removesuffix(" $(ARGS)"))
    if front_end == "voila":
        options += [f"--Voila.port={port}"]
    else:
        options += ["--allow-root", "--ServerApp.ip=127.0.0.1", f"--ServerApp.port={port}"]
        options += [f"--IdentityProvider.token={token}", f"--{APPS[front_end]}.expose_app_in_browser=True"]
    command = [sys.executable, "-m", front_end, notebooks, "--no-browser", *options]
    environment = os.environ | {"JUPYTER_CONFIG_DIR": str(folder), "JUPYTER_RUNTIME_DIR": str(folder / "runtime")}
    log = folder / "log"
    with open(log, "w") as file, subprocess.Popen(command, stdout=file, stderr=file, env=environment) as process:
        page = browser.new_page(viewport={"width": 1000, "height": 900})
        page.set_default_timeout(240_000)  # a slow page on a busy machine is not broken
        try:
            wait_for_server(process, port, log)
            yield Sheet(page, log, front_end, f"http://127.0.0.1:{port}", token)
        finally:
            page.close()
            process.kill()  # its kernels end with it


def wait_for_server(process, port, log):
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5):
            return
        assert process.poll() is None, log.read_text()
        time.sleep(0.5)


class Sheet:
    """A notebook open in a page, and its widgets as a reader uses them: by label, with mouse and keyboard."""

    def __init__(self, page, log, front_end: str, address: str, token: str):
        self.page, self.log, self.front_end, self.errors = page, log, front_end, []
        page.on("console", lambda message: self.errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.route(ICONS, lambda route: route.fulfill(content_type="text/css", body=""))
        if front_end != "voila":  # a slow server's page would ask for a kernel, and take another one later
            session = {"path": "all.ipynb", "name": "all", "type": "notebook", "kernel": {"name": KERNEL["name"]}}
            page.request.post(f"{address}/api/sessions", data=session, headers={"Authorization": f"token {token}"})
        page.goto(f"{address}/{PAGES[front_end]}/all.ipynb?token={token}&reset")
        if front_end == "voila":  # it runs the cells itself, and shows a placeholder for each
            page.wait_for_selector(".voila-skeleton-container", state="attached")
            page.wait_for_function("!document.querySelector('.voila-skeleton-container')")
        else:
            page.wait_for_function("window.jupyterapp?.shell.currentWidget?.sessionContext")
            page.evaluate(RUN_ALL_CELLS)
        assert not page.locator('[data-mime-type="application/vnd.jupyter.error"]').all_inner_texts()
        self.started = len(log.read_text())

    def assert_no_errors(self) -> None:
        """No error in the page, and none in the log of the server and its kernels since the cells were run."""
        known = KNOWN_ERRORS.get(self.front_end, "\0")
        assert not [error for error in self.errors if known not in error]
        assert not re.findall(r"^.*(?:Traceback|Error).*$|^\[[EC] .*$", self.log.read_text()[self.started :], re.M)

    def widget(self, label: str) -> "Widget":
        """The first widget that has a control of this label."""
        box = self.page.locator(f'.jp-OutputArea-output > .jupyter-widgets:has(:text-is("{label}"))').first
        box.scroll_into_view_if_needed()
        return Widget(box)


class Widget:
    """One widget's box in the page."""

    def __init__(self, box):
        self.page, self.box = box.page, box

    def control(self, label: str):
        return self.box.locator(f'.widget-inline-hbox:has(> label:text-is("{label}"))')

    def press(self, label: str, key: str, times: int = 1) -> None:
        """Focus a slider and press a key. Notebook 7 reserves the arrow keys (jupyter/notebook#7716)."""
        self.control(label).locator(".noUi-handle").focus()
        for _ in range(times):
            self.page.keyboard.press(key)
        self.settle()

    def choose(self, label: str, option: str) -> None:
        self.control(label).locator("select").select_option(label=option)
        self.settle()

    def readout(self, label: str) -> float:
        text = self.control(label).locator(".widget-readout").inner_text()
        return float(text.replace("−", "-"))  # a typographer's minus

    def settle(self, quiet: float = 0.5, most: float = 20) -> None:
        """Wait until no picture has changed for `quiet` seconds."""
        deadline, before = time.monotonic() + most, None
        while time.monotonic() < deadline:
            now = [image.get_attribute("src") for image in self.box.locator("img").all()]
            if now == before:
                return
            before = now
            self.page.wait_for_timeout(1000 * quiet)

    def wait_until(self, question, seconds: float = 30) -> None:
        """Wait until `question()` is true of the page."""
        deadline = time.monotonic() + seconds
        while not question():
            assert time.monotonic() < deadline, f"not within {seconds} s; the widget says:\n{self.box.inner_text()}"
            self.page.wait_for_timeout(100)

    def image(self, title: str):
        return self.box.locator(f'.widget-vbox:has(> .widget-html b:text-is("{title}")) > img')

    def pixels(self, title: str) -> np.ndarray:
        """The picture that the page shows under this title: uint8 (H, W, 3)."""
        content = bytes(self.image(title).evaluate(PIXELS))
        return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))

    def text(self) -> str:
        return self.box.inner_text()
