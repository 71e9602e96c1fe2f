"""The loader makes the same batches with any number of workers, and leaves the caller's random numbers alone."""

import multiprocessing
import os
import signal

import cv2
import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset, Subset

from maskdepth_utils.data import MaskDepthDataset, loading, make_loader
from maskdepth_utils.files import AssetError

linux_only = pytest.mark.skipif(not os.path.exists("/dev/shm"), reason="not Linux")


@pytest.fixture
def dataset(data):
    return MaskDepthDataset(gap="handheld", rooms=4)


def assert_equal(mine, theirs):
    for key, value in mine.items():
        assert torch.equal(value, theirs[key]), key


@pytest.mark.parametrize("options", [{"batch": 8, "shuffle": True}, {"batches": [[5, 3], [20, 11], [0, 23]]}])
def test_workers_make_the_same_batches(dataset, options):
    few = Subset(dataset, range(24))
    for mine, theirs in zip(make_loader(few, **options), make_loader(few, workers=2, **options), strict=True):
        assert_equal(mine, theirs)


def test_explicit_batches_are_those_and_no_others(dataset):
    first, last = make_loader(dataset, batches=iter([[7, 99, 250], [3]]))
    assert torch.equal(first["mask"][1], dataset[99]["mask"]) and torch.equal(last["image"][0], dataset[3]["image"])


def test_shuffling_depends_on_the_seed_and_not_on_the_callers_generator(dataset):
    few, state = Subset(dataset, range(12)), torch.get_rng_state()
    one, same, other = (next(iter(make_loader(few, batch=12, shuffle=True, seed=seed)))["mask"] for seed in (1, 1, 2))
    assert torch.equal(one, same) and not torch.equal(one, other)
    assert torch.equal(torch.get_rng_state(), state)


class Stubborn(Dataset):
    """In a worker: how signals from others than the main process are handled, and how many threads there are."""

    def __len__(self):
        return 3

    def __getitem__(self, index):
        os.kill(os.getpid(), (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)[index])
        return torch.tensor([torch.get_num_threads(), cv2.getNumThreads()])


@linux_only
def test_a_worker_has_one_thread_and_only_the_main_process_ends_it():
    batches = iter(make_loader(Stubborn(), batch=1, workers=1))
    assert torch.cat([next(batches) for _ in range(3)]).tolist() == [[1, 1]] * 3
    [worker] = multiprocessing.active_children()
    worker.terminate()  # as at the end of Python, if an error still holds the loader
    worker.join(60)
    assert worker.exitcode == 0


class Groups(Dataset):
    """In a worker: the group of processes, all of which a signal to the group reaches."""

    def __len__(self):
        return 1

    def __getitem__(self, index):
        return os.getpgrp()


@pytest.mark.parametrize("told", [True, False])
@linux_only
def test_where_the_sender_of_a_signal_is_unknown_workers_leave_the_group(told, monkeypatch):
    if not told:
        monkeypatch.delattr(signal, "sigwaitinfo")  # as on macOS
    [[group]] = make_loader(Groups(), batch=1, workers=1)
    assert (group == os.getpgrp()) == told


@pytest.mark.filterwarnings("ignore:This DataLoader will create")
def test_workers_are_limited(dataset):
    assert make_loader(dataset, workers=1_000_000).num_workers <= 16 * os.cpu_count()


class Limited(Subset):
    """In a worker, shared memory has no room for a batch."""

    def __getitems__(self, indices):
        import resource

        if torch.utils.data.get_worker_info():
            resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
        return super().__getitems__(indices)


@linux_only
def test_workers_do_without_shared_memory(dataset, capfd):
    loading.note_small_memory.cache_clear()
    few = Limited(dataset, range(12))
    for mine, theirs in zip(make_loader(few, batch=4), make_loader(few, batch=4, workers=1), strict=True):
        assert_equal(mine, theirs)
    note = capfd.readouterr().err
    assert note.count("\n") == 1 and "--shm-size" in note and "--workers 0" in note


@pytest.mark.parametrize("start", sorted({"fork", "spawn"} & set(multiprocessing.get_all_start_methods())))
def test_your_own_loader_works_too(dataset, start):
    """Without our loader's settings, after the main process has used OpenCV with many threads."""
    cv2.setNumThreads(2)
    cv2.GaussianBlur(np.zeros((2000, 2000, 3), np.uint8), (0, 0), 5)
    made = list(DataLoader(Subset(dataset, [0, 1, 2, 3]), num_workers=1, multiprocessing_context=start))[2]
    assert_equal(dataset[2], {key: value[0] for key, value in made.items()})


def test_a_damaged_asset_is_named_even_by_a_worker(own_data):
    for path in (own_data / "rooms").glob("*.webp"):
        path.write_bytes(b"RIFF")
    with pytest.raises(AssetError, match=r"room_train_00\d.webp \(4 bytes\) cannot be decoded"):
        list(make_loader(MaskDepthDataset(rooms=4), workers=1))
