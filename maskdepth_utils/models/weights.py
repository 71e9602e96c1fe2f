"""Networks on disk: the small safetensors files that ship, and the checkpoints of a training run.

Reading never runs code that a file may hold: safetensors has none, and `weights_only=True` refuses it.
"""

import json
import zipfile
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from ..files import write_file
from .networks import MaskDepthNet, MaskNet

NETWORKS = {"MaskNet": MaskNet, "MaskDepthNet": MaskDepthNet}


class CheckpointError(RuntimeError):
    """A checkpoint is missing, damaged, from another network, or cannot be written. The message names the file."""


def network_facts(model: nn.Module) -> dict[str, Any]:
    """Describe a network: its class, its arguments (if it has an attribute `arguments`), its number of parameters."""
    return {
        "network": type(model).__name__,
        "arguments": dict(getattr(model, "arguments", {})),
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
    }


def read_weights(path: str | Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read the tensors and the metadata of a safetensors file; CheckpointError if it is damaged."""
    path = Path(path)
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}
            metadata = json.loads((file.metadata() or {}).get("maskdepth", "{}"))
        if not isinstance(metadata, dict):
            raise ValueError(f"its metadata are a {type(metadata).__name__}, expected a dict")
    except (SafetensorError, ValueError, OSError) as error:
        found = f"{path.stat().st_size:,} bytes; {error}"
        hint = "Get it again" if path.suffix == ".safetensors" else "Expected a .safetensors file or a run's folder"
        raise CheckpointError(f"{path}: damaged, or not a safetensors file ({found}). {hint}") from error
    return tensors, metadata


def save_pretrained(model: nn.Module, path: str | Path, *, size: int = 160, **facts: Any) -> None:
    """Write a network for `load_pretrained`: weights, its arguments, and facts of the training that JSON can hold.

    fp16 halves the file, and its rounding (0.05 %) is small compared to the network's errors. `size` is the picture
    width in pixels that the network was trained at. CheckpointError if the file could not be loaded again.
    """
    metadata = network_facts(model) | {"size": size} | facts
    tensors = model.state_dict()
    load_weights(build_network(metadata, path), tensors, path)
    # BatchNorm's buffers stay float32: its variances are squares and may lie beyond fp16; they are few.
    tensors |= {name: parameter.detach().half() for name, parameter in model.named_parameters()}
    for name, tensor in tensors.items():
        if not torch.isfinite(tensor).all():
            raise CheckpointError(f"{path}: not written, as {name} holds nan or values that fp16 cannot (above 65504)")
    tensors = {name: tensor.cpu().contiguous() for name, tensor in tensors.items()}  # a file has no channels-last order
    write_file(Path(path), safetensors.torch.save(tensors, {"maskdepth": json.dumps(metadata)}))


def build_network(metadata: dict[str, Any], source: str | Path) -> nn.Module:
    """Build the network that the metadata of `source` describe, with fresh weights; CheckpointError if not possible."""
    name = metadata.get("network")
    arguments = metadata.get("arguments", {})
    if name not in NETWORKS:
        expected = " or ".join(NETWORKS)
        raise CheckpointError(f"{source}: holds no network of this course: expected {expected}, found {name}")
    try:
        return NETWORKS[name](**arguments)
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"{source}: {name} of this version cannot be built with {arguments} ({error})") from error


def load_weights(model: nn.Module, tensors: dict[str, Tensor], source: str | Path) -> None:
    """Copy tensors into a network; CheckpointError, which names `source`, if names or shapes are not the network's."""
    expected = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    found = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    if names := sorted({name for name, _ in expected.items() ^ found.items()}):
        facts = network_facts(model)
        arguments = ", ".join(f"{name} {value}" for name, value in facts["arguments"].items())
        raise CheckpointError(
            f"{source}: holds a network other than {facts['network']} of {facts['parameters']:,} parameters, "
            f"{arguments}: {len(names)} tensors differ, the first is {names[0]} "
            f"(expected {expected.get(names[0], 'none')}, found {found.get(names[0], 'none')})"
        )
    model.load_state_dict(tensors)


def load_network(path: str | Path) -> tuple[nn.Module, dict[str, Any]]:
    """Load a network and its metadata from a safetensors file, or from a run's folder or one of its checkpoints."""
    tensors, metadata = read_network(path)
    model = build_network(metadata, path)
    load_weights(model, tensors, path)  # copies fp16 values into float32 parameters
    return model.eval(), metadata


def read_network(path: str | Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read a network's tensors and metadata, from the same files as `load_network`."""
    path = Path(path)
    if not path.exists():
        raise CheckpointError(f"{path}: no such checkpoint")
    if path.is_file() and path.suffix != ".pt":
        return read_weights(path)
    checkpoint = read_checkpoint(path) if path.is_file() else read_run(path)
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
    """Read a run's newest checkpoint that is not damaged (see `training.checkpoint`); None if there is none.

    Raises:
        CheckpointError: All checkpoints are damaged, or they are of an earlier version of this package.
    """
    problems = []
    for path in list_checkpoints(folder):
        try:
            checkpoint = read_checkpoint(path)
        except CheckpointError as error:
            problems.append(str(error))
            continue
        for problem in problems:
            print(f"{problem}; resuming from {path.name}")
        return checkpoint
    if problems:
        raise CheckpointError("; ".join(problems) + ". Start over with resume=False, or in another folder")
    if old := sorted(Path(folder).glob("step-" + "[0-9]" * 8)):
        raise CheckpointError(
            f"{folder}: holds checkpoints of an earlier version of this package. Finish the run with that version, "
            f"or start a new run in another folder from the weights in {old[-1] / 'model.safetensors'} (option --init)"
        )
    return None


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read one checkpoint of a run; CheckpointError if it is damaged or something else."""
    try:
        with zipfile.ZipFile(path) as parts:
            if damaged := parts.testzip():  # torch.load does not verify the checksums
                raise ValueError(f"{damaged} is not what was written")
            scripted = any(name.endswith("constants.pkl") for name in parts.namelist())
        with open(path, "rb") as file:
            if scripted or file.read(4) != b"PK\3\4":  # before 2.6, torch.load would run the code in such files
                raise ValueError("it is not a checkpoint of a run")
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
        if not (isinstance(checkpoint, dict) and {"config", "model", "step"} <= set(checkpoint)):
            raise ValueError("it is not a checkpoint of a run")
    except Exception as error:  # zipfile and torch raise a dozen types for damaged files
        raise CheckpointError(f"{path} is damaged ({error})") from error
    return checkpoint
