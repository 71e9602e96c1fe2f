"""Speed on this machine: making samples, reading stored ones, training steps, losses. The command `bench`.

Rates of one run can be compared with each other: what is measured takes turns in short rounds, and the median
round counts, so that another program's activity hits everything alike. Rates of two runs or machines cannot.
"""

import importlib.util
import itertools
import json
import os
import shutil
import statistics
import tempfile
import time
import zipfile
from pathlib import Path

import torch
import torch.nn.functional as F
from torch.utils.data import ChainDataset, ConcatDataset, IterableDataset, Subset

from .. import losses
from ..data.datasets import MaskDepthDataset
from ..data.library import room_names
from ..data.loading import make_loader
from ..data.shots import LEVELS
from ..data.storage.codec import LABELS, ZIPS, export
from ..data.storage.shards import ArrayDataset, ShardDataset, export_arrays, export_shards
from ..data.storage.zips import ZipDataset
from ..devices import DTYPES, choose_device, choose_precision
from ..files import data_dir
from ..models.networks import MaskDepthNet, MaskNet
from ..training.loop import mask_and_depth_loss
from ..training.machine import machine_facts

ROUNDS = 5


def bench(options) -> dict:
    """{"machine": facts, "data": {row: figures}, "step": ..., "losses": ...}; raises ValueError for an
    unknown part.
    """
    parts = {"data": bench_data, "formats": bench_formats, "step": bench_step, "losses": bench_losses}
    unknown = set(options.what) - set(parts)
    if unknown:
        raise ValueError(f"bench: expected {', '.join(parts)}; found {', '.join(sorted(unknown))}")
    device = choose_device()
    facts = {"machine": machine_facts(device, choose_precision("auto", device)) | {"cores": os.cpu_count()}}
    found = {name: parts[name](device, options.seconds) for name in options.what or parts}
    return facts | found | compare(found, reference()["results"])


def reference() -> dict:
    """The stored run on the course's machine (notebooks/tools/measure_speed.py): its results, machine and commit.

    Without results where it is missing.
    """
    path = data_dir() / "results" / "bench.json"
    return json.loads(path.read_text(encoding="utf8")) if path.is_file() else {"results": {}}


def compare(found: dict, stored: dict) -> dict:
    """{"data, here / reference": {row: {column: ratio}}} for what both have measured.

    The ratios of one part tell what is fast or slow *here*; the two runs' machines differ, and so may their load.
    """
    result = {}
    for part in (part for part in found if part in stored):
        rows = {
            row: {column: round(value / stored[part][row][column], 2) for column, value in columns.items()
                  if stored[part][row].get(column)}
            for row, columns in found[part].items() if row in stored[part]
        }  # fmt: skip
        result |= {f"{part}, here / reference": rows} if any(rows.values()) else {}
    return result


def measure(functions: dict, seconds: float) -> dict:
    """{name: function without arguments} -> {name: seconds per call}, the median of rounds in turns."""
    for function in functions.values():
        function()  # the first call allocates and caches
    times = {name: [] for name in functions}
    for _ in range(ROUNDS):
        for name, function in functions.items():
            calls, start = 0, time.perf_counter()
            while calls == 0 or time.perf_counter() - start < seconds / ROUNDS:
                function()
                calls += 1
            times[name].append((time.perf_counter() - start) / calls)
    return {name: statistics.median(values) for name, values in times.items()}


def bench_data(device, seconds: float, sizes=(80, 160), batch: int = 32, workers=(0, 1, 2)) -> dict:
    """Samples per second of `MaskDepthDataset`, made in this process (0 workers) or in others."""
    rates, rooms = {}, min(100, len(room_names("train")))
    for size in sizes:
        sources = {gap: MaskDepthDataset("train", size, gap, rooms=rooms) for gap in LEVELS}
        for index in range(10 * rooms):
            sources["none"][index]  # until most rooms and objects are in memory
        for number in workers:
            streams = {gap: stream(dataset, batch, number) for gap, dataset in sources.items()}
            for gap, rate in measure_streams(streams, batch, number, seconds).items():
                rates.setdefault(f"{size} px, {gap}", {})[f"{number} workers, samples/s"] = rate
            del streams  # ends their workers
    return rates


def bench_formats(
    device, seconds: float, sizes=(80, 160), batches=(32, 64, 128), workers=(0, 1, 2), samples: int = 600
) -> dict:
    """Samples per second from each way to store samples, and composed as they are needed; what each takes on disk.

    All ways are measured in turns, for every size of picture and batch and number of workers. The files have just been
    written and lie in memory: a disk can only be slower. Composed samples lie nowhere; what they are made of counts.
    """
    rates = {}
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            sources, facts = make_sources(Path(folder), size, samples)
            for batch, number in itertools.product(batches, workers):
                streams = {name: stream(source, batch, number) for name, source in sources.items()}
                for name, rate in measure_streams(streams, batch, number, seconds).items():
                    facts[name][f"{number} workers, batch {batch}, samples/s"] = rate
                del streams  # ends their workers before the files go
        rates |= {f"{size} px, {name}": row for name, row in facts.items()}
    return rates


def make_sources(folder: Path, size: int, samples: int) -> tuple[dict, dict]:
    """({name: dataset}, {name: {"kB/sample", "ms/sample to make"}}): the same samples in each format, and composed."""
    rooms = min(100, len(room_names("train")))
    composed = {gap: MaskDepthDataset("train", size, gap, rooms=rooms) for gap in LEVELS}
    indices, sources, facts = range(min(samples, len(composed["none"]))), {}, {}
    ours = sum(path.stat().st_size for kind in ("rooms", "objects") for path in (data_dir() / kind).iterdir())
    for gap, dataset in composed.items():
        sources[f"composed, {gap}"] = Subset(dataset, indices)
        facts[f"composed, {gap}"] = {"kB/sample": ours / len(dataset) / 1e3, "ms/sample to make": 0.0}
    dataset, quiet = composed["none"], {"progress": False}
    makers = {
        "zip, as in 2020": (lambda at: export(dataset, at, indices, **quiet), ZipDataset),
        "tar shards": (lambda at: export_shards(dataset, at, indices, per_shard=100, **quiet), ShardDataset),
        "memory-mapped arrays": (lambda at: export_arrays(dataset, at, indices, **quiet), ArrayDataset),
    }
    for name, (write, read) in makers.items():
        start = time.perf_counter()
        write(folder / name)
        took = time.perf_counter() - start
        on_disk = sum(path.stat().st_size for path in (folder / name).iterdir())
        sources[name] = read(folder / name, size)
        facts[name] = {"kB/sample": on_disk / len(indices) / 1e3, "ms/sample to make": 1000 * took / len(indices)}
    zips, extracted = folder / "zip, as in 2020", folder / "files"
    for path in zips.glob("*.zip"):
        with zipfile.ZipFile(path) as archive:
            archive.extractall(extracted / path.stem)
    shutil.copy(zips / LABELS, extracted)
    folders = {field: Path(name).stem for field, name in ZIPS.items()}
    sources["single files"] = ZipDataset(extracted, size, **folders)
    facts["single files"] = dict(facts["zip, as in 2020"])
    return sources, facts


def stream(dataset, batch: int, workers: int):
    """Batches of the dataset without end. It is strung together, as at each end workers would have to begin anew."""
    shuffle = not isinstance(dataset, IterableDataset)
    times = 1 + 20_000 // len(dataset) if shuffle else 20
    long = (ConcatDataset if shuffle else ChainDataset)([dataset] * times)
    batches = make_loader(long, batch=batch, shuffle=shuffle, workers=workers, drop_last=True)
    while True:
        yield from batches


def measure_streams(streams: dict, batch: int, workers: int, seconds: float) -> dict:
    """{name: samples per second}, the median of rounds in turns."""
    rates = {name: [] for name in streams}
    for _ in range(ROUNDS):
        for name, batches in streams.items():
            for _ in range(1 + 2 * workers):  # what the workers made while others were measured
                next(batches)
            count, start = 0, time.perf_counter()
            while count == 0 or time.perf_counter() - start < seconds / ROUNDS:
                next(batches)
                count += batch
            rates[name].append(count / (time.perf_counter() - start))
    return {name: statistics.median(values) for name, values in rates.items()}


def bench_step(device, seconds: float, sizes=(80, 160), batch: int = 32) -> dict:
    """Images per second of whole training steps on random pictures: forward, loss, backward, SGD."""
    fastest = choose_precision("auto", device)
    functions = {}
    for network, size in itertools.product((MaskNet, MaskDepthNet), sizes):
        model = network().to(device, memory_format=torch.channels_last)
        for precision in dict.fromkeys(("float32", fastest)):
            functions[f"{network.__name__}, {size} px, {precision}"] = step_function(
                model, size, batch, precision, device
            )
    return {name: {"images/s": batch / value} for name, value in measure(functions, seconds).items()}


def step_function(model, size: int, batch: int, precision: str, device):
    """A function that does one training step. (fp16 without its scaler: the same work but for a multiplication.)"""
    samples = random_samples(batch, size, device)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-6)  # so small that the network stays what it is

    def step():
        with torch.autocast(device.type, DTYPES[precision], enabled=precision != "float32"):
            output = model(samples["image"], samples["background"])
        optimizer.zero_grad()
        sum(mask_and_depth_loss(output, samples).values()).backward()
        optimizer.step()
        if device.type == "cuda":
            torch.cuda.synchronize()  # a GPU works on after the call has returned

    return step


def bench_losses(device, seconds: float, sizes=(80, 160), batch: int = 32) -> dict:
    """Milliseconds of each loss, forward and backward, for a batch of 32.

    Where pytorch-msssim is installed (extra `compare`), also of the same two sums built from it and kornia.
    """
    names = ("l1", "edge", "ssim", "bce", "dice", "mask_loss", "depth_loss")
    compared = {name: getattr(losses, name) for name in names} | losses_from_libraries()
    functions = {
        (name, size): loss_function(loss, size, batch, device)
        for (name, loss), size in itertools.product(compared.items(), sizes)
    }
    times = measure(functions, seconds / 4)
    return {
        name: {f"{size} px, ms": 1000 * times[name, size] for size in sizes}
        for name in dict.fromkeys(key[0] for key in functions)
    }


def losses_from_libraries() -> dict:
    """{name: loss}: what `mask_loss` and `depth_loss` add up, from kornia and pytorch-msssim; {} without the latter."""
    if importlib.util.find_spec("pytorch_msssim") is None:
        return {}
    from kornia.filters import spatial_gradient
    from pytorch_msssim import ssim

    def structure(prediction, target):
        return (1 - ssim(prediction, target, data_range=1.0)) / 2

    def mask_loss(logits, target):
        return F.binary_cross_entropy_with_logits(logits, target) + structure(torch.sigmoid(logits), target)

    def depth_loss(prediction, target):
        slopes = [spatial_gradient(x, normalized=False)[..., 1:-1, 1:-1] for x in (prediction, target)]
        return F.l1_loss(prediction, target) + 2 * F.l1_loss(*slopes) + structure(prediction, target)

    return {"mask_loss, from libraries": mask_loss, "depth_loss, from libraries": depth_loss}


def loss_function(loss, size: int, batch: int, device):
    """A function that computes one loss and its gradient."""
    target = random_samples(batch, size, device)["mask"]
    prediction = torch.rand_like(target, requires_grad=True)

    def run():
        torch.autograd.grad(loss(prediction, target), prediction)
        if device.type == "cuda":
            torch.cuda.synchronize()

    return run


def random_samples(batch: int, size: int, device) -> dict:
    """A batch of noise in the shape of samples."""
    channels = {"image": 3, "background": 3, "mask": 1, "depth": 1}
    return {name: torch.rand(batch, count, size, size, device=device) for name, count in channels.items()}
