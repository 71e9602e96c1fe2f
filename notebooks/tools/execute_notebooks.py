"""Run notebooks in the full profile and store them with their outputs, ready to be committed.

    python notebooks/tools/execute_notebooks.py            # those whose code changed since they were executed
    python notebooks/tools/execute_notebooks.py --all      # every one
    python notebooks/tools/execute_notebooks.py 02 05      # these, and their solutions
    python notebooks/tools/execute_notebooks.py notebooks/solutions/*.ipynb

Stored with them, in `metadata.maskdepth.executed`: the day, seconds, peak memory in MB, and the machine. Head and alt
texts are made anew, and README's times (heads.py). A notebook that fails stays as it was.
"""

import argparse
import datetime
import os

from heads import finish, write_times
from notebook_checks import problems
from notebook_files import find_notebooks, label, read, source_hash, stored_hash, tidy, write
from run_notebooks import OUT, interruptible, run
from write_results import machine


def executed(result):
    """What is stored of a run: `result` is run()'s."""
    facts = machine()
    about = {"date": datetime.date.today().isoformat(), "seconds": result["seconds"], "peak_mb": result["peak_mb"]}
    about |= {"cores": os.cpu_count(), **{name: facts[name] for name in ("processor", "python", "torch")}}
    return about if "CPU" in facts["device"] else about | {"gpu": facts["device"]}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NOTEBOOK", help="how its name begins, or its path")
    parser.add_argument("--all", action="store_true", help="fresh ones too")
    args = parser.parse_args()
    try:
        paths = find_notebooks(args.names, solutions=True)
    except FileNotFoundError as error:
        parser.error(str(error))
    if not (args.names or args.all):
        paths = [path for path in paths if stored_hash(nb := read(path)) != source_hash(nb)]

    bad = False
    for path in paths:
        print(f"{label(path)} ...", end=" ", flush=True)
        # It runs where its reader would run it, in its own folder, and as it stands: its profile is "full".
        result = run(path, None, OUT / "stored", cwd=path.parent)
        if result["error"]:
            bad = True
            print(f"FAILED, left as it was\n{result['error']}\n")
            continue
        nb = tidy(read(OUT / "stored" / path.name))
        nb.metadata["maskdepth"]["executed"] = executed(result)
        write(nb, path)  # whatever is wrong with its head
        write(finish(nb, path), path)
        print(f"{result['seconds']:.0f} s, {result['peak_mb']} MB: {result['headline']}")
        for problem in problems(nb):
            bad = True
            print(f"  {problem}")
    write_times()
    return int(bad)


if __name__ == "__main__":
    interruptible(main)
