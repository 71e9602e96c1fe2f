"""The designs of notebooks/extras/design_lab.ipynb, each trained on the same samples: data/results/design_lab.json.

    python notebooks/tools/design_lab.py    # a few minutes per design; can be stopped and started

Everything but the design is the same: losses, 80 px, the samples and their order, optimizer and schedule. A few
predicted depth maps go to design_lab.npz beside it, for the picture of the checkerboard.
"""

import numpy as np
import torch
from notebook_files import ROOT, tool_parser
from results import RESULTS, measure_network, require_finished, run_folder, run_missing, timed_report
from torch import Tensor, nn

from maskdepth_utils.course.design import LabNet, checkerboard, multiply_adds
from maskdepth_utils.data import MaskDepthDataset, make_loader
from maskdepth_utils.models.networks import count_parameters
from maskdepth_utils.training import fit

STORED = RESULTS / "design_lab.json"
SIZE = 80  # pixels
SAMPLES = 12000  # of each training
TESTED = 300  # test samples
FRAMED = 4  # of these, kept as pictures
DESIGNS = {
    "added skips (base)": {},
    "no skips": {"skip": None},
    "concatenated skips": {"skip": "concat"},
    "transposed": {"up": "transposed"},
    "no skips, transposed": {"skip": None, "up": "transposed"},
    "encoder to layer 2": {"stages": 3},
    "encoder to layer 3": {"stages": 4},
    "bottleneck 16": {"bottleneck": 16},
    "bottleneck 512": {"bottleneck": 512},
}


def train_and_measure(model: nn.Module, samples: int, out: str, seed: int = 0) -> tuple[dict, Tensor]:
    """Train, or continue, and return the figures on test samples and the depth of the first 60."""
    fit(
        model, MaskDepthDataset("train", SIZE, "tripod", seed=seed, rooms=400), samples=samples, batch=16, lr=0.002,
        workers=0, optimizer="adamw", weight_decay=0.01, schedule="one-cycle", seed=seed, out=ROOT / out,
    )  # fmt: skip
    require_finished(out, samples)
    test = MaskDepthDataset("test", SIZE, "tripod")
    figures, frame = measure_network(model, test, TESTED), next(iter(make_loader(test, batch=60)))
    with torch.no_grad():
        depth = model.eval()(frame["image"], frame["background"]).depth
    return {key: round(figures[key], 5) for key in ("iou", "boundary_f", "rmse", "rmse_object")}, depth


def run(name: str) -> tuple[dict, dict[str, np.ndarray]]:
    """Train and measure one design; a stopped training run continues."""
    torch.manual_seed(0)
    model = LabNet(**DESIGNS[name])
    with timed_report(design=name, changed=DESIGNS[name], samples=SAMPLES, seed=0) as row:
        row |= {"parameters": count_parameters(model), "multiply_adds": multiply_adds(model, SIZE)}
        figures, depth = train_and_measure(model, SAMPLES, run_folder("design", name))
        row |= figures | {"checkerboard": checkerboard(depth).mean().item()}
    print(name, {key: row[key] for key in ("parameters", "iou", "rmse")}, flush=True)
    return row, {name: np.float16(depth[:FRAMED, 0].numpy())}


def main() -> None:
    tool_parser(__doc__).parse_args()
    about = {"command": "python notebooks/tools/design_lab.py", "size": SIZE, "gap": "tripod"}
    run_missing(STORED, about, "rows", DESIGNS, run)


if __name__ == "__main__":
    main()
