"""Checkpoints: a network's weights, or a run's whole state, on disk so that no crash spoils them.

A run's folder holds

    step-00001200/  model.safetensors      the network's parameters and buffers ("loss.": a loss's own)
                    optimizer.safetensors  momentum and the like
                    state.json             step, settings, history, checksums of the other two
    tensorboard/    lock

safetensors and JSON hold numbers and text only. A pickled checkpoint (`torch.save`) can run any code when it
is opened.
"""

import contextlib
import errno
import hashlib
import json
import os
import re
import shutil
from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open

# checkpoints of a run that stay on disk: should the newest be damaged, the one before it still is there
KEEP = 2

DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


class CheckpointError(RuntimeError):
    """A checkpoint that is missing, damaged, of another network, or cannot be written: which file, why, what to do."""


def network_facts(model) -> dict:
    """Which network this is: {"network": class name, "arguments": how it was built, "parameters": their
    number}.

    `arguments` comes from the network's own attribute of that name; a network of your own need not have one.
    """
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return {
        "network": type(model).__name__,
        "arguments": dict(getattr(model, "arguments", {})),
        "parameters": parameters,
    }


def plain(facts):
    """Settings as JSON gives them back (a tuple as a list), to be compared with saved ones."""
    return json.loads(json.dumps(facts))


def name_network(facts: dict) -> str:
    """One line for messages: MaskDepthNet(skips=False) with 16,181,090 parameters."""
    arguments = ", ".join(f"{name}={value!r}" for name, value in facts.get("arguments", {}).items())
    return f"{facts.get('network')}({arguments}) with {facts.get('parameters', 0):,} parameters"


def write_file(path: Path, content: bytes) -> None:
    """Write a file so that it is either the old one or the new one, whole, whenever the power fails.

    Written beside, forced to the disk, then renamed: a rename is the one thing a file system does all or
    nothing.
    """
    beside = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(beside, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise CheckpointError(explain(error, path, len(content))) from error


def explain(error: OSError, path: Path, size: int) -> str:
    """The message of a failed write."""
    if error.errno in DISK_FULL:
        free = shutil.disk_usage(existing_parent(path)).free / 1e6
        return f"{path}: the disk is full ({size / 1e6:.0f} MB to write, {free:.0f} MB free); nothing was left"
    return f"{path}: cannot be written ({error.strerror or error})"


def existing_parent(path) -> Path:
    """The nearest folder above `path` that exists."""
    return next(folder for folder in Path(path).absolute().parents if folder.exists())


def tensors_to_bytes(tensors: dict, metadata: dict | None = None) -> bytes:
    """safetensors bytes of {name: tensor}; channels-last tensors are copied, as the format has no such order."""
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    return safetensors.torch.save(plain, {"maskdepth": json.dumps(metadata or {})})


def read_weights(path) -> tuple[dict, dict]:
    """Read a .safetensors file: ({name: tensor}, its metadata). Raises CheckpointError if it is missing or damaged."""
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
        size = path.stat().st_size
        raise CheckpointError(
            f"{path}: damaged, or no safetensors file ({size:,} bytes; {error}). Get it again"
        ) from error
    return tensors, metadata


def load_weights(model, tensors: dict, source, grow: str | None = None) -> None:
    """Copy tensors into a network. Raises CheckpointError if names or shapes are not its own.

    grow: a regular expression for names (they begin like this) of layers that may be others than the file's. A
    convolution with more inputs keeps the file's weights for the first ones and starts with 0 for the others, so that
    it computes what it did before; what does not fit at all keeps its fresh weights.
    """
    own = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    if grow:
        tensors = grown(tensors, model.state_dict(), grow)
    found = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    if own != found:
        differing = sorted(name for name in own.keys() | found.keys() if own.get(name) != found.get(name))
        name = differing[0]
        raise CheckpointError(
            f"{source}: holds another network than {name_network(network_facts(model))}: "
            f"{len(differing)} tensors differ, the first is {name} "
            f"(expected {own.get(name, 'none')}, found {found.get(name, 'none')})"
        )
    model.load_state_dict(tensors)


def grown(tensors: dict, own: dict, pattern: str) -> dict:
    """A file's tensors, those with names like `pattern` made to fit the network's `own`: widened, or replaced."""
    made = {name: tensor for name, tensor in tensors.items() if not re.match(pattern, name)}
    for name, fresh in own.items():
        if re.match(pattern, name):
            tensor = widened(tensors.get(name, fresh), tuple(fresh.shape))
            made[name] = tensor if tensor.shape == fresh.shape else fresh
    return made


def widened(tensor, shape: tuple):
    """A convolution's weights (O, I, k, k) with zeros for the further inputs in `shape`; any other tensor as it is."""
    old = tuple(tensor.shape)
    if len(old) != 4 or old[:1] + old[2:] != shape[:1] + shape[2:] or old[1] >= shape[1]:
        return tensor
    return torch.cat([tensor, tensor.new_zeros(old[0], shape[1] - old[1], *old[2:])], dim=1)


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
    except (CheckpointError, OSError) as error:
        shutil.rmtree(beside, ignore_errors=True)
        raise CheckpointError(f"{error}. {describe_last(folder)}") from error
    others = [old for old in list_run(folder) if old != final]
    damaged = [old for old in others if int(old.name.removeprefix("step-")) > good]
    for old in damaged + others[len(damaged) + KEEP - 1 :]:
        shutil.rmtree(old, ignore_errors=True)
    return final


def sync_file(path) -> None:
    """Force a file's content to the disk: what is renamed to its last name must be there already."""
    with open(path, "rb+") as file:
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Force a folder's list of names to the disk, where the system can (Windows cannot open folders)."""
    if hasattr(os, "O_DIRECTORY"):
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        except OSError:
            pass  # some network drives refuse to sync a folder; its files have been synced
        finally:
            os.close(handle)


def describe_last(folder) -> str:
    """For messages: what one can go on from."""
    found = list_run(folder)
    return f"The last good checkpoint is {found[0]}" if found else "There is no earlier checkpoint in this folder"


def list_run(folder) -> list[Path]:
    """A run's checkpoints, newest first."""
    return sorted(Path(folder).glob("step-" + "[0-9]" * 8), reverse=True)


def newest_step(folder) -> int:
    """The step of a run's newest checkpoint, 0 if there is none."""
    found = list_run(folder)
    return int(found[0].name.removeprefix("step-")) if found else 0


def newest_whole(folder) -> Path | None:
    """A run's newest checkpoint whose files are what was written; None if there is none at all.

    A damaged one is passed over, with a printed note, for the one before it. Raises CheckpointError if all
    are damaged.
    """
    problems = []
    for checkpoint in list_run(folder):
        try:
            for name, expected in json.loads((checkpoint / "state.json").read_text())["sha256"].items():
                if hashlib.sha256((checkpoint / name).read_bytes()).hexdigest() != expected:
                    raise ValueError(f"{name} is not what was written")
        except (OSError, ValueError, KeyError) as error:
            problems.append(f"{checkpoint} is damaged ({error})")
            continue
        for problem in problems:
            print(f"{problem}; going on from {checkpoint.name}")
        return checkpoint
    if problems:
        raise CheckpointError("; ".join(problems) + ". Start over with resume=False, or in another folder")
    return None


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
