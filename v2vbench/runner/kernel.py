"""The process that runs a stage's notebook: `python -m v2vbench.runner.kernel`, with the runner's interpreter."""

import ctypes
import json
import os
import resource
import signal
import sys
import warnings


def die_with_parent(signum: int, parent: int) -> None:
    """Have Linux send `signum` as soon as `parent` is dead, even while native code runs here.

    On other systems ipykernel and the runner check once a second, which native code that keeps the GIL can delay.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signum)  # 1 = PR_SET_PDEATHSIG
        if os.getppid() != parent:  # it died before the call
            os.kill(os.getpid(), signum)


def write_usage(path: str) -> None:
    """Write the device, the peak memory and the seconds of earlier processes' work of this process to `path`."""
    unit = 2**20 if sys.platform == "darwin" else 2**10  # of ru_maxrss, to MiB
    facts = {"device": "cpu", "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit)}
    progress = sys.modules.get("v2vbench.progress")
    facts["earlier_seconds"] = progress.earlier_s if progress else 0.0
    torch = sys.modules.get("torch")
    if torch and torch.cuda.is_initialized():
        facts |= {
            "device": torch.cuda.get_device_name(),
            "peak_device_memory_mb": round(torch.cuda.max_memory_reserved() / 2**20),
        }
    with open(path, "w") as file:
        json.dump(facts, file)


if __name__ == "__main__":
    die_with_parent(signal.SIGKILL, int(os.environ["JPY_PARENT_PID"]))
    warnings.filterwarnings("ignore", "To exit: use")  # IPython's advice on sys.exit, wrong for a stage
    warnings.filterwarnings("ignore", "IProgress not found")  # tqdm's advice on widgets; progress goes to the log
    from ipykernel.kernelapp import IPKernelApp

    app = IPKernelApp.instance()
    app.initialize()
    events = app.shell.events  # pyright: ignore[reportOptionalMemberAccess] - `initialize` has made the shell
    events.register("post_run_cell", lambda result: write_usage(os.environ["V2VBENCH_USAGE"]))
    app.start()
