"""Networks on disk: the small files that ship, and the checkpoints of a training run.

A shipped network is a safetensors file of numbers with a text header. A run's checkpoint is written by `torch.save`
and read with `weights_only=True`. Neither way of reading runs any code that a file may hold.
"""

import json
import re
import zipfile
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from ..files import write_file
from . import networks


class CheckpointError(RuntimeError):
    """A checkpoint is missing, damaged, of another network, or cannot be written. The message names the file."""


def network_facts(model: nn.Module) -> dict[str, Any]:
    """Describe a network: its class, its arguments (if it has an attribute `arguments`), its number of parameters."""
    return {
        "network": type(model).__name__,
        "arguments": dict(getattr(model, "arguments", {})),
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
    }


def tensors_to_bytes(tensors: dict[str, Tensor], metadata: dict[str, Any] | None = None) -> bytes:
    """Encode named tensors as safetensors; the format has no channels-last order, so such tensors are copied."""
    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    return safetensors.torch.save(contiguous, {"maskdepth": json.dumps(metadata or {})})


def read_weights(path: str | Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read the tensors and the metadata of a safetensors file; CheckpointError if it is missing or damaged."""
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"{path}: no such checkpoint")
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}
            metadata = json.loads((file.metadata() or {}).get("maskdepth", "{}"))
        if not isinstance(metadata, dict):
            raise ValueError(f"its metadata are {type(metadata).__name__}, expected a dict")
    except (SafetensorError, ValueError, OSError) as error:
        found = f"{path.stat().st_size:,} bytes; {error}"
        raise CheckpointError(f"{path}: damaged, or no safetensors file ({found}). Get it again") from error
    return tensors, metadata


def save_pretrained(
    model: nn.Module, path: str | Path, *, size: int = 160, arguments: dict[str, Any] | None = None, **facts: Any
) -> None:
    """Write a network for `load_pretrained`: fp16 weights, and in the metadata how to rebuild it.

    fp16 halves the file, and its rounding (0.05 %) is small beside a network's own errors.

    Args:
        size: The picture width in pixels that the network was trained at.
        arguments: How the network was built, if it has no attribute `arguments`.
        facts: Anything worth knowing about the training that JSON can hold.

    Raises:
        CheckpointError: The file could not be loaded again: other arguments, or values that fp16 cannot hold.
    """
    metadata = network_facts(model) | {"size": size} | facts
    if arguments is not None:
        metadata["arguments"] = arguments
    tensors = model.state_dict()
    load_weights(build_network(metadata, path), tensors, f"{path} (arguments {metadata['arguments']})")
    # BatchNorm's buffers stay float32: its variances are squares and may lie beyond fp16; they are few.
    parameters = {name for name, _ in model.named_parameters()}
    half = {name: tensor.half() if name in parameters else tensor for name, tensor in tensors.items()}
    for name, tensor in half.items():
        if not torch.isfinite(tensor).all():
            raise CheckpointError(f"{path}: not written, as {name} holds nan or values that fp16 cannot (above 65504)")
    write_file(Path(path), tensors_to_bytes(half, metadata))


def build_network(metadata: dict[str, Any], source: str | Path) -> nn.Module:
    """Build the network that the metadata of `source` describe, with fresh weights; CheckpointError if not possible."""
    name, arguments = metadata.get("network"), metadata.get("arguments", {})
    if name not in ("MaskNet", "MaskDepthNet"):
        raise CheckpointError(
            f"{source}: holds no network of this course (expected MaskNet or MaskDepthNet, found {name})"
        )
    try:
        return getattr(networks, name)(**arguments)
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"{source}: {name} of this version cannot be built with {arguments} ({error})") from error


def load_weights(model: nn.Module, tensors: dict[str, Tensor], source: str | Path, grow: str | None = None) -> None:
    """Copy tensors into a network.

    Args:
        source: Where the tensors come from, for messages.
        grow: A regular expression for the beginning of names of layers that may differ from the file's. A convolution
            with more inputs keeps the file's weights for the first inputs and 0 for the others, so that it computes
            what it did before. A tensor that does not fit at all keeps its fresh values.

    Raises:
        CheckpointError: Names or shapes are not those of the network.
    """
    own = model.state_dict()
    if grow:
        tensors = grow_tensors(tensors, own, grow)
    expected = {name: tuple(tensor.shape) for name, tensor in own.items()}
    found = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    if expected != found:
        names = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
        facts = network_facts(model)
        arguments = ", ".join(f"{name}={value!r}" for name, value in facts["arguments"].items())
        raise CheckpointError(
            f"{source}: holds another network than {facts['network']}({arguments}) with {facts['parameters']:,} "
            f"parameters: {len(names)} tensors differ, the first is {names[0]} "
            f"(expected {expected.get(names[0], 'none')}, found {found.get(names[0], 'none')})"
        )
    model.load_state_dict(tensors)


def grow_tensors(tensors: dict[str, Tensor], own: dict[str, Tensor], pattern: str) -> dict[str, Tensor]:
    """Make a file's tensors whose names match `pattern` fit the network's `own`: widened, or replaced by them."""
    grown = {name: tensor for name, tensor in tensors.items() if not re.match(pattern, name)}
    for name, fresh in own.items():
        if re.match(pattern, name):
            tensor = widen_convolution(tensors.get(name, fresh), fresh.shape)
            grown[name] = tensor if tensor.shape == fresh.shape else fresh
    return grown


def widen_convolution(weight: Tensor, shape: torch.Size) -> Tensor:
    """Add zeros for the further inputs in `shape` to weights (O, I, k, k); return any other tensor as it is."""
    old = weight.shape
    if len(old) != 4 or old[:1] + old[2:] != shape[:1] + shape[2:] or old[1] >= shape[1]:
        return weight
    return torch.cat([weight, weight.new_zeros(old[0], shape[1] - old[1], *old[2:])], dim=1)


def load_network(path: str | Path) -> tuple[nn.Module, dict[str, Any]]:
    """Load a network and its metadata from a safetensors file, or from a run's folder (its newest checkpoint)."""
    tensors, metadata = read_network(path)
    model = build_network(metadata, path)
    load_weights(model, tensors, path)  # copies fp16 values into float32 parameters
    return model.eval(), metadata


def read_network(path: str | Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read a network's tensors and metadata, from the same places."""
    if not Path(path).is_dir():
        return read_weights(path)
    checkpoint = read_run(path)
    if checkpoint is None:
        raise CheckpointError(f"{path}: no checkpoint of a run in this folder")
    training = {"step": checkpoint["step"], **checkpoint["config"]}
    return checkpoint["model"], training["network"] | {"size": checkpoint["size"], "training": training}


def list_checkpoints(folder: str | Path) -> list[Path]:
    """A run's checkpoints, newest first."""
    return sorted(Path(folder).glob("checkpoint-" + "[0-9]" * 8 + ".pt"), reverse=True)


def newest_step(folder: str | Path) -> int:
    """The step of a run's newest checkpoint, 0 if there is none."""
    return max((int(path.stem.removeprefix("checkpoint-")) for path in list_checkpoints(folder)), default=0)


def read_run(folder: str | Path) -> dict[str, Any] | None:
    """Read a run's newest whole checkpoint (see `training.checkpoint`); None if there is none.

    A damaged checkpoint is passed over, with a printed note, for the one before it.

    Raises:
        CheckpointError: All checkpoints are damaged, or they are of an earlier version of this package.
    """
    problems = []
    for path in list_checkpoints(folder):
        try:
            with zipfile.ZipFile(path) as parts:
                if damaged := parts.testzip():  # torch.load does not look at the checksums
                    raise ValueError(f"{damaged} is not what was written")
            checkpoint = torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:  # zipfile and torch raise a dozen types for damaged files
            problems.append(f"{path} is damaged ({error})")
            continue
        for problem in problems:
            print(f"{problem}; going on from {path.name}")
        return checkpoint
    if problems:
        raise CheckpointError("; ".join(problems) + ". Start over with resume=False, or in another folder")
    for old in sorted(Path(folder).glob("step-" + "[0-9]" * 8), reverse=True):
        raise CheckpointError(
            f"{folder}: holds checkpoints of an earlier version of this package. Finish the run with that version, "
            f"or start a new run in another folder from the weights in {old / 'model.safetensors'} (option --init)"
        )
    return None
