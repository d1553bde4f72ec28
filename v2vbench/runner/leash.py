"""Keeps a command on a leash: `python -m v2vbench.runner.leash COMMAND ...` ends it when the process that started it is
gone or lets go.

The leash is the pipe to this process's stdin: it closes when the other end is closed, or when its owner dies, by
whatever signal. The command runs in a session of its own, so that Ctrl-C in a terminal reaches it through here alone.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

from v2vbench.runner.kernel import die_with_parent

GRACE_S = 60  # from SIGINT to SIGKILL: a stage that runs as a SLURM job cancels it, and waits until it is gone


def leashed(words: list[str], root: Path, env: dict[str, str]) -> subprocess.Popen:
    """Start a command that ends when the stdin of the returned process is closed, so also when this process dies."""
    package = str(Path(__file__).parents[2])  # a project need not be the folder of this package
    path = os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH", "")]))
    return subprocess.Popen(
        [sys.executable, "-m", "v2vbench.runner.leash", *words],
        cwd=root,
        env=os.environ | env | {"PYTHONPATH": path},
        stdin=subprocess.PIPE,
        start_new_session=True,
    )


def main(words: list[str]) -> int:
    """Run a command; returns its exit code, or 130 if it was ended."""
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, signal.SIG_IGN)
    leash, parent = os.dup(0), os.getpid()
    child = subprocess.Popen(
        words,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=lambda: _prepare(parent),
    )
    let_go = threading.Event()

    def watch() -> None:
        while os.read(leash, 1):
            pass
        let_go.set()
        _signal(child, signal.SIGINT)
        try:
            child.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            _signal(child, signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()
    code = child.wait()
    return 130 if let_go.is_set() else code if code >= 0 else 128 - code


def _prepare(parent: int) -> None:
    """In the new process: default signals, since ignored ones are inherited; and an end even if this one is killed."""
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, signal.SIG_DFL)
    die_with_parent(signal.SIGTERM, parent)


def _signal(child: subprocess.Popen, signum: int) -> None:
    """Signal a child's whole process group."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signum)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
