"""The reference run of `bench`, which notebook 06 shows and later runs are compared with: data/results/bench.json.

    python notebooks/tools/measure_speed.py    # on an idle machine; with --seconds 1.5 eight minutes on two CPU cores

All that `python -m maskdepth_utils bench` measures: composing, the ways to store samples, training steps, losses. The
stored samples are written to the system's folder for temporary files, which needs 500 MB, and are gone afterwards.
"""

import time

from notebook_files import tool_parser
from results import RESULTS, commit, machine, write_json

from maskdepth_utils.course import bench
from maskdepth_utils.devices import choose_device
from maskdepth_utils.tables import format_results

SAMPLES = 768  # three batches of the largest size for each of two workers


def main() -> None:
    parser = tool_parser(__doc__)
    parser.add_argument("--seconds", type=float, default=2.0, help="time for each measurement")
    args = parser.parse_args()
    started = time.monotonic()
    begun_at = commit()
    device = choose_device()
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
    write_json(RESULTS / "bench.json", report)


if __name__ == "__main__":
    main()
