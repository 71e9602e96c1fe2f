"""Run the course's notebooks headless and print a table: seconds, peak memory, headline figures.

    python notebooks/tools/run_notebooks.py                        # all, in the fast profile
    python notebooks/tools/run_notebooks.py --profile full 01 03   # some, as a reader runs them

The executed copies and results.json land in build/notebooks/. A headline figure is what a notebook's cells
tagged `headline` print. A notebook that fails does not stop the others, but the exit code.
"""

import argparse
import contextlib
import json
import os
import signal
import sys
import threading
import time
from pathlib import Path

import papermill
import psutil
from notebook_files import NOTEBOOKS, QUIET_KERNEL, find_notebooks, headline, read
from papermill.exceptions import PapermillExecutionError

from maskdepth_utils.files import write_file

OUT = NOTEBOOKS.parent / "build" / "notebooks"


def memory_of_children():
    """Bytes held by this process's children; on Linux, pages that several share are counted once."""
    total = 0
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            info = process.memory_full_info()
            total += getattr(info, "pss", info.uss)
    return total


@contextlib.contextmanager
def peak_memory(every=0.5):
    """Yield a list whose one item is the children's highest memory so far, in bytes."""
    peak, stop = [0], threading.Event()

    def watch():
        while not stop.wait(every):
            peak[0] = max(peak[0], memory_of_children())

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield peak
    finally:
        stop.set()
        thread.join()


def run(path, profile, out, cwd=None):
    """Run one notebook by papermill in folder `cwd` (default `out`); its executed copy lands in folder `out`.

    `profile` is "fast", "full" or None: as it stands in the notebook, without an injected cell.
    Returns a dict: notebook, profile, seconds, peak_mb, headline (one line), error (None or what went wrong).
    """
    out.mkdir(parents=True, exist_ok=True)
    copy = out / path.name
    copy.unlink(missing_ok=True)  # a failure must not leave an older run's copy looking like this one's
    error, start = None, time.monotonic()
    with peak_memory() as peak:
        try:
            papermill.execute_notebook(
                str(path),
                str(copy),
                {"profile": profile} if profile else None,
                kernel_name="python3",
                language="python",
                extra_arguments=QUIET_KERNEL,
                coalesce_streams=True,
                cwd=str(cwd or out),
                progress_bar=False,
            )
        except PapermillExecutionError as caught:
            error = str(caught).strip()
        except Exception as caught:  # a kernel that died, a full disk
            error = f"{type(caught).__name__}: {caught}"
    return {
        "notebook": path.stem,
        "profile": profile,
        "seconds": round(time.monotonic() - start, 1),
        "peak_mb": round(peak[0] / 2**20),
        "headline": headline(read(copy)) if copy.exists() else "",
        "error": error,
    }


def table(results):
    rows = [("notebook", "seconds", "peak memory", "headline figures")]
    for one in results:
        words = "FAILED, see above" if one["error"] else one["headline"]
        rows.append((one["notebook"], f"{one['seconds']:.0f}", f"{one['peak_mb']} MB", words))
    total, peak = sum(one["seconds"] for one in results), max((one["peak_mb"] for one in results), default=0)
    rows.append(("all", f"{total:.0f}", f"{peak} MB", ""))
    a, b, c = (max(len(row[i]) for row in rows) for i in range(3))
    lines = [f"{row[0]:<{a}} | {row[1]:>{b}} | {row[2]:>{c}} | {row[3]}".rstrip(" |") for row in rows]
    lines.insert(1, "-+-".join("-" * n for n in (a, b, c, len(rows[0][3]))))
    return "\n".join(lines)


def save(results, path):
    write_file(path, (json.dumps(results, indent=1) + "\n").encode())


def leave():
    """After an interruption: end the kernels that are left, and this process."""
    children = psutil.Process().children(recursive=True)
    for child in children:
        with contextlib.suppress(psutil.Error):
            child.terminate()
    for child in psutil.wait_procs(children, timeout=3)[1]:
        with contextlib.suppress(psutil.Error):
            child.kill()
    print("\nInterrupted; run it again to start over.", flush=True)
    os._exit(130)  # not sys.exit: the half-run notebook's client would print its troubles on the way out


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NOTEBOOK", help="how its name begins, or its path")
    parser.add_argument("--profile", choices=("fast", "full"), default="fast")
    parser.add_argument("--out", type=Path, default=OUT, help="folder of the executed copies")
    args = parser.parse_args()
    try:
        paths = find_notebooks(args.names)
    except FileNotFoundError as error:
        parser.error(str(error))

    results = []
    for path in paths:
        print(f"{path.stem} ({args.profile}) ...", end=" ", flush=True)
        results.append(run(path, args.profile, args.out.resolve()))
        error = results[-1]["error"]
        print(f"FAILED\n{error}\n" if error else f"{results[-1]['seconds']:.0f} s", flush=True)
        save(results, args.out / "results.json")
    print("\n" + table(results))
    return int(any(one["error"] for one in results))


def interruptible(main):
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # `timeout`, too, leaves no kernel behind
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        leave()


if __name__ == "__main__":
    interruptible(main)
