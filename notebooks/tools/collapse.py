"""Why did depth turn gray? The write-up's step from 80 to 160 px again and again, one condition changed at a time.

    python notebooks/tools/collapse.py    # about half an hour on two CPU cores; can be stopped and started

One network is trained at 80 px as the write-up says; from there each condition continues at 160 px and is measured on
the same validation samples: the contrast of its depth (`spread`; a gray image has 0) and the error. Everything goes to
data/results/collapse.json, some predictions to collapse.npz beside it, for notebooks/extras/reading_numbers.ipynb. The
original's network has twice the width and a full-size stem: days on a CPU.
"""

import functools

import numpy as np
import torch
from notebook_files import ROOT, tool_parser
from results import RESULTS, require_finished, run_folder, run_missing, timed_report
from torch.utils.data import Subset

from maskdepth_utils import losses, metrics
from maskdepth_utils.data import MaskDepthDataset, make_loader
from maskdepth_utils.models import MaskDepthNet
from maskdepth_utils.training import fit, mask_and_depth_loss

STORED = RESULTS / "collapse.json"
SETTINGS = {"samples": 8000, "steps": 300, "every": 20}  # at 80 px; at 160 px in each condition; between two looks
WIDTH = 0.5
BATCH = 8
WATCHED = 24  # validation samples
FRAMED = 3  # of these, kept as pictures
L1 = {"l1": 1.0, "edge": 0.0, "ssim": 0.0}
EQUAL = {"l1": 1.0, "edge": 1.0, "ssim": 1.0}
BCE = {"bce": 1.0, "ssim": 0.0}
LOGITS = {"bce": 1.0, "ssim": 1.0, "ssim_on": "logits"}
WRITTEN = {"depth": L1, "mask": BCE, "optimizer": "sgd", "lr": 0.01}  # as the write-up says
CONDITIONS = {
    "L1, as written": {},
    "L1, SGD at 0.1": {"lr": 0.1},
    "L1, AdamW at 0.01": {"optimizer": "adamw"},
    "L1, mask SSIM on logits": {"mask": LOGITS},
    "0.1 / 1 / 1": {"depth": losses.WRITE_UP_2020},
    "0.1 / 1 / 1, mask SSIM on logits": {"depth": losses.WRITE_UP_2020, "mask": LOGITS},
    "1 / 1 / 1": {"depth": EQUAL},
    "1 / 1 / 1, AdamW at 0.001": {"depth": EQUAL, "optimizer": "adamw", "lr": 0.001},
    "L1, as written, with skips": {"skips": True},
}


def start(skips: bool) -> MaskDepthNet:
    """Train the network at 80 px as the write-up did: SGD at 0.01, BCE and L1."""
    torch.manual_seed(0)
    model = MaskDepthNet(skips=skips, detail=False, width=WIDTH)
    out = run_folder("collapse", "start", skips)
    loss = functools.partial(mask_and_depth_loss, mask=BCE, depth=L1)
    dataset = MaskDepthDataset("train", 80, "tripod")
    fit(model, dataset, samples=SETTINGS["samples"], batch=16, loss=loss, lr=0.01, workers=0, out=ROOT / out)
    require_finished(out, SETTINGS["samples"])
    return model


def watched() -> dict:
    """Return the validation samples as one batch."""
    return next(iter(make_loader(Subset(MaskDepthDataset("val", 160, "tripod"), range(WATCHED)), batch=WATCHED)))


def frames_of(depth: torch.Tensor) -> np.ndarray:
    """Return the first depth maps as small pictures, uint8 (n, H, W)."""
    return np.uint8(255 * depth[:FRAMED, 0, ::2, ::2].numpy() + 0.5)


@torch.no_grad()
def look(model: MaskDepthNet, batch: dict) -> tuple[dict, np.ndarray]:
    """Measure the depth of the watched samples, and return it as small pictures, too."""
    depth = model.eval()(batch["image"], batch["background"]).depth.float()
    figures = {"spread_eval": metrics.spread(depth, batch["depth"]), "rmse_eval": metrics.rmse(depth, batch["depth"])}
    return {name: values.mean().item() for name, values in figures.items()}, frames_of(depth)


def run(name: str) -> tuple[dict, dict[str, np.ndarray]]:
    """Continue at 160 px in one condition, and measure every few steps."""
    condition = {"skips": False} | WRITTEN | CONDITIONS[name]
    model = start(condition["skips"])
    batch = watched()
    dataset = MaskDepthDataset("train", 160, "tripod")
    loss = functools.partial(mask_and_depth_loss, mask=condition["mask"], depth=condition["depth"])
    out = run_folder("collapse", name)
    looks, frames, every = [], [], SETTINGS["every"]
    with timed_report(condition=name, changed=CONDITIONS[name], looks=looks) as row:
        for step in range(0, SETTINGS["steps"] + 1, every):
            if step:
                fit(
                    model, dataset, steps=step, batch=BATCH, loss=loss, optimizer=condition["optimizer"],
                    lr=condition["lr"], workers=0, out=ROOT / out, progress=False, resume=step > every,
                )  # fmt: skip
                require_finished(out, step * BATCH)
            figures, frame = look(model, batch)
            looks.append({"step": step, **figures})
            frames.append(frame)
    print(f"{name}: spread {looks[0]['spread_eval']:.2f} at first, {looks[-1]['spread_eval']:.2f} at last", flush=True)
    return row, {name: np.stack(frames)}


def main() -> None:
    tool_parser(__doc__).parse_args()
    truth = {"truth": frames_of(watched()["depth"])}
    run_missing(STORED, {"settings": SETTINGS}, "runs", CONDITIONS, run, truth)


if __name__ == "__main__":
    main()
