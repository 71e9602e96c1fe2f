"""Samples as memory-mapped arrays, one .npy file per field: nothing is decoded, but a sample takes 230 kB at 160 px."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from torch import Tensor
from torch.utils.data import Dataset
from tqdm import tqdm

from ...files import AssetError, check_space, replacing
from ..tensors import checked_index, to_sample
from .codec import ENDINGS, to_arrays, to_shot


def write_arrays(
    dataset: Dataset, folder: Path, indices: Sequence[int], overwrite: bool = False, progress: bool = True
) -> dict:
    """Write samples as .npy files, all or none; arguments, result and errors are those of `zips.write_zips`."""
    count, size = len(indices), dataset.size
    if count == 0:
        raise ValueError("indices: expected samples to write, found none")
    paths = [Path(folder) / f"{field}.npy" for field in ENDINGS]
    with replacing(*paths, overwrite=overwrite) as parts:
        # Check first: writing to a mapped file that does not fit on the disk kills the process without a message.
        check_space(paths[0].parent, 9 * size**2 * count)
        arrays = {}
        for field, part in zip(ENDINGS, parts):
            shape = (count, size, size, 3) if ENDINGS[field] == ".jpg" else (count, size, size)
            arrays[field] = np.lib.format.open_memmap(part, "w+", "<u2" if field == "depth" else "u1", shape)
        for row, index in enumerate(tqdm(indices, desc=f"export to {folder}", unit="sample", disable=not progress)):
            for field, array in to_arrays(dataset.shot(index), size).items():
                arrays[field][row] = array
        del arrays  # closes the files
    return {"folder": str(folder), "samples": count, "bytes": sum(path.stat().st_size for path in paths)}


class ArrayDataset(Dataset):
    """The samples that `write_arrays` wrote, as `MaskDepthDataset` gives them. Raises AssetError for a bad file."""

    def __init__(self, folder: Path, size: int = 160):
        self.folder, self.size = folder, size
        try:
            self.arrays = {field: np.load(Path(folder) / f"{field}.npy", mmap_mode="r") for field in ENDINGS}
        except (OSError, ValueError) as error:
            raise AssetError(f"{folder}: expected arrays as `write_arrays` makes them, found {error}") from error
        lengths = {field: len(array) for field, array in self.arrays.items()}
        if len(set(lengths.values())) > 1:
            raise AssetError(f"{folder}: expected arrays of one length, found {lengths}")

    def __reduce__(self) -> tuple:
        return ArrayDataset, (self.folder, self.size)  # a spawned worker maps the files itself, and copies none

    def __len__(self) -> int:
        return len(self.arrays["image"])

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        index = checked_index(index, len(self))
        return to_sample(to_shot({field: np.asarray(array[index]) for field, array in self.arrays.items()}), self.size)
