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

NAMES = [f"{field}.npy" for field in ENDINGS]


def write_arrays(
    dataset: Dataset, folder: Path, indices: Sequence[int], overwrite: bool = False, progress: bool = True
) -> dict:
    """Write samples of a MaskDepthDataset or SceneDataset as .npy files. All files appear at the end, or none.

    Returns:
        The `folder`, the number of `samples` and the `bytes` written.

    Raises:
        FileExistsError: The folder has such files already, and `overwrite` is not set.
        WriteError: The disk is too small; the message says how much space is needed.
    """
    folder = Path(folder)
    size = dataset.size
    paths = [folder / name for name in NAMES]
    with replacing(*paths, overwrite=overwrite) as parts:
        # Checked first: writing to a mapped file for which there is no room kills the process without a message.
        check_space(folder, 9 * size**2 * len(indices))
        arrays = {}
        for field, part in zip(ENDINGS, parts):
            shape = (len(indices), size, size) + ((3,) if ENDINGS[field] == ".jpg" else ())
            kind = np.uint16 if field == "depth" else np.uint8
            arrays[field] = np.lib.format.open_memmap(part, "w+", kind, shape)
        for row, index in enumerate(tqdm(indices, desc=f"export to {folder}", unit="sample", disable=not progress)):
            for field, array in to_arrays(dataset.shot(index), size).items():
                arrays[field][row] = array
        del arrays  # closes the files
    return {"folder": str(folder), "samples": len(indices), "bytes": sum(path.stat().st_size for path in paths)}


class ArrayDataset(Dataset):
    """The samples that `write_arrays` wrote, as `MaskDepthDataset` gives them. Raises AssetError if one is missing."""

    def __init__(self, folder: Path, size: int = 160):
        self.size = size
        self.arrays = {}
        for field, name in zip(ENDINGS, NAMES):
            path = Path(folder) / name
            if not path.is_file():
                raise AssetError(f"{path} is missing: expected {', '.join(NAMES)}")
            self.arrays[field] = np.load(path, mmap_mode="r", allow_pickle=False)
        lengths = {field: len(array) for field, array in self.arrays.items()}
        if len(set(lengths.values())) > 1:
            raise AssetError(f"{folder}: expected arrays of one length, found {lengths}")

    def __len__(self) -> int:
        return len(self.arrays["image"])

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        index = checked_index(index, len(self))
        return to_sample(to_shot({field: np.asarray(array[index]) for field, array in self.arrays.items()}), self.size)
