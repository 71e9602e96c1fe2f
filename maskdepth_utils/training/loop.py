"""`fit`: the plain training loop of notebook 02, made to survive.

A run of hours is interrupted sooner or later: Colab ends the session, somebody needs the machine. So
everything a step depends on is either in the checkpoint (weights, momentum) or a function of the step's
number (its samples, its random numbers, its learning rate); then going on is exact. What has to do with files
and machines is in runs.py.
"""

import math
import time

import torch
from torch import nn
from tqdm import tqdm

from ..data.loading import make_loader
from ..devices import DTYPES, choose_device, choose_precision
from ..losses import depth_loss, mask_loss
from ..metrics import iou, rmse
from ..models.networks import to_mask_depth
from ..models.weights import network_facts
from . import parallel
from .machine import Usage, machine_facts
from .run import SMALLER, Run, TrainingError, describe, farewell, progress_bar, stop_signals
from .schedule import batch_indices, batch_list, lr_groups, make_optimizer, schedule_factor


def mask_and_depth_loss(output, batch: dict, mask: dict | None = None, depth: dict | None = None) -> dict:
    """The default loss: {"mask": BCE + SSIM, "depth": L1 + edges + SSIM}, the terms that the write-up ended with.

    mask, depth: other weights for `mask_loss` and `depth_loss`, such as {"bce": 1, "ssim": 0}. A network with
    one output only (`MaskNet`, or `MaskDepthNet(tasks=...)`) gets that output's part. `fit` adds them up.
    """
    predicted_logits, predicted_depth = to_mask_depth(output)
    terms = {}
    if predicted_logits is not None:
        terms["mask"] = mask_loss(predicted_logits, batch["mask"], **(mask or {}))
    if predicted_depth is not None:
        terms["depth"] = depth_loss(predicted_depth, batch["depth"], **(depth or {}))
    return terms


def forward(model, batch: dict, loss, weighting, device, dtype) -> tuple:
    """Network and loss of one batch: ((mask_logits, depth), {term: scalar}, their sum)."""
    with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
        output = model(batch["image"], batch["background"])
    terms = loss(output, batch)  # outside autocast: losses subtract nearly equal numbers
    if isinstance(terms, torch.Tensor):
        return to_mask_depth(output), {}, terms
    return to_mask_depth(output), terms, sum(terms.values()) if weighting is None else weighting(terms)


@torch.no_grad()
def validate(model, loader, loss, weighting, device, dtype) -> tuple:
    """Held-out means of the loss, its terms, IoU and depth RMSE (0 to 1); and a picture of four samples.

    With several processes each measures its share of the batches; all get the means over all samples.
    """
    sums, picture = {"samples": 0.0}, None
    parallel.share_buffers(model)
    model.eval()
    for batch in loader:
        batch = {name: tensor.to(device) for name, tensor in batch.items()}
        (logits, depth), terms, total = forward(model, batch, loss, weighting, device, dtype)
        figures = {"val_loss": total} | {f"val_{name}": value for name, value in terms.items()}
        if logits is not None:
            figures["val_iou"] = iou(logits.float().sigmoid(), batch["mask"]).mean()
        if depth is not None:
            figures["val_rmse"] = rmse(depth.float(), batch["depth"]).mean()
        picture = draw(batch, logits, depth) if picture is None else picture  # of the first batch: the same every time
        sums["samples"] += len(batch["image"])
        for name, value in figures.items():
            sums[name] = sums.get(name, 0.0) + value.item() * len(batch["image"])
    model.train()
    sums = parallel.mean(sums, device)
    samples = sums.pop("samples")
    return {name: value / samples for name, value in sums.items()}, picture


def draw(batch: dict, logits, depth, count: int = 4) -> torch.Tensor:
    """For TensorBoard, (3, count x H, columns x W): image, background, mask, its prediction, depth, its prediction."""
    columns = [batch["image"], batch["background"]]
    columns += [] if logits is None else [batch["mask"], logits.sigmoid()]
    columns += [] if depth is None else [batch["depth"], depth]
    rows = torch.cat([column[:count].float().cpu().expand(-1, 3, -1, -1) for column in columns], dim=3)
    return torch.cat(list(rows), dim=1).clamp(0, 1)


def fit(
    model, dataset, *, steps=None, samples=None, batch=32, loss=mask_and_depth_loss, weighting=None,
    lr=0.01, momentum=0.0, weight_decay=0.0, optimizer="sgd", schedule="constant", lr_factors=None,
    precision="auto", device="auto", workers=0, seed=0,
    out=None, resume=True, max_minutes=None, save_minutes=5.0,
    val=None, val_samples=256, log_every=20, progress=True,
) -> list[dict]:  # fmt: skip
    """Train `model` on `dataset` (of samples such as `MaskDepthDataset` gives) and return the history.

    steps or samples   how long; a step takes `batch` samples, in an order drawn from `seed`
    loss               loss(output, batch) -> a scalar, or {name: scalar}, which are added up, and logged
    weighting          instead of adding up: weighting({name: scalar}) -> a scalar, like UncertaintyWeighting.
                       Loss and weighting learn along, if they are nn.Modules
    optimizer          "sgd" (the write-up: lr 0.01, no momentum) or "adamw"; schedule: see `schedule_factor`
    lr_factors         {regular expression: factor} for parameters that learn faster or slower than the others
    precision          "auto", "bf16", "fp16", "float32": of the convolutions; parameters stay float32
    workers            processes that make samples beside this one (0: this one makes them, between two steps)
    out                folder for checkpoints (every `save_minutes`, and at the end) and TensorBoard
    resume             go on from the checkpoint in `out`; False: delete that run
    max_minutes        stop then, save and say how to go on; so does Ctrl-C
    val                (dataset, every): every so many steps, figures on the same `val_samples` of its samples

    Started by `torchrun` or `accelerate launch` in several processes, each takes its share of every batch, and
    their gradients are averaged: the same samples in the same steps, whatever their number. (BatchNorm sees its own
    share alone.) The first process logs and saves; a checkpoint fits any number of processes.

    The history is a list of records: step, samples, loss, each of its terms, lr, data_seconds (a step's wait
    for samples), step_seconds (the rest of it), images_per_second, each a mean over the `log_every` steps
    before; what this process and its workers use (see `Usage`); val_loss, val_iou ... A run stopped and resumed
    gives the losses of one that was not, bit for bit,
    on the same machine with the same thread count and library versions (on a CPU; some GPU kernels add in any
    order). The network is left in evaluation mode.

    Raises ValueError (wrong arguments), TrainingError (a run with other settings, or at work, in the folder;
    a loss that is not finite), checkpoint.CheckpointError (checkpoints damaged, or not writable, as when the
    disk is full).
    """
    if (steps is None) == (samples is None):
        raise ValueError("how long to train: give either steps= or samples=")
    counts = {"batch": batch, "log_every": log_every, "val_samples": val_samples, "samples": samples, "steps": steps}
    counts |= {} if val is None else {"val (its second part)": val[1]}
    for name, number in counts.items():
        if number is not None and (number != int(number) or number < 1):
            raise ValueError(f"{name}: expected a whole number above 0, found {number}")
    if not len(dataset):
        raise ValueError("dataset: expected samples, found none")
    steps = math.ceil(samples / batch) if steps is None else steps
    started = time.monotonic()
    device = parallel.own_device(choose_device(device))
    rank, world = parallel.rank_and_world()
    if batch % world:
        raise ValueError(f"batch: expected a multiple of the {world} processes that share it, found {batch}")
    progress = progress and rank == 0
    precision = choose_precision(precision, device)
    dtype, say = DTYPES[precision], tqdm.write if progress else lambda text: None

    model.to(device, memory_format=torch.channels_last).train()
    learning = [part.to(device) for part in (loss, weighting) if isinstance(part, nn.Module)]
    modules = {"": model, "loss.": nn.ModuleList(learning)}
    parameters = {prefix + name: one for prefix, module in modules.items() for name, one in module.named_parameters()}
    optimizer = make_optimizer(optimizer, lr_groups(parameters, lr_factors), lr, momentum, weight_decay)
    scaler = torch.amp.GradScaler(device.type, enabled=precision == "fp16")  # fp16 would round small gradients to 0
    config = {
        "network": network_facts(model), "dataset": describe(dataset), "batch": batch,
        "loss": describe(loss), "weighting": describe(weighting), "optimizer": describe(optimizer),
        "lr": lr, "momentum": momentum, "weight_decay": weight_decay,
        "schedule": describe(schedule), "seed": seed, "log_every": log_every,
    }  # fmt: skip
    if lr_factors:
        config["lr_factors"] = lr_factors
    if schedule != "constant":
        config["steps"] = steps  # a constant learning rate can be prolonged; a schedule with another end is another one

    run = Run(out, resume, config, machine_facts(device, precision), modules, optimizer, scaler, say)
    gpus = [torch.cuda.current_device()] if device.type == "cuda" else []
    # fork_rng: the caller's random numbers go on afterwards as if `fit` had not been.
    parallel.join(device)
    with stop_signals() as stop, torch.random.fork_rng(gpus), run:
        state = run.state
        if parallel.mean({"step": state["step"]}, device)["step"] != state["step"]:
            raise TrainingError(f"{out}: the processes found different checkpoints in it; all must see the same folder")
        if state["step"]:
            say(f"{out}: going on from step {state['step']:,} of {steps:,}")
        own = slice(rank, None, world)  # of each batch
        order = (batch_indices(step, batch, len(dataset), seed)[own] for step in range(state["step"], steps))
        batches = iter(make_loader(dataset, batches=order, workers=workers))
        network = parallel.wrap(model)
        bar, usage = progress_bar(progress, steps, state["step"]), Usage(device)
        for step in range(state["step"], steps):
            before = time.perf_counter()
            batch_samples = {name: tensor.to(device, non_blocking=True) for name, tensor in next(batches).items()}
            loaded = time.perf_counter()

            torch.manual_seed((seed * 1_000_003 + step) % 2**63)  # for networks with dropout
            rate = lr * schedule_factor(schedule, step / steps)
            for group in optimizer.param_groups:
                group["lr"] = rate * group["factor"]
            _, terms, total = forward(network, batch_samples, loss, weighting, device, dtype)
            optimizer.zero_grad()
            scaler.scale(total).backward()
            parallel.average_gradients(parameter for part in learning for parameter in part.parameters())
            scaler.step(optimizer)
            scaler.update()

            # Sums stay on the device: reading one (.item()) would make the CPU wait for the GPU in every
            # step. On a GPU step_seconds is therefore only right over many steps: the waiting is done where
            # the record is written.
            window, now = state["window"], time.perf_counter()
            figures = {"loss": total.detach(), **{name: value.detach() for name, value in terms.items()}}
            figures |= {"steps": 1, "data_seconds": loaded - before, "step_seconds": now - loaded}
            state["window"] = {name: window.get(name, 0.0) + value for name, value in figures.items()}
            state["step"] = step + 1
            bar.update()

            last, picture, record = step + 1 == steps, None, {}
            if last or (step + 1) % log_every == 0:
                record = summarise(state, batch, rate, device) | usage()
                bar.set_postfix(loss=f"{record['loss']:.4f}")
            if val is not None and (last or (step + 1) % val[1] == 0):
                check_finite(state)
                count = min(max(val_samples, world), len(val[0]))
                held_out = batch_list(len(val[0]), count, max(1, min(batch, count // world)))
                held_out = make_loader(val[0], batches=held_out[own], workers=workers)
                figures, picture = validate(model, held_out, loss, weighting, device, dtype)
                record |= figures
            if record:
                run.log({"step": step + 1, "samples": (step + 1) * batch, **record}, picture)

            if max_minutes is not None and time.monotonic() - started > max_minutes * 60:
                stop["reason"] = stop["reason"] or f"Stopped after {max_minutes:g} minutes"
            ending = last or parallel.any_of(bool(stop["reason"]), device)
            if out is not None and (ending or time.monotonic() - run.saved > save_minutes * 60):
                check_finite(state)
                run.save(size=batch_samples["image"].shape[-1])
            if ending:
                stop["reason"] = stop["reason"] or "Stopped by another process"
                break
        parallel.share_buffers(model)
        bar.close()
        say(farewell(stop["reason"], state["step"], steps, out))
    model.eval()
    return state["history"]


def summarise(state: dict, batch: int, lr: float, device: torch.device) -> dict:
    """The means over the steps since the last record, which this ends, and over the processes."""
    window = parallel.mean({name: float(value) for name, value in state["window"].items()}, device)
    steps = window.pop("steps")
    check_finite(state)
    state["window"] = {}
    record = {name: value / steps for name, value in window.items()}
    seconds = record["data_seconds"] + record["step_seconds"]
    return record | {"lr": lr, "images_per_second": batch / seconds}


def check_finite(state: dict) -> None:
    """Raise TrainingError if a loss of the last steps was inf or nan: such weights must not be saved."""
    value = float(state["window"].get("loss", 0.0))
    if not math.isfinite(value):
        raise TrainingError(f"the loss became {value} by step {state['step']}: {SMALLER}")
