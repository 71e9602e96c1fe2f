"""Checks of exercises A and B in notebook 06: the slowest stage, and a clock that waits. See checks.py."""

import statistics

from .verdict import Wrong, ask, number, same, verdict

LAUNCH = 0.01  # seconds that a call of the pretended device takes until it returns


@verdict
def check_rate(my_rate):
    """my_rate(load, compute, workers): seconds per sample twice -> samples per second; 0 workers do not overlap."""
    cases = [(0.02, 0.05, 0), (0.02, 0.05, 1), (0.05, 0.02, 1), (0.02, 0.05, 2), (0.06, 0.02, 2), (0.3, 0.05, 4)]
    for load, compute, workers in cases:
        who = f"{workers} worker{'s' if workers != 1 else ''}"
        where = f"{load:g} s to load, {compute:g} s to compute, {who}"
        alone = "Without a worker, one process first loads a sample and then computes."
        hint = alone if workers == 0 else "The workers share the loading. Then which of the two stages is slower?"
        found = number(ask(my_rate, load, compute, workers, where=where, hint=hint), where)
        stage = load / max(workers, 1)
        expected = 1 / (load + compute) if workers == 0 else 1 / max(stage, compute)
        mistakes = [
            (1 / expected, "these are seconds per sample", "How many samples fit into one second?"),
            (1 / max(load, compute), "the workers do not share the loading", hint),
            (1 / (stage + compute), "both stages are added up", "Workers load *while* the network computes."),
            (1 / (load + compute), "both stages are added up", "Workers load *while* the network computes."),
            (1 / min(stage, compute), "this is the fastest stage", "Samples pile up there, or run out."),
            (1 / stage + 1 / compute, "the rates are added up", "Each sample has to pass both stages."),
            (1 / max(load / (workers + 1), compute), "one worker too many", "This process does not load any more."),
            (1 / max(load, compute / max(workers, 1)), "the workers share the computing", "There is only one network."),
        ]
        if workers == 0:
            mistakes = [mistakes[0], (1 / max(load, compute), "nothing overlaps here", alone)]
        same(found, expected, where, hint, mistakes, tolerance=1e-6)
    return f"Tried: {len(cases)} pipelines with 0 to 4 workers"


class PretendedDevice:
    """A device with a queue and a clock that only its own work moves, so that a check of timing takes no time."""

    def __init__(self, jobs, busy: float):
        self.jobs, self.calls, self.time, self.done_at = jobs, 0, 100.0, 100.0 + busy

    def call(self):
        """Puts the next job into the queue, and returns before it is done."""
        self.time += LAUNCH
        self.done_at = max(self.done_at, self.time) + self.jobs[min(self.calls, len(self.jobs) - 1)]
        self.calls += 1

    def synchronize(self):
        self.time = max(self.time, self.done_at)

    def clock(self) -> float:
        return self.time


def time_calls(device, calls, skip=1, before=True, after=True, middle=statistics.median) -> float:
    """Seconds of a call, measured as exercise B wants it, or with one of the usual mistakes."""
    for _ in range(skip):
        device.call()
    times = []
    for _ in range(calls):
        if before:
            device.synchronize()
        start = device.clock()
        device.call()
        if after:
            device.synchronize()
        times.append(device.clock() - start)
    return middle(times)


def time_all(device, calls) -> float:
    """Seconds of a call, from one reading of the clock around all of them."""
    device.call()
    device.synchronize()
    start = device.clock()
    for _ in range(calls):
        device.call()
    device.synchronize()
    return (device.clock() - start) / calls


@verdict
def check_time(my_time):
    """my_time(function, clock, synchronize, calls) -> median seconds of a call; the first call is thrown away."""
    cases = {
        "two calls alike": ((0.9, 0.5, 0.5), 2, 0.0),
        "a first call that takes long": ((3.0, 0.2, 0.8, 0.6, 0.3), 4, 0.0),
        "one call that is disturbed": ((0.5, 0.5, 0.5, 4.0, 0.5, 0.5), 5, 0.0),
        "five calls that differ": ((0.9, 0.2, 0.8, 0.4, 0.6, 0.3), 5, 0.0),
        "a single call, and a device that is still busy": ((0.9, 0.5), 1, 7.0),
    }
    for where, (jobs, calls, busy) in cases.items():
        device = PretendedDevice(jobs, busy)
        found = number(ask(my_time, device.call, device.clock, device.synchronize, calls, where=where), where)

        def timed(way=time_calls, calls=calls, **how):
            return way(PretendedDevice(jobs, busy), calls, **how)  # noqa: B023  (used at once)

        wait = "The call only queues its work. Wait for the device before each reading of the clock."
        first = "It loads, allocates and compiles: throw it away."
        mistakes = [
            (timed(after=False), "the clock is read before the device is done", wait),
            (timed(before=False, after=False), "the clock is read before the device is done", wait),
            (timed(before=False), "work from before is charged to the call", wait),
            (timed(skip=0), "the first call counts as well", first),
            (timed(skip=0, calls=calls + 1), "the first call counts as well", first),
            (timed(skip=0, before=False), "work from before is charged to the call", wait),
            (timed(middle=statistics.fmean), "this is the mean", "One disturbed call must not move the result."),
            (timed(time_all), "the clock runs around all calls", "That is a mean. Read the clock around each call."),
            (timed(middle=min), "this is the fastest call", "The middle one of all is asked for: the median."),
            (timed(middle=max), "this is the slowest call", "The middle one of all is asked for: the median."),
            (timed(middle=sum), "these are the seconds of all calls", "One call's seconds are asked for."),
        ]
        same(found, timed(), where, wait, mistakes, tolerance=1e-6)
        if device.calls != 1 + calls:
            words = f"it calls the function {device.calls} times, expected {1 + calls}"
            raise Wrong(where, words, "Once for nothing, and then `calls` times with the clock.")
    return "Tried, on a pretended device: " + ", ".join(cases)
