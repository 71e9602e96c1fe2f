"""The network as an ONNX file, which other languages and runtimes can run. Used in notebook 05."""

import copy
from pathlib import Path

import torch
from torch import nn

from ..camera import MAX_DEPTH
from ..files import write_file
from ..models.networks import to_mask_depth

SIZES = ((160, 160), (96, 213))  # (H, W) at which the written file is compared with the network
TOLERANCE = 1e-3


class OnnxError(RuntimeError):
    """The file could not be written, or does not compute what the network computes."""


class Deployed(nn.Module):
    """A network with what a user would do to its outputs: probabilities, and metres for the canonical camera."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, image, background):
        return tuple(self.named(image, background).values())

    def named(self, image, background) -> dict:
        """The outputs that the network has, by name."""
        logits, depth = to_mask_depth(self.model(image, background))
        outputs = {} if logits is None else {"mask": logits.sigmoid()}
        return outputs if depth is None else outputs | {"depth": depth * MAX_DEPTH}


def write_onnx(predictor, path) -> dict:
    """Write `predictor`'s network to `path`, run it by onnxruntime and compare: a dict of facts.

    Inputs `image` and `background`, float32 (N, 3, H, W) in [0, 1], any N, any H, W >= 32; outputs `mask`,
    probabilities, and `depth`, metres for a camera as the training's (60 degrees, 1.5 m up), both
    (N, 1, H, W). Raises OnnxError where a result differs by more than 1e-3, and writes nothing then.
    """
    try:
        import onnxruntime
        import onnxscript  # noqa: F401  (torch's exporter needs it, and would say so less clearly)
    except ImportError as error:
        raise OnnxError(f"{error.name} is not installed: pip install onnxruntime onnxscript") from error
    if not hasattr(torch.export.Dim, "DYNAMIC"):
        raise OnnxError(f"export to ONNX: expected PyTorch 2.6 or newer, found {torch.__version__}")
    model = Deployed(copy.deepcopy(predictor.model).cpu().float()).eval()  # a copy: the predictor stays as it is
    # Sizes that no layer could mistake for a constant of the network.
    example = tuple(torch.rand(2, 3, 160, 192) for _ in range(2))
    names = list(model.named(*example))
    free = {0: torch.export.Dim.DYNAMIC, 2: torch.export.Dim.DYNAMIC, 3: torch.export.Dim.DYNAMIC}
    program = torch.onnx.export(
        model, example, dynamo=True, verbose=False, input_names=["image", "background"], output_names=names,
        dynamic_shapes={"image": free, "background": free},
    )  # fmt: skip
    content = program.model_proto.SerializeToString()
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    worst = max(difference(session, model, size) for size in SIZES)
    if not worst <= TOLERANCE:
        raise OnnxError(f"{path}: not written, as its results differ by {worst:.2g} from the network's")
    write_file(Path(path), content)
    return {"saved_to": str(path), "megabytes": len(content) / 1e6, "largest_difference": worst, "outputs": names}


@torch.no_grad()
def difference(session, model, size) -> float:
    """The largest difference of any output between ONNX and PyTorch, on random pictures of `size` (H, W)."""
    pictures = [torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1)]
    feed = dict(zip(("image", "background"), (picture.numpy() for picture in pictures)))
    found = session.run(None, feed)
    return max((torch.from_numpy(a) - b).abs().max().item() for a, b in zip(found, model(*pictures), strict=True))
