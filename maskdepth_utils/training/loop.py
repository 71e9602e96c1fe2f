"""`fit`: the training loop of notebook 02, with checkpoints, a log, validation and several processes.

Everything that a step depends on is either in the checkpoint (weights, momentum) or a function of the step's number
(its samples, its random numbers, its learning rate). So a resumed run ends like an uninterrupted one, bit for bit.
"""

import dataclasses
import functools
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset, Subset

from ..data.loading import make_loader
from ..devices import DTYPES, choose_device, choose_precision
from ..losses import depth_loss, mask_loss
from ..models.networks import MaskDepth, to_mask_depth
from ..models.weights import network_facts
from . import parallel
from .machine import machine_facts
from .run import Run
from .schedule import batch_indices, combine_seed, learning_rate, make_optimizer
from .settings import Settings
from .validation import add_up, compute_loss, held_out_loader, to_device, validate


def mask_and_depth_loss(
    output: Tensor | MaskDepth, batch: dict[str, Tensor], mask: dict | None = None, depth: dict | None = None
) -> dict[str, Tensor]:
    """Compute the default loss of notebook 04: {"mask": BCE + SSIM, "depth": L1 + edges + SSIM}.

    `mask` and `depth` replace weights of `mask_loss` and `depth_loss`, such as {"bce": 1, "ssim": 0}. A network with
    a single output gets that output's part only.
    """
    predicted_logits, predicted_depth = to_mask_depth(output)
    terms = {}
    if predicted_logits is not None:
        terms["mask"] = mask_loss(predicted_logits, batch["mask"], **(mask or {}))
    if predicted_depth is not None:
        terms["depth"] = depth_loss(predicted_depth, batch["depth"], **(depth or {}))
    return terms


def fit(
    model: nn.Module,
    dataset: Dataset,
    settings: Settings | None = None,
    *,
    loss: Callable[[Any, dict[str, Tensor]], Tensor | dict[str, Tensor]] = mask_and_depth_loss,
    weighting: Callable[[dict[str, Tensor]], Tensor] | None = None,
    val: tuple[Dataset, int] | None = None,
    out: str | Path | None = None,
    resume: bool = True,
    progress: bool = True,
    **options: Any,
) -> list[dict[str, float]]:
    """Train `model` on `dataset`, whose samples are those of `MaskDepthDataset`; leave it in evaluation mode.

    In several processes, such as those that `torchrun` starts, each takes its share of every batch, and their gradients
    are averaged. (BatchNorm sees only its own share.) A checkpoint fits any number of processes.

    Args:
        model: `model(image, background)` returns mask logits, or a `MaskDepth`.
        settings: How to train. `options` are its fields: instead of it, as in `fit(model, dataset, steps=100, lr=0.1)`,
            or to replace some.
        loss: Returns a scalar, or {name: scalar}. An nn.Module is trained too, as is `weighting`.
        weighting: Combines {name: scalar} into one scalar, like `UncertaintyWeighting`; None adds them up.
        val: A dataset and a number of steps: at that interval `val_samples` of its samples are measured.
        out: A folder for checkpoints and TensorBoard.
        resume: Continue from the checkpoint in `out`; False deletes that run.
        progress: Show a progress bar and messages.

    Returns:
        The history, a list of records: step, samples, loss, each of its terms, lr, data_seconds (a step's wait for
        samples), step_seconds (the rest of it), images_per_second, each a mean over the `log_every` steps before;
        memory_mb, cpu_cores (see `Usage`); val_loss, val_iou ... A resumed run gives those of an uninterrupted one,
        bit for bit, on the same machine and number of threads. (Some GPU kernels add in varying order.)

    Raises:
        ValueError: An argument is invalid.
        TrainingError: The folder holds a run with other settings, or one still running; or the loss is not finite.
        CheckpointError: All checkpoints are damaged, or the disk is full.
    """
    settings = Settings(**options) if settings is None else dataclasses.replace(settings, **options)
    _, world = parallel.rank_and_world()
    if not len(dataset):
        raise ValueError("dataset: expected samples, found none")
    if val is not None and val[1] < 1:
        raise ValueError(f"val: expected a dataset and a whole number of at least 1, found {val[1]}")
    if settings.batch % world:
        raise ValueError(f"batch: expected a multiple of the {world} processes that share it, found {settings.batch}")
    weighting = weighting or add_up
    device = choose_device(settings.device)
    precision = choose_precision(settings.precision, device)
    autocast = torch.autocast(device.type, DTYPES[precision], enabled=precision != "float32")
    parallel.join(device)
    model.to(device, memory_format=torch.channels_last).train()
    loss_modules = nn.ModuleList(part.to(device) for part in (loss, weighting) if isinstance(part, nn.Module))
    parameters = dict(model.named_parameters())
    parameters |= {f"loss.{name}": parameter for name, parameter in loss_modules.named_parameters()}
    optimizer = make_optimizer(settings, parameters)
    scaler = torch.amp.GradScaler(device.type, enabled=precision == "fp16")  # fp16 would round small gradients to 0
    parts = {"model": model, "loss": loss_modules, "optimizer": optimizer, "scaler": scaler}
    config = {"network": network_facts(model), "dataset": describe_dataset(dataset)} | settings.compared()
    config |= {"loss": describe(loss), "weighting": describe(weighting)}
    config = json.loads(json.dumps(config, default=str))  # plain values, as a checkpoint holds them
    machine = machine_facts(device, precision)
    run = Run(out and Path(out), parts, config, machine, settings, progress and parallel.is_first())
    # fork_rng: the caller's random numbers continue afterwards as if `fit` had not been called.
    with torch.random.fork_rng([torch.cuda.current_device()] if device.type == "cuda" else []), run.session(resume):
        network = parallel.wrap(model)
        held_out = val and held_out_loader(val[0], settings)
        measure = functools.partial(
            validate, model, held_out, loss, weighting, autocast, device, lambda: run.stop_reason is not None
        )
        remaining = range(run.step, settings.total_steps)
        order = (batch_indices(step, settings.batch, len(dataset), settings.seed) for step in remaining)
        batches = iter(make_loader(dataset, batches=map(parallel.share, order), workers=settings.workers))
        for step in run.steps(val and val[1], measure):
            started = time.perf_counter()
            batch = to_device(next(batches), device)
            loaded = time.perf_counter()

            torch.manual_seed(combine_seed(settings.seed, step))  # for networks with dropout
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(settings, step) * group["factor"]
            with autocast:
                output = network(batch["image"], batch["background"])
            figures = compute_loss(output, batch, loss, weighting)  # in float32: losses subtract nearly equal numbers
            optimizer.zero_grad()  # forget the last step's gradients
            scaler.scale(figures["loss"]).backward()  # find this step's
            parallel.average_gradients(loss_modules.parameters())
            scaler.step(optimizer)  # move the weights
            scaler.update()

            run.count_step(figures, batch["image"].shape[-1], loaded - started, time.perf_counter() - loaded)
        parallel.share_buffers(model)
    model.eval()
    return run.history


def describe(function: Callable) -> str | dict[str, Any]:
    """Name a loss function, and the keywords that `functools.partial` gives it."""
    if isinstance(function, functools.partial):
        return {"function": describe(function.func), **function.keywords}
    return getattr(function, "__qualname__", type(function).__name__)


def describe_dataset(dataset: Dataset) -> dict[str, Any]:
    """What decides a dataset's samples: its `settings`, or else its plain attributes, also inside a `Subset`."""
    public = {name: value for name, value in vars(dataset).items() if not name.startswith("_")}
    plain = {name: value for name, value in public.items() if isinstance(value, (bool, int, float))}
    facts = {"class": type(dataset).__name__, "length": len(dataset), **getattr(dataset, "settings", plain)}
    return facts | ({"dataset": describe_dataset(dataset.dataset)} if isinstance(dataset, Subset) else {})
