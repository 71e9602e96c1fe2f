"""The reference run of `bench`, which notebook 06 shows and later runs are compared with: data/results/bench.json.

    python notebooks/tools/measure_speed.py    # on an idle machine; with --seconds 1.5 eight minutes on two CPU cores

All that `python -m maskdepth_utils bench` measures: composing, the ways to store samples, training steps, losses. The
stored samples are written to the system's folder for temporary files, which needs 500 MB, and are gone afterwards.
"""

import argparse
import json
import time

from train_network import RESULTS
from write_results import commit, machine

from maskdepth_utils.course import bench
from maskdepth_utils.devices import choose_device
from maskdepth_utils.files import write_file
from maskdepth_utils.tables import format_results

SAMPLES = 768  # stored: three batches of the largest size for each of two workers, so that no worker is short of one


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=2.0, help="time for each measurement")
    args, started, begun_at, device = parser.parse_args(), time.monotonic(), commit(), choose_device()
    results = {
        "data": bench.bench_data(device, args.seconds),
        "formats": bench.bench_formats(device, args.seconds, workers=(1, 2), samples=SAMPLES),
        "step": bench.bench_step(device, args.seconds),
        "losses": bench.bench_losses(device, args.seconds),
    }
    report = {
        "command": f"python notebooks/tools/measure_speed.py --seconds {args.seconds:g}",
        "commit": begun_at, "machine": machine(), "seconds": round(time.monotonic() - started),
        "samples stored": SAMPLES, "results": results,
    }  # fmt: skip
    print(format_results(results))
    write_file(RESULTS / "bench.json", (json.dumps(report, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
