"""Training that takes no time, for tests: tiny pictures, small networks, `fit` with small settings."""

import signal

import torch
from torch import nn

from maskdepth_utils.models import MaskNet
from maskdepth_utils.training import fit

TIMES = {"data_seconds", "step_seconds", "images_per_second", "memory_mb", "cpu_cores"}


class Squares:
    """A tiny data set: a bright square on noise, its mask, and a slope for depth. Sample i is the same every time.

    The process that makes sample `interrupt_at` receives a signal, by default that of Ctrl-C.
    """

    def __init__(self, length=40, size=32, interrupt_at=None, number=signal.SIGINT):
        self.length = length
        self.size = size
        self.interrupt_at = interrupt_at
        self.number = number
        self.settings = {"size": size}

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        if index >= self.length:
            raise IndexError(index)
        if index == self.interrupt_at:
            signal.raise_signal(self.number)
        generator = torch.Generator().manual_seed(index)
        background = torch.rand(3, self.size, self.size, generator=generator)
        row, column = torch.randint(0, self.size - 12, (2,), generator=generator).tolist()
        mask = torch.zeros(1, self.size, self.size)
        mask[:, row : row + 12, column : column + 12] = 1
        depth = torch.linspace(0.8, 0.2, self.size).view(1, -1, 1).expand_as(mask).contiguous()
        image = torch.where(mask > 0, 1 - background / 4, background)
        return {"image": image, "background": background, "mask": mask, "depth": depth}


class Dropping(MaskNet):
    """A network that draws random numbers."""

    def forward(self, image, background):
        return super().forward(nn.functional.dropout(image, 0.2, self.training), background)


def new_net(kind=MaskNet, **arguments):
    """A network with the same first weights every time."""
    torch.manual_seed(0)
    return kind(**arguments)


def small_fit(model, out=None, dataset=None, **options):
    options = {"batch": 4, "steps": 12, "lr": 0.05, "progress": False, "log_every": 1, "device": "cpu"} | options
    return fit(model, dataset or Squares(), out=out, **options)


def figures(history):
    """The history without its times."""
    return [{name: value for name, value in record.items() if name not in TIMES} for record in history]


def same_tensors(a, b):
    """Whether two networks, or dicts of tensors, are equal bit for bit."""
    a, b = (one.state_dict() if isinstance(one, nn.Module) else one for one in (a, b))
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def damage(path):
    """Overwrite some bytes in the middle of a file."""
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 200] = bytes(200)
    path.write_bytes(content)
