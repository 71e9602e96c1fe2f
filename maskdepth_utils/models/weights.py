"""A network's weights in a file: safetensors, with how to rebuild the network in the metadata.

safetensors hold numbers and text only. A pickled file can run any code when it is opened.
"""

import hashlib
import json
import re
from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open

from ..files import write_file
from . import networks


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


def save_pretrained(model, path, *, size: int = 160, arguments: dict | None = None, **facts) -> None:
    """Write a network for `load_pretrained`: fp16 weights, and in the metadata how to rebuild it.

    size: the picture width in pixels that it was trained at; arguments: how it was built, if the network does
    not say so itself (`model.arguments`); facts: anything worth knowing about the training, as JSON can hold
    it. fp16 halves the file, and its rounding (0.05 %) is small beside a network's own errors;
    BatchNorm's statistics stay float32.
    """
    metadata = network_facts(model) | {"size": size} | facts
    if arguments is not None:
        metadata["arguments"] = arguments
    tensors = model.state_dict()
    load_weights(build(metadata, path), tensors, f"{path} (arguments {metadata['arguments']})")
    # BatchNorm's variances are squares and may lie beyond fp16; they are few.
    weights = {name for name, _ in model.named_parameters()}
    half = {name: tensor.half() if name in weights else tensor for name, tensor in tensors.items()}
    for name, tensor in half.items():
        if not torch.isfinite(tensor).all():
            raise CheckpointError(
                f"{path}: not written, as {name} holds values that fp16 cannot (beyond 65504), or nan"
            )
    write_file(Path(path), tensors_to_bytes(half, metadata))


def build(metadata: dict, source):
    """The network that a checkpoint's metadata names, freshly made. Raises CheckpointError if it is none of ours."""
    name, arguments = metadata.get("network"), metadata.get("arguments", {})
    if name not in ("MaskNet", "MaskDepthNet"):
        raise CheckpointError(
            f"{source}: holds no network of this course (expected MaskNet or MaskDepthNet, found {name})"
        )
    try:
        return getattr(networks, name)(**arguments)
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"{source}: {name} of this version cannot be built with {arguments} ({error})") from error


def load_network(path) -> tuple:
    """(network, metadata) from a file of `save_pretrained`, or the newest checkpoint in a run's folder."""
    tensors, metadata, path = read_network(path)
    model = build(metadata, path)
    load_weights(model, tensors, path)  # copies into float32 parameters, so fp16 is only the file's affair
    return model.eval(), metadata


def read_network(path) -> tuple:
    """(a network's tensors, metadata, their file) from a file or the newest whole checkpoint in a run's folder."""
    path = Path(path)
    if path.is_dir():
        newest = newest_whole(path)
        if newest is None:
            raise CheckpointError(f"{path}: no checkpoint of a run in this folder")
        path = newest / "model.safetensors"
    tensors, metadata = read_weights(path)
    return {name: tensor for name, tensor in tensors.items() if not name.startswith("loss.")}, metadata, path


def list_run(folder) -> list[Path]:
    """A run's checkpoints, newest first."""
    return sorted(Path(folder).glob("step-" + "[0-9]" * 8), reverse=True)


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
