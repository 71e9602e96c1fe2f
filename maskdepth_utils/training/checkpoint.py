"""Checkpoints: a network's weights, or a run's whole state, on disk so that no crash spoils them.

A run's folder holds

    step-00001200/  model.safetensors      the network's parameters and buffers ("loss.": a loss's own)
                    optimizer.safetensors  momentum and the like
                    state.json             step, settings, history, checksums of the other two
    tensorboard/    lock

safetensors and JSON hold numbers and text only. A pickled checkpoint (`torch.save`) can run any code when it
is opened.
"""

import hashlib
import json
import os
import shutil
from pathlib import Path

import torch

from ..files import sync_folder, write_file
from ..models.weights import CheckpointError, list_run, newest_whole, read_weights, tensors_to_bytes

# checkpoints of a run that stay on disk: should the newest be damaged, the one before it still is there
KEEP = 2

def write_run(
    folder, model_tensors: dict, optimizer_tensors: dict, state: dict, metadata: dict, good: int = 0
) -> Path:
    """Add the checkpoint folder/step-NNNNNNNN and drop all but the last two whole ones. state["step"] names it.

    good: the step of the newest whole checkpoint; those of later steps were found damaged, and go too.

    All is written into a folder under another name, forced to disk, and that folder renamed at last; so what
    is called step-... is whole. Raises CheckpointError (full disk); earlier checkpoints stay as they were.
    """
    folder = Path(folder)
    final, beside = folder / f"step-{state['step']:08d}", folder / "writing"
    files = {
        "model.safetensors": tensors_to_bytes(model_tensors, metadata),
        "optimizer.safetensors": tensors_to_bytes(optimizer_tensors),
    }
    state = state | {"sha256": {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}}
    files["state.json"] = json.dumps(state, indent=1).encode()
    try:
        shutil.rmtree(beside, ignore_errors=True)  # left by a run that was killed in writing
        for name, content in files.items():
            write_file(beside / name, content)
        sync_folder(beside)
        shutil.rmtree(final, ignore_errors=True)  # there only if it was found damaged, or is the same step again
        os.replace(beside, final)
        sync_folder(folder)
    except OSError as error:
        shutil.rmtree(beside, ignore_errors=True)
        raise CheckpointError(f"{error}. {describe_last(folder)}") from error
    others = [old for old in list_run(folder) if old != final]
    damaged = [old for old in others if int(old.name.removeprefix("step-")) > good]
    for old in damaged + others[len(damaged) + KEEP - 1 :]:
        shutil.rmtree(old, ignore_errors=True)
    return final


def describe_last(folder) -> str:
    """For messages: what one can go on from."""
    found = list_run(folder)
    return f"The last good checkpoint is {found[0]}" if found else "There is no earlier checkpoint in this folder"


def newest_step(folder) -> int:
    """The step of a run's newest checkpoint, 0 if there is none."""
    found = list_run(folder)
    return int(found[0].name.removeprefix("step-")) if found else 0


def read_run(folder) -> tuple[dict, dict, dict] | None:
    """A run's newest whole checkpoint: (state, model tensors, optimizer tensors); None if there is none.

    Damaged ones: as `newest_whole`.
    """
    checkpoint = newest_whole(folder)
    if checkpoint is None:
        return None
    model_tensors, _ = read_weights(checkpoint / "model.safetensors")
    optimizer_tensors, _ = read_weights(checkpoint / "optimizer.safetensors")
    return json.loads((checkpoint / "state.json").read_text()), model_tensors, optimizer_tensors


def optimizer_to_tensors(optimizer) -> tuple[dict, dict]:
    """Split an optimizer's memory into ({"7.momentum_buffer": tensor}, {"7.name": what is no tensor})."""
    tensors, others = {}, {}
    for number, memory in optimizer.state_dict()["state"].items():
        for name, value in memory.items():
            (tensors if isinstance(value, torch.Tensor) else others)[f"{number}.{name}"] = value
    return tensors, others


def tensors_to_optimizer(optimizer, tensors: dict, others: dict) -> None:
    """Undo `optimizer_to_tensors`. Tensors get their parameter's memory layout: rounding depends on it."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    memory = {}
    for key, value in (tensors | others).items():
        number, name = key.split(".", 1)
        parameter = parameters[int(number)]
        if isinstance(value, torch.Tensor) and value.shape == parameter.shape:
            value = torch.empty_like(parameter, requires_grad=False).copy_(value)
        memory.setdefault(int(number), {})[name] = value
    optimizer.load_state_dict({"state": memory, "param_groups": optimizer.state_dict()["param_groups"]})
