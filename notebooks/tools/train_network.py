"""Train a shipped network again, all its stages, as data/checkpoints/recipe.json says.

    python notebooks/tools/train_network.py maskdepthnet      # hours; stop and start it as you like
    python notebooks/tools/train_network.py masknet

Each stage is one `python -m maskdepth_utils train` and begins with the weights of the one before. The weights in
data/checkpoints/NAME.safetensors are the mean of the last stages' weights; "averaged" in the recipe says of how many.
data/results/training_NAME.json gets the commands, commit, machine, hours and curves.
"""

import hashlib
import shlex

import torch
from notebook_files import ROOT, read_json, tool_parser, write_json
from results import CHECKPOINTS, RESULTS, call, commit, machine, require_finished, training_seconds

from maskdepth_utils.files import write_file
from maskdepth_utils.models.weights import load_network, read_run, save_pretrained

CURVES = ("samples", "loss", "mask", "depth", "val_loss", "val_iou", "val_rmse")


def stages(name: str, recipe: dict) -> list[dict]:
    """Return each stage's run folder, relative to the project's folder, and the options of its command."""
    made, before = [], None
    for number, options in enumerate(recipe["stages"], start=1):
        out = f"build/runs/{name}-{number}"
        options = [*shlex.split(recipe.get("common", "")), *shlex.split(options), "--out", out]
        options += ["--init", before] if before else []
        made.append({"out": out, "options": options})
        before = out
    return made


def summarise(out: str) -> dict:
    """Read from a finished stage's log its hours, images per second and held-out curves."""
    state = read_run(ROOT / out)
    history = state["history"]
    seconds = training_seconds(history)
    points = [record for record in history if "val_loss" in record]
    # Training losses are logged at other steps; a curve that lacks some of these points is left out.
    whole = [name for name in CURVES if points and all(name in point for point in points)]
    samples = history[-1]["samples"]
    return {
        "size": state["config"]["dataset"]["size"], "samples": samples, "training_hours": round(seconds / 3600, 2),
        "images_per_second": round(samples / seconds, 1), "machine": state["machine"],
        "curves": {name: [round(point[name], 5) for point in points] for name in whole},
    }  # fmt: skip


def write_network(name: str, sources: list) -> None:
    """Write the mean of the weights in run folders or files, and update SHA256SUMS.

    The stages follow each other in one training, so their weights can be averaged (Izmailov et al. 2018). So are the
    statistics of BatchNorm here, which the paper measures anew.
    """
    networks = [load_network(source) for source in sources]
    model, metadata = networks[-1]
    weights = [network.state_dict() for network, _ in networks]
    mean = {key: torch.stack([one[key].double() for one in weights]).mean(0) for key in weights[-1]}
    model.load_state_dict(mean)
    facts = {"size": metadata["size"], "training": metadata["training"], "averaged": len(networks)}
    save_pretrained(model, CHECKPOINTS / f"{name}.safetensors", **facts)
    files = sorted(CHECKPOINTS.glob("*.safetensors"))
    sums = "".join(f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in files)
    write_file(CHECKPOINTS / "SHA256SUMS", sums.encode())


def main() -> None:
    parser = tool_parser(__doc__)
    recipes = read_json(CHECKPOINTS / "recipe.json")
    parser.add_argument("name", choices=sorted(recipes), help="which network")
    name = parser.parse_args().name
    path = RESULTS / f"training_{name}.json"
    report = {"network": name, "machine": machine(), "stages": []}
    todo = stages(name, recipes[name])
    for stage in todo:
        begun = ROOT / f"{stage['out']}.commit"  # the commit at which the training began
        if not begun.exists():
            write_file(begun, commit().encode())
        command = "train " + shlex.join(stage["options"])
        call(command)
        require_finished(stage["out"], int(stage["options"][stage["options"].index("--samples") + 1]))
        made_by = {"command": f"python -m maskdepth_utils {command}", "commit": begun.read_text()}
        report["stages"].append(made_by | summarise(stage["out"]))
    write_network(name, [ROOT / stage["out"] for stage in todo[-recipes[name].get("averaged", 1) :]])
    write_json(path, report)
    print(f"wrote {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
