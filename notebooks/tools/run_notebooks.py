"""Run the course's notebooks headless and print a table: seconds, peak memory, headline figures.

    python notebooks/tools/run_notebooks.py                        # the seven of the main line, in the fast profile
    python notebooks/tools/run_notebooks.py --profile full 01 03   # some, as a reader runs them
    python notebooks/tools/run_notebooks.py extras                 # all the extras

The executed copies and run_notebooks.json are written to build/notebooks/. The headline figures are what a notebook's
cells tagged `headline` print. A notebook that fails does not stop the others, but the exit code is then 1.
"""

import contextlib
import os
import signal
import sys
import threading
import time
from pathlib import Path

import papermill
import psutil
from notebook_files import QUIET_KERNEL, ROOT, find_notebooks, headline, label, read, tool_parser, write_json

from maskdepth_utils.tables import format_table

OUT = ROOT / "build" / "notebooks"


@contextlib.contextmanager
def watched_memory(every=0.5):
    """Yield a list that fills with the memory of all child processes in bytes, as it was every half second."""
    totals = []
    stop = threading.Event()

    def watch():
        while not stop.wait(every):
            total = 0
            for process in psutil.Process().children(recursive=True):
                with contextlib.suppress(psutil.Error):
                    info = process.memory_full_info()
                    total += getattr(info, "pss", info.uss)  # pss (Linux): pages that several share count once
            totals.append(total)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield totals
    finally:
        stop.set()
        thread.join()


def run(path, profile, out, cwd=None):
    """Run one notebook by papermill and report: seconds, peak_mb, headline, and error (None if it ran).

    Args:
        profile: "fast", "full", or None to run it as it stands, without an injected cell.
        out: The folder of the executed copy.
        cwd: The folder in which it runs, `out` by default.
    """
    out.mkdir(parents=True, exist_ok=True)
    copy = out / path.name
    copy.unlink(missing_ok=True)  # an older run's copy must not pass for this one's
    error, start = None, time.monotonic()
    with watched_memory() as totals:
        try:
            papermill.execute_notebook(
                str(path), str(copy), {"profile": profile} if profile else None, kernel_name="python3",
                language="python", extra_arguments=QUIET_KERNEL, coalesce_streams=True, cwd=str(cwd or out),
                progress_bar=False,
            )  # fmt: skip
        except Exception as caught:  # an error in a cell, a kernel that died, a full disk
            error = f"{type(caught).__name__}: {caught}"
    return {
        "notebook": label(path), "profile": profile, "seconds": round(time.monotonic() - start, 1),
        "peak_mb": round(max(totals, default=0) / 2**20), "error": error,
        "headline": headline(read(copy)) if copy.exists() else "",
    }  # fmt: skip


def table(results):
    """Write the results as a table, with the total seconds and the highest memory in its last row."""
    rows = {
        one["notebook"]: {
            "seconds": f"{one['seconds']:.0f}", "peak memory": f"{one['peak_mb']} MB",
            "headline figures": "FAILED, see above" if one["error"] else one["headline"],
        }
        for one in results
    }  # fmt: skip
    seconds, peak = sum(one["seconds"] for one in results), max(one["peak_mb"] for one in results)
    rows["all"] = {"seconds": f"{seconds:.0f}", "peak memory": f"{peak} MB"}
    return format_table("notebook", rows, "presto", missing="")


def interruptible(main):
    """Call `main` and exit with what it returns. After Ctrl-C or SIGTERM, end the kernels that are left."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        for child in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.Error):
                child.kill()
        print("\nInterrupted; run it again to start over.", flush=True)
        os._exit(130)  # not sys.exit: the running notebook's client would print errors on exit


def main():
    parser = tool_parser(__doc__, names=True)
    parser.add_argument("--profile", choices=("fast", "full"), default="fast")
    parser.add_argument("--out", type=Path, default=OUT, help="folder of the executed copies")
    args = parser.parse_args()
    paths = find_notebooks(args.names, extras=bool(args.names))
    results, report = [], args.out / "run_notebooks.json"
    try:
        known = args.out == OUT or report.exists()
        if not known and any((args.out / path.name).exists() for path in paths):
            raise FileExistsError(f"{args.out} holds files that no earlier run wrote")
        write_json(report, [])
    except OSError as error:
        parser.error(f"{error}. Name a folder for the executed copies: make course OUT=FOLDER, or --out FOLDER")
    for path in paths:
        print(f"{label(path)} ({args.profile}) ...", end=" ", flush=True)
        results.append(run(path, args.profile, args.out.resolve()))
        error = results[-1]["error"]
        print(f"FAILED\n{error}\n" if error else f"{results[-1]['seconds']:.0f} s", flush=True)
        write_json(report, results)
    print("\n" + table(results))
    return int(any(one["error"] for one in results))


if __name__ == "__main__":
    interruptible(main)
