"""The process in which a stage's notebook runs: `python -m v2vbench.runner.kernel`, this very interpreter whatever is installed elsewhere."""

import ctypes
import json
import os
import resource
import signal
import sys
import warnings


def die_with_parent(signum: int, parent: int) -> None:
    """Ask Linux for `signum` as soon as `parent` is dead, however it died and whatever native code runs here then.

    Elsewhere ipykernel and the runner look once a second, which native code that holds the GIL can delay.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signum)  # 1 = PR_SET_PDEATHSIG
        if os.getppid() != parent:  # it died before we could ask
            os.kill(os.getpid(), signum)


def tell(path: str) -> None:
    """Write what this process has used so far to `path`, JSON."""
    unit = 2**20 if sys.platform == "darwin" else 2**10  # of ru_maxrss, to MiB
    facts = {"device": "cpu", "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit)}
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
    warnings.filterwarnings("ignore", "To exit: use")  # IPython's advice on sys.exit, which is no advice for a stage
    from ipykernel.kernelapp import IPKernelApp

    app = IPKernelApp.instance()
    app.initialize()
    app.shell.events.register("post_run_cell", lambda result: tell(os.environ["V2VBENCH_USED"]))
    app.start()
