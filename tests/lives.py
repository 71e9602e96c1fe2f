"""Processes that are really killed. Each life is forked from an interpreter that has loaded PyTorch and started no
threads (`nursery`), so it starts at once.
"""

import contextlib
import functools
import importlib
import itertools
import json
import os
import signal
import subprocess
import sys
import traceback
from pathlib import Path

from maskdepth_utils.models.weights import list_checkpoints

HERE = Path(__file__).parent


def born(work, *arguments) -> int:
    """Start a process that does `work` and ends; return its id."""
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        work(*arguments)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code)


def ended(pid) -> int:
    """Wait for a process; return its exit code, or minus the signal that killed it."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def die_before(number: int, matches, cut: bool = False) -> None:
    """Make this process kill itself before its file operation `number`, of those for which matches(event, path).

    Python announces each one ("audit events"), so no function has to be replaced. cut: half of a file that was to be
    renamed is missing, as after a kill or a power failure in the middle of writing it.
    """
    count = itertools.count()

    def watch(event, arguments):
        if event not in ("open", "os.mkdir", "os.rename", "os.remove", "os.rmdir"):
            return
        path = str(arguments[0])
        if matches(event, path) and next(count) == number:
            if cut and event == "os.rename" and os.path.isfile(path):
                os.truncate(path, os.path.getsize(path) // 2)
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)


@functools.cache
def nursery() -> subprocess.Popen:
    """An interpreter that has loaded all it needs and forks a process for each call."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": f"{HERE}{os.pathsep}{HERE.parent}"}
    preloaded = "pytest, small_training, torch._dynamo, torch.utils.tensorboard, webdataset"
    command = [sys.executable, "-c", f"import lives, {preloaded}; lives.serve()"]
    return subprocess.Popen(command, env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def serve() -> None:
    """Run the nursery until its input is closed, which happens when pytest ends."""
    for line in sys.stdin:
        call = json.loads(line)

        def work(call=call):
            os.setpgid(0, 0)
            signal.alarm(600)  # a call that hangs is killed
            os.environ |= call["environment"]
            with open(call["log"], "w") as log:
                os.dup2(log.fileno(), 1)
                os.dup2(log.fileno(), 2)
            function = getattr(importlib.import_module(call["module"]), call["function"])
            # Not printed: a process that dies may leave half a line of a traceback.
            Path(call["result"]).write_text(json.dumps(function(*call["arguments"])))

        pid = born(work)
        code = ended(pid)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)  # any processes that it left
        print(code, flush=True)


def in_fresh_process(function, folder, *arguments) -> tuple:
    """Call one of these files' functions in a forked process: (what it returns, what was printed)."""
    call = {"module": function.__module__, "function": function.__name__, "arguments": [str(folder), *arguments]}
    call |= {"environment": dict(os.environ), "log": f"{folder}.log", "result": f"{folder}.json"}
    server = nursery()
    server.stdin.write(json.dumps(call) + "\n")
    server.stdin.flush()
    code, text = server.stdout.readline(), Path(call["log"]).read_text()
    assert code == "0\n", f"exit code {code}: {text}"
    return json.loads(Path(call["result"]).read_text()), text


def steps_of(folder) -> list[int]:
    """The steps of a run's checkpoints, newest first."""
    return [int(path.stem.removeprefix("checkpoint-")) for path in list_checkpoints(folder)]
