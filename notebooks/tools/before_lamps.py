"""Store what a network of an earlier commit predicts, for notebook 05's section on light.

    python notebooks/tools/before_lamps.py COMMIT   # a few minutes

The network of that commit was trained without lamps. data/results/before_lamps.npz holds its masks, a bit per pixel.
"""

import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from notebook_files import ROOT, tool_parser, write_json
from results import RESULTS, timed_report, write_arrays

from maskdepth_utils.course import widgets
from maskdepth_utils.data import MaskDepthDataset, SceneDataset
from maskdepth_utils.inference.predictor import Predictor, load_pretrained

COUNT = 200  # test samples
LIGHTS = ("nothing special", "lamp behind", "low sun")


def make_rows() -> dict[str, list]:
    """Return the pictures to predict, {row: shots or scenes}."""
    datasets = {
        "composites, tripod": MaskDepthDataset("test", gap="tripod"),
        "composites with lamps, tripod": MaskDepthDataset("test", gap="tripod", light="lamps"),
        "soft scenes, tripod": SceneDataset(gap="tripod"),
        "hard scenes, tripod": SceneDataset(gap="tripod", light="hard"),
    }
    presets = [widgets.build_scene(widgets.HARD_SCENES[name]) for name in LIGHTS]
    shots = {row: [one.shot(i) for i in range(min(COUNT, len(one)))] for row, one in datasets.items()}
    return {"presets": presets} | shots


def load_earlier(commit: str) -> Predictor:
    """Load the network that shipped at a commit."""
    file = f"{commit}:data/checkpoints/maskdepthnet.safetensors"
    found = subprocess.run(["git", "-C", ROOT, "show", file], capture_output=True, check=True)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "maskdepthnet.safetensors"
        path.write_bytes(found.stdout)
        return load_pretrained(path, device="cpu")


def main() -> None:
    parser = tool_parser(__doc__)
    parser.add_argument("commit")
    commit = parser.parse_args().commit
    predictor = load_earlier(commit)
    with timed_report(network=commit) as report:
        arrays = {}
        for row, shots in make_rows().items():
            masks = [predictor.predict(shot.image, shot.background).mask > 0.5 for shot in shots]
            arrays[row] = np.packbits(masks, axis=-1)
    write_arrays(RESULTS / "before_lamps.npz", arrays)
    write_json(RESULTS / "before_lamps.json", report)


if __name__ == "__main__":
    main()
