"""Speed on this machine: making samples, reading stored ones, training steps, losses. The command `bench`.

The measured functions take turns in short rounds, and the median round counts, so that another program's activity
affects all of them equally. Only rates from one run can be compared with each other.
"""

import functools
import itertools
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Hashable, Iterator
from pathlib import Path

import torch
from torch.utils.data import ChainDataset, ConcatDataset, Dataset, IterableDataset, Subset

from .. import losses
from ..data.datasets import MaskDepthDataset
from ..data.library import room_names
from ..data.loading import make_loader
from ..data.shots import LEVELS
from ..data.storage.arrays import ArrayDataset, write_arrays
from ..data.storage.shards import ShardDataset, write_shards
from ..data.storage.zips import LABELS, ZIPS, ZipDataset, write_zips
from ..devices import DTYPES, choose_device, choose_precision
from ..files import data_dir
from ..models.networks import MaskDepthNet, MaskNet
from ..training.loop import mask_and_depth_loss
from ..training.machine import machine_facts

ROUNDS = 5


def bench(options) -> dict:
    """Measure the speed of samples, formats, training steps and losses on this machine."""
    parts = {"data": bench_data, "formats": bench_formats, "step": bench_step, "losses": bench_losses}
    if unknown := set(options.what) - set(parts):
        raise ValueError(f"bench: expected {', '.join(parts)}; found {', '.join(sorted(unknown))}")
    device = choose_device()
    facts = {"machine": machine_facts(device, choose_precision("auto", device)) | {"cores": os.cpu_count()}}
    return facts | {name: parts[name](device, options.seconds) for name in options.what or parts}


def measure(functions: dict[Hashable, Callable[[], object]], seconds: float, skip: int = 0) -> dict[Hashable, float]:
    """Measure the seconds per call: the median of rounds in which the functions take turns.

    Args:
        functions: ``{name: function without arguments}``.
        seconds: How long each function is measured in total.
        skip: How many calls before each round do not count.
    """
    for function in functions.values():
        function()  # the first call allocates and caches
    times = {name: [] for name in functions}
    for _ in range(ROUNDS):
        for name, function in functions.items():
            for _ in range(skip):
                function()
            calls = 0
            start = time.perf_counter()
            while calls == 0 or time.perf_counter() - start < seconds / ROUNDS:
                function()
                calls += 1
            times[name].append((time.perf_counter() - start) / calls)
    return {name: statistics.median(values) for name, values in times.items()}


def measure_streams(streams: dict[str, Iterator], batch: int, workers: int, seconds: float) -> dict[str, float]:
    """Measure the samples per second of streams of batches."""
    functions = {name: functools.partial(next, batches) for name, batches in streams.items()}
    times = measure(functions, seconds, skip=1 + 4 * workers)  # batches made while other streams were measured
    return {name: batch / value for name, value in times.items()}


def stream(dataset: Dataset, batch: int, workers: int) -> Iterator[dict]:
    """Yield batches endlessly, in long epochs, because worker processes restart after each."""
    shuffle = not isinstance(dataset, IterableDataset)
    times = 1 + 20_000 // len(dataset) if shuffle else 20
    long = (ConcatDataset if shuffle else ChainDataset)([dataset] * times)
    batches = make_loader(long, batch=batch, shuffle=shuffle, workers=workers, drop_last=True)
    while True:
        yield from batches


def loading_rates(sources: dict[str, Dataset], columns: dict[str, tuple[int, int]], seconds: float) -> dict[str, dict]:
    """Measure the samples per second of datasets; columns: {name: (batch, workers)}."""
    rates = {name: {} for name in sources}
    for column, (batch, number) in columns.items():
        streams = {name: stream(source, batch, number) for name, source in sources.items()}
        for name, rate in measure_streams(streams, batch, number, seconds).items():
            rates[name][column] = rate
        del streams  # ends their workers
    return rates


def composed_sources(size: int) -> dict[str, Dataset]:
    rooms = min(100, len(room_names("train")))
    sources = {gap: MaskDepthDataset("train", size, gap, rooms=rooms) for gap in LEVELS}
    return sources | {"handheld, lamps": MaskDepthDataset("train", size, "handheld", rooms=rooms, light="lamps")}


def bench_data(device, seconds: float, sizes=(80, 160), batch: int = 32, workers=(0, 1, 2)) -> dict:
    """Measure the samples per second of `MaskDepthDataset`, made in this process (0 workers) or in others."""
    rates = {}
    columns = {f"{number} workers, samples/s": (batch, number) for number in workers}
    for size in sizes:
        sources = composed_sources(size)
        for index in range(min(1000, len(sources["none"]))):
            sources["handheld, lamps"][index]  # until most rooms and objects are in memory
        measured = loading_rates(sources, columns, seconds)
        rates |= {f"{size} px, {gap}": row for gap, row in measured.items()}
    return rates


def bench_formats(
    device, seconds: float, sizes=(80, 160), batches=(32, 64, 128), workers=(0, 1, 2), samples: int = 600
) -> dict:
    """Measure the samples per second, read from cached files or composed, and each format's size on disk."""
    settings = itertools.product(batches, workers)
    columns = {f"{number} workers, batch {batch}, samples/s": (batch, number) for batch, number in settings}
    rates = {}
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            sources, facts = make_sources(Path(folder), size, samples)
            measured = loading_rates(sources, columns, seconds)
        rates |= {f"{size} px, {name}": facts[name] | row for name, row in measured.items()}
    return rates


def make_sources(folder: Path, size: int, samples: int) -> tuple[dict[str, Dataset], dict[str, dict[str, float]]]:
    """Write the same samples in each format: ``{name: dataset}`` and ``{name: {"kB/sample", "ms/sample to make"}}``."""
    composed = composed_sources(size)
    dataset = composed["none"]
    indices = range(min(samples, len(dataset)))
    sources = {f"composed, {gap}": Subset(one, indices) for gap, one in composed.items()}
    kilobytes = sum(map(folder_size, (data_dir() / "rooms", data_dir() / "objects"))) / len(dataset) / 1e3
    facts = {name: {"kB/sample": kilobytes, "ms/sample to make": 0.0} for name in sources}
    writers = {
        "zip, as in 2020": (write_zips, ZipDataset),
        "tar shards": (functools.partial(write_shards, per_shard=100), ShardDataset),
        "memory-mapped arrays": (write_arrays, ArrayDataset),
    }
    for name, (write, reader) in writers.items():
        start = time.perf_counter()
        write(dataset, folder / name, indices, progress=False)
        milliseconds = 1000 * (time.perf_counter() - start) / len(indices)
        kilobytes = folder_size(folder / name) / len(indices) / 1e3
        facts[name] = {"kB/sample": kilobytes, "ms/sample to make": milliseconds}
        sources[name] = reader(folder / name, size)
    zips, extracted = folder / "zip, as in 2020", folder / "files"
    for path in zips.glob("*.zip"):
        shutil.unpack_archive(path, extracted / path.stem)
    shutil.copy(zips / LABELS, extracted)
    sources["single files"] = ZipDataset(extracted, size, **{field: Path(name).stem for field, name in ZIPS.items()})
    facts["single files"] = dict(facts["zip, as in 2020"])
    return sources, facts


def folder_size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())


def bench_step(device, seconds: float, sizes=(80, 160), batch: int = 32) -> dict:
    """Measure the images per second of whole training steps on random pictures: forward, loss, backward, SGD."""
    precisions = dict.fromkeys(("float32", choose_precision("auto", device)))
    functions = {}
    for network, size in itertools.product((MaskNet, MaskDepthNet), sizes):
        model = network().to(device, memory_format=torch.channels_last)
        for precision in precisions:
            name = f"{network.__name__}, {size} px, {precision}"
            functions[name] = step_function(model, size, batch, precision, device)
    return {name: {"images/s": batch / value} for name, value in measure(functions, seconds).items()}


def step_function(model: torch.nn.Module, size: int, batch: int, precision: str, device) -> Callable[[], None]:
    """Return a function that does one training step. fp16 is measured without a scaler, which costs next to nothing."""
    channels = {"image": 3, "background": 3, "mask": 1, "depth": 1}
    samples = {name: torch.rand(batch, count, size, size, device=device) for name, count in channels.items()}
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-6)  # so small that the network hardly changes

    def step():
        with torch.autocast(device.type, DTYPES[precision], enabled=precision != "float32"):
            output = model(samples["image"], samples["background"])
        optimizer.zero_grad()
        sum(mask_and_depth_loss(output, samples).values()).backward()
        optimizer.step()
        getattr(torch, device.type).synchronize()  # a GPU continues after the call has returned

    return step


def bench_losses(device, seconds: float, sizes=(80, 160), batch: int = 32) -> dict:
    """Measure the milliseconds of each loss, forward and backward."""
    measured = (losses.l1, losses.edge, losses.ssim, losses.bce, losses.dice_loss, losses.mask_loss, losses.depth_loss)

    def run(loss: Callable, prediction: torch.Tensor, target: torch.Tensor) -> None:
        torch.autograd.grad(loss(prediction, target), prediction)
        getattr(torch, device.type).synchronize()

    functions = {}
    for loss, size in itertools.product(measured, sizes):
        prediction, target = torch.rand(2, batch, 1, size, size, device=device)
        functions[loss, size] = functools.partial(run, loss, prediction.requires_grad_(), target)
    times = measure(functions, seconds / 4)
    return {loss.__name__: {f"{size} px, ms": 1000 * times[loss, size] for size in sizes} for loss in measured}
