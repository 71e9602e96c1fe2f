"""The reference run of `bench`, which notebook 06 shows and later runs are compared with: data/results/bench.json.

    python notebooks/tools/measure_speed.py    # on an idle machine; with --seconds 1.5 eight minutes on two CPU cores

The stored samples need 500 MB in the system's folder for temporary files, and are gone afterwards.
"""

from notebook_files import tool_parser, write_json
from results import RESULTS, timed_report

from maskdepth_utils.course import bench
from maskdepth_utils.devices import choose_device
from maskdepth_utils.tables import format_results

SAMPLES = 768  # three batches of the largest size for each of two workers


def main() -> None:
    parser = tool_parser(__doc__)
    parser.add_argument("--seconds", type=float, default=2.0, help="time for each measurement")
    seconds = parser.parse_args().seconds
    device = choose_device()
    command = f"python notebooks/tools/measure_speed.py --seconds {seconds:g}"
    with timed_report(command=command) as report:
        report["samples stored"] = SAMPLES
        report["results"] = {
            "data": bench.bench_data(device, seconds),
            "formats": bench.bench_formats(device, seconds, workers=(1, 2), samples=SAMPLES),
            "step": bench.bench_step(device, seconds),
            "losses": bench.bench_losses(device, seconds),
        }
    print(format_results(report["results"]))
    write_json(RESULTS / "bench.json", report)


if __name__ == "__main__":
    main()
