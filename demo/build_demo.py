"""Build the page "Try it".    python demo/build_demo.py [--out build/site/demo]

The page runs the shipped network in the reader's browser. Its parts that take long (the network as ONNX, the examples,
onnxruntime-web from npm) are kept in build/demo/ and made again when what they are made from has changed.
"""

import argparse
import base64
import hashlib
import html
import json
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import numpy as np
from filelock import FileLock
from PIL import Image

DEMO = Path(__file__).resolve().parent
ROOT = DEMO.parent
sys.path[:0] = [str(ROOT / "notebooks" / "tools")]

from write_address import address  # noqa: E402  (after the path to it)

from maskdepth_utils import load_pretrained, plots  # noqa: E402
from maskdepth_utils.data import MaskDepthDataset, SceneDataset  # noqa: E402
from maskdepth_utils.data.library import SCENES, Shot  # noqa: E402
from maskdepth_utils.files import data_dir  # noqa: E402
from maskdepth_utils.inference.onnx import OnnxError, write_onnx  # noqa: E402
from maskdepth_utils.inference.predictor import Predictor  # noqa: E402

CACHE = ROOT / "build" / "demo"
RUNTIME = "1.30.0"  # of onnxruntime-web, and the checksum that npm lists for it
CHECKSUM = "q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="
RUNTIME_FILES = {"ort.wasm.bundle.min.mjs": "ort.js", "ort-wasm-simd-threaded.wasm": "ort.wasm"}
DOWNLOADED = ("ort.wasm", "maskdepthnet.onnx")  # what the progress bar counts
SOURCES = ("style.css", "try.js", "network.js", "view3d.js")
MAX_MEGABYTES = 9  # of the network's file: phones load it, too

# Which of the test scenes, and of the test composites, are shown: pictures that differ, not those of the best results.
CHOSEN = {
    "soft": ("scene_029", "scene_002", "scene_041", "scene_046"),
    "hard": ("hard_039", "hard_021", "hard_000"),
}
COMPOSITES = (3612, 3623, 3637, 3618)
GROUPS = {
    "soft": ("Soft light", "A path-traced room in soft light."),
    "hard": ("Hard light", "A path-traced room with a lamp that casts a sharp shadow."),
}
WORDS = {"class seat": "seat", "clothes washing machine": "washer", "mannequin female": "mannequin"}
LEAST_AREA = 0.02  # of the picture


class PageError(RuntimeError):
    """The page cannot be built here. The message says what is missing."""


def build_if_possible(out: Path) -> bool:
    """Build the page, or say why that is not possible here; return whether it was."""
    try:
        build(out)
    except PageError as error:
        print(f"The page Try it was not built: {error}", file=sys.stderr)
        return False
    return True


def build(out: Path) -> None:
    """Write the page into the folder `out`, which may hold an earlier one. Raises PageError."""
    out.mkdir(parents=True, exist_ok=True)
    CACHE.mkdir(parents=True, exist_ok=True)
    with FileLock(CACHE / ".lock"):
        for rest in CACHE.glob("tmp*"):  # of a build that was killed
            shutil.rmtree(rest)
        runtime, made = fetch_runtime(), make_files()
    for folder in (runtime, made):
        shutil.copytree(folder, out, ignore=shutil.ignore_patterns("facts.json"), dirs_exist_ok=True)
    facts = json.loads((made / "facts.json").read_text(encoding="utf8"))
    places = {
        "source": f"{address()}/tree/main/demo",
        "runtime": RUNTIME,
        "bytes": sum((out / name).stat().st_size for name in DOWNLOADED),
        "colors": json.dumps(plots.color_depth(np.linspace(0, 1, 256)[None])[0].tolist(), separators=(",", ":")),
        "gallery": gallery(facts.pop("examples")),
        **facts,
    }
    for name in SOURCES:
        shutil.copy(DEMO / name, out)
    page = (DEMO / "index.html").read_text(encoding="utf8")
    page = re.sub(r"\{\{ (\w+) \}\}", lambda place: str(places[place[1]]), page)
    (out / "index.html").write_text(page, encoding="utf8")


def gallery(examples: list[dict]) -> str:
    """The examples in HTML: a button for each, in groups."""
    lines = []
    for group in dict.fromkeys(example["group"] for example in examples):
        members = [example for example in examples if example["group"] == group]
        lines += [f'<div class="group" role="group" aria-label="{group}" style="--columns: {min(4, len(members))}">']
        lines += [f"<h3>{group}</h3>"]
        for example in members:
            data = " ".join(f'data-{key}="{html.escape(example[key])}"' for key in ("photo", "background", "note"))
            label = f'<img src="{example["photo"]}" alt="" width="160" height="160">{example["title"]}'
            lines += [f'<button type="button" class="thumb" aria-pressed="false" {data}>{label}</button>']
        lines += ["</div>"]
    return "\n".join(lines)


def fetch_runtime() -> Path:
    """The folder with onnxruntime-web's files, fetched by npm unless it was before."""
    folder = CACHE / f"onnxruntime-web-{RUNTIME}"
    if all((folder / name).exists() for name in RUNTIME_FILES.values()):
        return folder
    npm = shutil.which("npm")
    if npm is None:
        raise PageError("npm is not installed (on Debian and Ubuntu: apt install npm)")
    with tempfile.TemporaryDirectory(dir=CACHE) as temporary:
        command = [npm, "pack", f"onnxruntime-web@{RUNTIME}", "--silent", "--pack-destination", temporary]
        done = subprocess.run(command, cwd=temporary, capture_output=True, text=True)
        packages = list(Path(temporary).glob("*.tgz"))
        if done.returncode or not packages:
            raise PageError(f"npm could not fetch onnxruntime-web {RUNTIME}: {done.stderr.strip()[-300:]}")
        found = base64.b64encode(hashlib.sha512(packages[0].read_bytes()).digest()).decode()
        if found != CHECKSUM:
            raise PageError(f"onnxruntime-web {RUNTIME}: expected the sha512 {CHECKSUM[:12]}..., found {found[:12]}...")
        files = Path(temporary) / "files"
        files.mkdir()
        with tarfile.open(packages[0]) as package:
            for name, new_name in RUNTIME_FILES.items():
                (files / new_name).write_bytes(package.extractfile(f"package/dist/{name}").read())
        shutil.rmtree(folder, ignore_errors=True)
        files.rename(folder)
    return folder


def make_files() -> Path:
    """The folder with the network, the examples and the preview, made unless they are up to date."""
    folder = CACHE / f"files-{fingerprint()}"
    if folder.exists():
        return folder
    for old in CACHE.glob("files-*"):
        shutil.rmtree(old)
    with tempfile.TemporaryDirectory(dir=CACHE) as temporary:
        files = Path(temporary) / "files"
        (files / "pairs").mkdir(parents=True)
        predictor = load_pretrained(device="cpu")
        try:
            megabytes = write_onnx(predictor, files / "maskdepthnet.onnx")["megabytes"]
        except OnnxError as error:
            raise PageError(str(error)) from error
        if megabytes > MAX_MEGABYTES:
            raise PageError(f"the network's file: expected at most {MAX_MEGABYTES} MB, found {megabytes:.1f}")
        examples = [write_example(files, number, *example) for number, example in enumerate(examples_of(predictor))]
        millions = sum(parameter.numel() for parameter in predictor.model.parameters()) / 1e6
        facts = {"parameters": f"{millions:.1f}", "megabytes": f"{megabytes:.1f}", "examples": examples}
        (files / "facts.json").write_text(json.dumps(facts), encoding="utf8")
        write_preview(files, predictor, examples[0])
        files.rename(folder)
    return folder


def fingerprint() -> str:
    """A name for all that the files are made from."""
    wings = [ROOT / "maskdepth_utils" / wing for wing in ("data", "models", "inference")]
    sources = [Path(__file__), *(path for wing in wings for path in wing.glob("*.py"))]
    manifests = [data_dir() / SCENES[light] / f"{SCENES[light]}.json" for light in CHOSEN]
    weights = data_dir() / "checkpoints" / "maskdepthnet.safetensors"
    content = [path.read_bytes() for path in sorted([*sources, *manifests, weights])]
    return hashlib.sha256(b"".join(content)).hexdigest()[:16]


def examples_of(predictor: Predictor) -> list[tuple[str, str, Shot]]:
    """The twelve examples: group, note and shot."""
    scenes = {light: SceneDataset(gap="tripod", light=light) for light in CHOSEN}
    examples = [
        (*GROUPS[light], scenes[light].shot(scenes[light].names.index(name)))
        for light, names in CHOSEN.items()
        for name in names
    ]
    composites = MaskDepthDataset("test", gap="tripod", real_light=True, light="mixed")
    note = "A composite: an object pasted into a rendered room, as in training; both are new to the network."
    failure = find_failure(predictor, scenes["hard"])
    return [*examples, failure, *(("Composites", note, composites.shot(index)) for index in COMPOSITES)]


def find_failure(predictor: Predictor, scenes: SceneDataset) -> tuple[str, str, Shot]:
    """The scene with the lowest IoU. Small objects are left out: they teach little."""
    scores = {}
    for index in range(len(scenes)):
        shot = scenes.shot(index)
        truth = shot.mask > 0.5
        if truth.mean() >= LEAST_AREA:
            found = predictor.predict(shot.image, shot.background).mask > 0.5
            scores[index] = (found & truth).sum() / (found | truth).sum()
    worst = min(scores, key=scores.get)
    note = f"The worst of {len(scores)} test scenes in hard light: an IoU of {scores[worst]:.2f} with the true mask."
    return "A failure", note, scenes.shot(worst)


def write_example(files: Path, number: int, group: str, note: str, shot: Shot) -> dict:
    """Write the pair without any loss, and return what the page says about it."""
    name = " ".join(shot.about["object"].split("_")[2:])
    title = WORDS.get(name, name)
    paths = {"photo": f"pairs/{number:02d}.webp", "background": f"pairs/{number:02d}_background.webp"}
    for path, picture in zip(paths.values(), (shot.image, shot.background)):
        Image.fromarray(picture).save(files / path, lossless=True)
    return {"group": group, "title": title, "note": note, **paths}


def write_preview(files: Path, predictor: Predictor, example: dict) -> None:
    """The picture on the site's front page: photo, background, mask over the photo, and depth of the first example."""
    image, background = (np.asarray(Image.open(files / example[kind])) for kind in ("photo", "background"))
    mask, depth = predictor.predict(image, background)
    shown = np.uint8(plots.overlay(image, mask, plots.BLUE) * 255)
    row = np.hstack([image, background, shown, plots.color_depth(depth)])
    Image.fromarray(row).resize((1280, 320), Image.Resampling.LANCZOS).save(files / "preview.webp", quality=88)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "site" / "demo", help="folder for the page")
    options = parser.parse_args()
    sys.exit(not build_if_possible(options.out))
