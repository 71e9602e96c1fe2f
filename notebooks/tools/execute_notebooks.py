"""Run notebooks in the full profile and store them with their outputs, ready to be committed.

    python notebooks/tools/execute_notebooks.py            # those whose code changed since they were executed
    python notebooks/tools/execute_notebooks.py 02 05      # these, and their solutions
    python notebooks/tools/execute_notebooks.py 0 extras   # all of them

Stored with them, in `metadata.maskdepth.executed`: the day, seconds, peak memory in MB, and the machine. Head, alt
texts and README's times are updated (heads.py). A notebook that fails is left unchanged.
"""

import datetime
import os

from heads import finish, write_times
from notebook_checks import problems
from notebook_files import find_notebooks, label, read, source_hash, stored_hash, tidy, tool_parser, write
from results import machine
from run_notebooks import OUT, interruptible, run


def executed(result):
    """Return what is stored about a run, from what `run` returns."""
    about = {"date": datetime.date.today().isoformat(), "seconds": result["seconds"], "peak_mb": result["peak_mb"]}
    about |= machine() | {"cores": os.cpu_count()}
    device = about.pop("device")
    return about if "CPU" in device else about | {"gpu": device}


def main():
    names = tool_parser(__doc__, names=True).parse_args().names
    paths = find_notebooks(names, solutions=True)
    if not names:
        paths = [path for path in paths if stored_hash(nb := read(path)) != source_hash(nb)]

    bad = False
    for path in paths:
        print(f"{label(path)} ...", end=" ", flush=True)
        # Run it as a reader would, in its own folder and unchanged: its profile is "full".
        result = run(path, None, OUT / "stored", cwd=path.parent)
        if result["error"]:
            bad = True
            print(f"FAILED, left as it was\n{result['error']}\n")
            continue
        nb = tidy(read(OUT / "stored" / path.name))
        nb.metadata["maskdepth"]["executed"] = executed(result)
        write(nb, path)  # even if its head has problems
        write(finish(nb, path), path)
        print(f"{result['seconds']:.0f} s, {result['peak_mb']} MB: {result['headline']}")
        for problem in problems(nb):
            bad = True
            print(f"  {problem}")
    write_times()
    return int(bad)


if __name__ == "__main__":
    interruptible(main)
