"""Random draws that depend only on their purpose, (seed, split, index), never on earlier draws.

`numpy.random.default_rng(seed)` hands out numbers in sequence, so sample 7 would depend on whether samples 0 to 6 were
drawn before it. A counter-based generator's output is a function of a key and a counter. Philox (Salmon et al.,
"Parallel random numbers: as easy as 1, 2, 3", SC 2011) mixes both so well that counters 1, 2, 3 give unrelated bits.
NumPy promises that these raw bits never change; its *distributions* may, so the few needed here are made from the bits.
"""

import threading
import zlib
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np

_BLOCK = 16  # numbers fetched at once: a fetch costs as much as ten numbers
_NORMAL = NormalDist()
_QUANTILES = np.array([_NORMAL.inv_cdf((k + 0.5) / 256) for k in range(256)])

# 256 equally likely values with mean 0 and standard deviation 1, close to a normal distribution's
NORMAL_TABLE = (_QUANTILES / _QUANTILES.std()).astype(np.float32)


class _Generator(threading.local):
    """One Philox per thread, for all streams: setting its key and counter is seven times as fast as making another."""

    def __init__(self):
        self.philox = np.random.Philox(key=0)


_GENERATOR = _Generator()


class Draws:
    """Random numbers for one purpose. Equal (seed, split, index, stream) give equal numbers, on any machine."""

    def __init__(self, seed: int, split: str, index: int, stream: int = 0):
        for name, value in (("seed", seed), ("index", index)):
            if not 0 <= value < 2**64:
                raise ValueError(f"{name}: expected 0 to 2**64 - 1, found {value}")
        self._origin = int(seed), split, int(index)
        self._stream = stream
        self._fetched = 0  # how many numbers of the stream
        self._block = []  # unused numbers of the last fetch, the next one last

    def fork(self, name: str) -> "Draws":
        """An independent stream for the part called `name`: a draw added to one part changes no other part."""
        return Draws(*self._origin, stream=zlib.crc32(f"{self._stream}/{name}".encode()))

    def _raw(self, count: int) -> np.ndarray:
        seed, split, index = self._origin
        step, skip = divmod(self._fetched, 4)  # each count gives four numbers
        self._fetched += count
        philox = _GENERATOR.philox
        philox.state = {
            "bit_generator": "Philox", "buffer": (0, 0, 0, 0), "buffer_pos": 4, "has_uint32": 0, "uinteger": 0,
            # Philox counts up in the first word; the other words identify the stream.
            "state": {"counter": (step, 0, self._stream, index), "key": (seed, zlib.crc32(split.encode()))},
        }  # fmt: skip
        return philox.random_raw(skip + count)[skip:]

    def _bits(self) -> int:
        if not self._block:
            self._block = self._raw(_BLOCK)[::-1].tolist()
        return self._block.pop()

    def uniform(self, low: float = 0.0, high: float = 1.0) -> float:
        """A number in [low, high), from the upper 53 bits."""
        return low + (high - low) * (self._bits() >> 11) * 2.0**-53

    def integer(self, count: int) -> int:
        """An integer in 0 .. count - 1 (bias below count / 2**53)."""
        return int(self.uniform(0, count))

    def normal(self, mean: float = 0.0, std: float = 1.0) -> float:
        """A normally distributed number, by the inverse of the cumulative distribution."""
        return mean + std * _NORMAL.inv_cdf(((self._bits() >> 11) + 0.5) * 2.0**-53)

    def choice(self, options: Sequence[str], weights: Sequence[float]) -> str:
        """One of the `options`, by `weights` (which need not sum to 1)."""
        rest = self.uniform(0, sum(weights))
        for option, weight in zip(options, weights, strict=True):
            rest -= weight
            if rest < 0:
                return option
        return options[-1]

    def bytes(self, *shape: int) -> np.ndarray:
        """Uniform uint8 array. `NORMAL_TABLE[draws.bytes(160, 160, 3)]` is normal noise, cheaply."""
        count = int(np.prod(shape))
        # '<u8' so that a big-endian machine gets the same bytes from the same bits
        return self._raw(-(-count // 8)).astype("<u8", copy=False).view(np.uint8)[:count].reshape(shape)
