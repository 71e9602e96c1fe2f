"""Held-out figures during training: the same validation samples every time, and a picture of the first four."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from ..data.loading import make_loader
from ..metrics import iou, rmse
from ..models.networks import to_mask_depth
from . import parallel
from .schedule import permutation
from .settings import Settings


def add_up(terms: dict[str, Tensor]) -> Tensor:
    """The usual weighting of a loss's terms: their sum."""
    return sum(terms.values())


def compute_loss(output: Any, batch: dict[str, Tensor], loss: Callable, weighting: Callable) -> dict[str, Tensor]:
    """Compute "loss" and, if the loss function returns them, its terms by name."""
    terms = loss(output, batch)
    if isinstance(terms, Tensor):
        return {"loss": terms}
    total = {"loss": weighting(terms)}
    return total | terms | total  # first, and even if a term is called "loss"


def to_device(batch: dict[str, Tensor], device: torch.device) -> dict[str, Tensor]:
    """Move a batch; a copy to a CUDA GPU runs while Python continues, one to a Mac's would not be safe."""
    return {name: tensor.to(device, non_blocking=device.type == "cuda") for name, tensor in batch.items()}


def held_out_loader(dataset: Dataset, settings: Settings) -> DataLoader:
    """This process's share of the validation samples, in batches."""
    _, world = parallel.rank_and_world()
    count = min(max(settings.val_samples, world), len(dataset))
    batches = permutation(len(dataset), 0, 0)[:count].split(max(1, min(settings.batch, count // world)))
    return make_loader(dataset, batches=parallel.share([one.tolist() for one in batches]), workers=settings.workers)


@torch.no_grad()
def validate(
    model: nn.Module, loader: DataLoader, loss: Callable, weighting: Callable, autocast: torch.autocast,
    device: torch.device, is_stopping: Callable[[], bool],
) -> tuple[dict[str, float], Tensor | None]:  # fmt: skip
    """Measure {"val_loss": ..., "val_iou": ...}, means over the samples of all processes; and draw the first four.

    There are no figures if a process stops before its last batch.
    """
    sums = Counter()
    picture = None
    parallel.share_buffers(model)
    model.eval()
    for batch in loader:
        if sums and is_stopping():
            sums["stopped"] = 1
            break
        batch = to_device(batch, device)
        with autocast:
            output = model(batch["image"], batch["background"])
        figures = compute_loss(output, batch, loss, weighting)
        columns = [batch["image"], batch["background"]]
        logits, depth = to_mask_depth(output)
        if logits is not None:
            figures["iou"] = iou(logits.float().sigmoid(), batch["mask"]).mean()
            columns += [batch["mask"], logits.sigmoid()]
        if depth is not None:
            figures["rmse"] = rmse(depth.float(), batch["depth"]).mean()
            columns += [batch["depth"], depth]
        if picture is None:
            rows = torch.cat([column[:4].float().cpu().expand(-1, 3, -1, -1) for column in columns], dim=3)
            picture = torch.cat(list(rows), dim=1).clamp(0, 1)  # (3, 4 x H, columns x W)
        count = len(batch["image"])
        sums.update({"stopped": 0, "samples": count} | {name: value.item() * count for name, value in figures.items()})
    model.train()
    sums = parallel.mean(sums)
    if sums.pop("stopped"):
        return {}, None
    samples = sums.pop("samples")
    return {f"val_{name}": value / samples for name, value in sums.items()}, picture
