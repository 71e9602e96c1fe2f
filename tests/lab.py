"""Servers of JupyterLab, Notebook 7 and Voila, and a reader's mouse and keyboard on their pages: for browser tests."""

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
from pathlib import Path

import nbformat
import numpy as np
from notebook_files import NOTEBOOKS
from PIL import Image

ICONS = "https://cdn.jsdelivr.net/npm/@fortawesome/**"  # Voila asks for two style sheets of icons
# Where each front end (its Python module) shows a notebook.
PAGES = {"jupyterlab": "doc/tree", "notebook": "notebooks", "voila": "voila/render"}
# Otherwise both attach only the cells in view, and JupyterLab asks whether to fetch news from the internet.
SETTINGS = {
    "notebook-extension/tracker": {"windowingMode": "none"},
    "apputils-extension/notification": {"fetchNews": "false"},
}
# Errors of the front ends themselves, with any notebook: Notebook 7 reports one at its start (jupyter/notebook#7862),
# Voila if an extension made for JupyterLab only is installed, as jupytext's is.
KNOWN_ERRORS = {
    "notebook": "Cannot read properties of undefined (reading 'schema')",
    "voila": "The getter for the shared module is not a function",
}
PIXELS = """async (image) => {
  await image.decode();
  const bytes = new Uint8Array(await (await fetch(image.src)).arrayBuffer());
  return Array.from(bytes);
}"""


def find_chromium() -> str | None:
    """The path of a Chromium or Chrome, or None."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)


class Lab:
    """A server of one front end on a free port, started as `make lab` and `make app` do, with its own notebooks."""

    def __init__(self, folder: Path, front_end: str = "jupyterlab"):
        self.front_end = front_end
        self.started = 0  # length of the log when a notebook had been run
        self.folder, self.log, self.token = folder / "notebooks", folder / "lab.log", secrets.token_hex(16)
        self.folder.mkdir()
        for name, values in SETTINGS.items():
            path = folder / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(values))
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        recipes = (NOTEBOOKS.parent / "Makefile").read_text(encoding="utf8").replace("\\\n", "")
        module = "voila" if front_end == "voila" else "jupyterlab"
        options = shlex.split(re.search(rf"-m {module} notebooks\S* (.*)", recipes)[1].removesuffix(" $(ARGS)"))
        if front_end == "voila":
            options += [f"--Voila.port={self.port}"]
        else:
            options += ["--allow-root", "--ServerApp.ip=127.0.0.1", f"--ServerApp.port={self.port}"]
            options += [f"--IdentityProvider.token={self.token}"]
        command = [sys.executable, "-m", front_end, str(self.folder), "--no-browser", *options]
        environment = os.environ | {"JUPYTER_PREFER_ENV_PATH": "1", "JUPYTER_CONFIG_DIR": str(folder / "config")}
        environment |= {f"JUPYTERLAB_{name.upper()}_DIR": str(folder / name) for name in ("settings", "workspaces")}
        with open(self.log, "w") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
        for _ in range(360):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=5):
                return
            assert self.process.poll() is None, self.log.read_text()
            time.sleep(0.5)
        raise TimeoutError(f"{front_end} did not answer within 3 minutes:\n{self.log.read_text()}")

    def add_notebook(self, name: str, cells: list[str]) -> str:
        """Write a notebook of code cells into the server's folder."""
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
        notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
        nbformat.write(notebook, self.folder / name)
        return name

    def complaints(self) -> str:
        """Lines in the log of the server and its kernels that report an error after the start."""
        log = self.log.read_text()[self.started :]
        return "\n".join(re.findall(r"^.*(?:Traceback|Error).*$|^\[[EC] .*$", log, re.M))

    def stop(self) -> None:
        self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(20)
        self.process.kill()


def expect(locator):
    from playwright.sync_api import expect  # here, since without playwright the tests are skipped

    return expect(locator)


class Sheet:
    """A notebook open in a page, and its widgets as a reader uses them: by label, with mouse and keyboard."""

    def __init__(self, lab: Lab, page, name: str, seconds: float = 600):
        self.lab, self.page, self.errors = lab, page, []
        page.on("console", lambda message: self.complain(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: self.complain(str(error)))
        page.route(ICONS, lambda route: route.fulfill(content_type="text/css", body=""))
        address = f"http://127.0.0.1:{lab.port}/{PAGES[lab.front_end]}/{name}?token={lab.token}&reset"
        page.goto(address, timeout=1000 * seconds)
        if lab.front_end == "voila":  # it runs the cells itself, and shows a placeholder for each
            waiting = page.locator(".voila-skeleton-container")
            waiting.first.wait_for(state="attached", timeout=1000 * seconds)
            expect(waiting).to_have_count(0, timeout=1000 * seconds)
        else:
            self.run_all_cells()
            self.wait_for_all_cells(seconds)
        lab.started = len(lab.log.read_text())

    def complain(self, error: str) -> None:
        known = KNOWN_ERRORS.get(self.lab.front_end)
        if known is None or known not in error:
            self.errors.append(error)

    def run_all_cells(self, tries: int = 6) -> None:
        """Choose it from the menu, and again, as a reader would, if a kernel that was just starting missed it.

        A slow server's page asks which kernel to take: accept the one it offers.
        """
        question = self.page.locator('.jp-Dialog:has-text("Select Kernel")')
        accept = question.locator(".jp-mod-accept")
        self.page.add_locator_handler(question, lambda: accept.click(), no_wait_after=True)
        idle = self.page.locator('.jp-NotebookPanel .jp-Notebook-ExecutionIndicator[data-status="idle"]')
        expect(idle).to_be_visible(timeout=120_000)
        first = self.page.locator(".jp-CodeCell .jp-InputPrompt").first
        for _ in range(tries):
            self.page.locator('.lm-MenuBar-itemLabel:text-is("Run")').click()
            self.page.locator('.lm-Menu-itemLabel:text-is("Run All Cells")').click()
            with contextlib.suppress(AssertionError):
                expect(first).to_have_text(re.compile(r"\d"), timeout=40_000)  # done: [*] may never be
                return
        raise TimeoutError("no cell was run")

    def wait_for_all_cells(self, seconds: float) -> None:
        """Wait until each code cell has a number; a cell's error is a failure with its text."""
        prompts = '[...document.querySelectorAll(".jp-CodeCell .jp-InputPrompt")]'
        error = '[data-mime-type="application/vnd.jupyter.error"]'
        done = f"() => document.querySelector('{error}') || {prompts}.every((one) => /\\d/.test(one.textContent))"
        deadline = time.monotonic() + seconds
        while True:
            try:
                self.page.wait_for_function(done, timeout=150_000)
                break
            except Exception:  # a kernel that was replaced while it started has lost the cells: run them again
                if time.monotonic() > deadline:
                    raise
                self.run_all_cells()
        assert not self.page.locator(error).all_inner_texts()
        self.page.wait_for_timeout(1500)  # the last widgets

    def widget(self, label: str) -> "Widget":
        """The first widget that has a control of this label."""
        box = self.page.locator(f'.jp-OutputArea-output > .jupyter-widgets:has(:text-is("{label}"))').first
        box.scroll_into_view_if_needed()
        return Widget(self, box)


class Widget:
    """One widget's box in the page."""

    def __init__(self, sheet: Sheet, box):
        self.sheet, self.page, self.box = sheet, sheet.page, box

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
            assert time.monotonic() < deadline, f"not within {seconds} s; the widget says:\n{self.text()}"
            self.page.wait_for_timeout(100)

    def image(self, title: str):
        return self.box.locator(f'.widget-vbox:has(> .widget-html b:text-is("{title}")) > img')

    def pixels(self, title: str) -> np.ndarray:
        """The picture that the page shows under this title: uint8 (H, W, 3)."""
        content = bytes(self.image(title).evaluate(PIXELS))
        return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))

    def text(self) -> str:
        return self.box.inner_text()
