"""Draw README.md's picture, data/results/readme.png: what the shipped network makes of a test picture.

    python notebooks/tools/draw_readme.py               # a typical scene: of median IoU, with an object of good size
    python notebooks/tools/draw_readme.py --index 7     # another scene
"""

import matplotlib
import numpy as np
from notebook_files import tool_parser
from results import RESULTS

from maskdepth_utils import load_pretrained, metrics, plots
from maskdepth_utils.data import SceneDataset, make_loader
from maskdepth_utils.evaluation import network_predict
from maskdepth_utils.files import write_file

PICTURE = RESULTS / "readme.png"


def typical(dataset, predictor):
    """Return the index of the scene of median IoU among those whose object fills 6 to 30 % of the picture."""
    means = metrics.Means()
    network = network_predict(predictor.model, predictor.device)
    for batch in make_loader(dataset, batch=16):
        mask, _ = network(batch["image"], batch["background"])
        means.add(iou=metrics.iou(mask.cpu(), batch["mask"]), size=batch["mask"].mean(dim=(1, 2, 3)))
    iou, size = (np.array(means.values[name]) for name in ("iou", "size"))
    good = np.flatnonzero((size > 0.06) & (size < 0.3))
    return int(good[np.argsort(iou[good])[len(good) // 2]])


def draw(shot, prediction):
    """Draw the photo above the background, and each prediction above its truth."""
    limits = plots.depth_limits(shot.depth)
    smooth = {"image.interpolation": "bicubic"}  # each pixel is enlarged
    with plots.panels(2, 3, width=8.0, aspect=0.92, title=0.2) as (figure, axes), matplotlib.rc_context(smooth):
        plots.draw_picture(axes[0, 0], shot.image, "photo")
        plots.draw_picture(axes[1, 0], shot.background, "background")
        plots.draw_picture(axes[0, 1], prediction.mask, "predicted mask")
        plots.draw_picture(axes[1, 1], shot.mask, "true mask")
        plots.draw_depth(axes[0, 2], prediction.depth, "predicted depth", limits)
        drawn = plots.draw_depth(axes[1, 2], shot.depth, "true depth", limits)
        plots.depth_bar(figure, drawn, list(axes[:, 2]))
    return figure


def main():
    parser = tool_parser(__doc__)
    parser.add_argument("--index", type=int, help="which scene (a typical one, if not given)")
    index = parser.parse_args().index
    matplotlib.use("Agg")
    predictor = load_pretrained()
    dataset = SceneDataset(gap="tripod")
    index = typical(dataset, predictor) if index is None else index
    shot = dataset.shot(index)
    figure = draw(shot, predictor.predict(shot.image, shot.background))
    write_file(PICTURE, plots.to_png(figure))
    print(f"{PICTURE.name}: sample {index}, a {shot.about['kind']} in {shot.about['room']}")


if __name__ == "__main__":
    main()
