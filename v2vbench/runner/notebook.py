"""Runs a notebook as a stage, by papermill: one line on failure, and an executed notebook with reproducible bytes."""

import datetime
import hashlib
import importlib.metadata
import json
import logging
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import contextmanager, suppress
from pathlib import Path

import nbformat
import papermill
import psutil
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from papermill.exceptions import PapermillExecutionError
from traitlets.config import Config

from v2vbench.params import SLUG, Fault, choose
from v2vbench.runner import slurm
from v2vbench.runner.check import load_checked
from v2vbench.runner.copies import normalised, read, write
from v2vbench.runner.kernel import die_with_parent
from v2vbench.runner.slurm_job import INSIDE, OUT_OF_TIME, STOPPED


class Kernel(AsyncKernelManager):
    """Starts v2vbench.runner.kernel with this interpreter; installed kernels are ignored."""

    process = None  # the latest one, whose exit status nbclient does not keep

    @property
    def kernel_spec(self) -> KernelSpec:
        words = [sys.executable, "-m", "v2vbench.runner.kernel", "--log-level=CRITICAL", "-f", "{connection_file}"]
        return KernelSpec(argv=words, language="python")

    async def _async_launch_kernel(self, kernel_cmd, **kw):
        await super()._async_launch_kernel(kernel_cmd, **kw)
        Kernel.process = getattr(self.provisioner, "process", None)


def run(stage: str, key: str, root: Path) -> None:
    """Execute build/notebooks/??_<stage>.ipynb with stage = {"key": key}, here or as a SLURM job.

    writes    reports/notebooks/<stage>-<key>.ipynb; logs/<stage>-<key>.json, facts of the machine, and .log, progress
              and warnings
    raises    Fault, one line, for any failure; the notebook so far is then in .cache/notebooks/<stage>-<key>.ipynb;
              SystemExit(3) at the time that V2VBENCH_STOP_AT says, where the same call goes on from a checkpoint
    """
    began, started = time.monotonic(), datetime.datetime.now(datetime.UTC)
    load_checked(root)
    if not re.fullmatch(SLUG, key):
        raise Fault(f"run {stage} {key!r}: a key is made of a-z, 0-9, _ and -")
    copies = {path.stem[3:]: path for path in sorted((root / "build/notebooks").glob("[0-9][0-9]_*.ipynb"))}
    if not copies:
        raise Fault("build/notebooks: no notebooks yet; `python -m v2vbench sources` writes them")
    path = choose(copies, stage, "run")
    name, nb, source = f"{stage}-{key}", read(path), f"notebooks/{path.name}"
    log, partial = root / f"logs/{name}.log", root / f".cache/notebooks/{name}.ipynb"
    if INSIDE not in os.environ:
        slurm.end_leftover(name, root)
    for file in (log, partial):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"")
    if slurm.goes_out(stage, root):
        job = slurm.Job(stage, key, root)
        with supervise(f"{stage} {key}", log, job.cancel):
            return job.run()
    with tempfile.TemporaryDirectory(prefix="v2v-") as scratch:
        set_environment(root, log, Path(scratch))
        with supervise(source, log, lambda: end_kernels(Path(scratch))):
            nb = execute(nb, {"stage": {"key": key}}, source, partial, root, Path(scratch))
        usage = json.loads((Path(scratch) / "usage.json").read_text())
    write(normalised(nb, root), root / f"reports/notebooks/{name}.ipynb")
    partial.unlink()
    facts = {
        "stage": stage,
        "key": key,
        "started": started.isoformat("T", "seconds"),
        "seconds": round(time.monotonic() - began + usage.pop("earlier_seconds"), 1),
    }
    (root / f"logs/{name}.json").write_text(json.dumps(facts | usage | machine(root), indent=1, sort_keys=True) + "\n")


def set_environment(root: Path, log: Path, scratch: Path) -> None:
    """Set the kernel's environment, so that a user's start-up files, styles and seeds do not change a stage."""
    os.environ.update(
        IPYTHONDIR=str(scratch),
        JUPYTER_RUNTIME_DIR=str(scratch),
        JUPYTER_CONFIG_DIR=str(scratch),
        MPLCONFIGDIR=str(root / ".cache/matplotlib"),
        PYTHONHASHSEED="0",
        CUBLAS_WORKSPACE_CONFIG=":4096:8",  # or matrix products on a GPU differ from run to run
        V2VBENCH_PROGRESS=str(log),
        V2VBENCH_USAGE=str(scratch / "usage.json"),
    )
    os.environ.pop("MATPLOTLIBRC", None)


def execute(nb, parameters: dict, source: str, partial: Path, root: Path, scratch: Path) -> nbformat.NotebookNode:
    """The notebook, executed in a new kernel; raises Fault naming the code cell that failed."""
    defaults = "\n".join(cell.source for cell in nb.cells if "parameters" in cell.metadata.get("tags", ()))
    if unknown := sorted(parameters.keys() - set(re.findall(r"^(\w+) *=", defaults, re.MULTILINE))):
        raise Fault(f"{source}: no cell tagged `parameters` sets {', '.join(unknown)}")
    Kernel.process = None
    logging.getLogger("papermill").setLevel(logging.CRITICAL + 1)  # the Fault reports it in one line
    config = Config({"KernelManager": {"transport": "ipc", "connection_file": str(scratch / "k.json")}})
    try:
        with open(os.environ["V2VBENCH_PROGRESS"], "a", encoding="utf-8") as warnings:
            nb = papermill.execute_notebook(
                nb,
                str(partial),
                parameters,
                kernel_name="python3",
                language="python",
                cwd=str(root),
                stderr_file=warnings,
                progress_bar=False,
                kernel_manager_class=Kernel,
                shutdown_kernel="immediate",
                coalesce_streams=True,
                record_timing=False,
                start_timeout=300,
                iopub_timeout=300,
                config=config,
            )  # a machine may be busy
    except PapermillExecutionError as error:
        if error.ename == "Fault":
            raise Fault(error.evalue) from None
        if error.ename == "OutOfTime":
            sys.stderr.write(f"v2vbench: {source}: out of time; the same command goes on from the checkpoint\n")
            raise SystemExit(OUT_OF_TIME) from None
        problem = f"{error.ename}: {error.evalue}"
    except RuntimeError:
        if Kernel.process is None or (code := Kernel.process.poll()) is None:
            raise
        problem = f"the kernel died: {signal.Signals(-code).name if code < 0 else f'exit code {code}'}"
        problem += ", out of memory?" * (code == -signal.SIGKILL)
    else:
        if not any(out.output_type == "error" for cell in nb.cells for out in cell.get("outputs", ())):
            return nb
        problem = "sys.exit is no way to end a notebook"  # papermill takes sys.exit(0) for success
    reached = [cell for cell in read(partial).cells if cell.cell_type == "code" and cell.metadata.papermill.start_time]
    number = sum("injected-parameters" not in cell.metadata.get("tags", ()) for cell in reached)
    raise Fault(
        f"{source}, code cell {number}: {' '.join(problem.split())[:500]}; "
        f"partial notebook: {partial.relative_to(root)}"
    )


def end_kernels(scratch: Path) -> None:
    """End the processes that this one started, and remove their files."""
    kernels = psutil.Process().children(recursive=True)
    for process in kernels:
        process.kill()
    psutil.wait_procs(kernels, timeout=5)
    shutil.rmtree(scratch, ignore_errors=True)


@contextmanager
def supervise(what: str, log: Path, clean: Callable[[], None]):
    """Show a stage's progress while it runs. This process ends with the one that started it, a DVC or the head of a
    SLURM job, and its own kernel or job ends with it, so that never two processes write the same outputs.

    what     is run, for the line that says that it was stopped
    clean    called before this process ends by a signal
    """

    def stop(signum, frame):
        for other in before:
            signal.signal(other, signal.SIG_IGN)  # a second Ctrl-C does not stop the cleaning
        try:
            clean()
            os.write(2, f"v2vbench: {what}: stopped by {signal.Signals(signum).name}\n".encode())
        finally:
            os._exit(STOPPED)

    before = {
        signum: signal.signal(signum, stop)
        for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        if signal.getsignal(signum) is not signal.SIG_IGN
    }  # nohup
    if "DVC_ROOT" in os.environ or INSIDE in os.environ:
        die_with_parent(signal.SIGTERM, os.getppid())
    if "DVC_ROOT" in os.environ:
        threading.Thread(target=follow_dvc, args=(psutil.Process().parents(),), daemon=True).start()
    done = threading.Event()
    show = threading.Thread(target=echo, args=(log, done), daemon=True)
    show.start()
    try:
        yield
    finally:
        done.set()
        show.join()
        for signum, handler in before.items():
            signal.signal(signum, handler)


def follow_dvc(ancestors: list[psutil.Process]) -> None:
    """End this process when dvc, or a shell between dvc and this process, is dead: a killed dvc sends no signal."""
    watched = ancestors[:1]
    for n, process in enumerate(ancestors, 1):
        with suppress(psutil.Error):  # no permission to inspect it
            if "dvc" in map(os.path.basename, process.cmdline()[:3]):
                watched = ancestors[:n]
                break
    with suppress(psutil.NoSuchProcess):
        while all(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in watched):
            time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGTERM)


def echo(log: Path, done: threading.Event) -> None:
    """Copy new lines of `log` to stderr, past papermill and through DVC, until `done` is set.

    The file is opened each time: on a file system of several machines that is how new lines are seen. It begins anew
    where a job does.
    """
    last, seen = False, 0
    with suppress(BrokenPipeError):  # stderr may be closed
        while not last:
            last = done.wait(0.2)
            with open(log, "rb") as file:
                seen = min(seen, file.seek(0, os.SEEK_END))
                file.seek(seen)
                new = file.read()
            whole = len(new) if last else new.rfind(b"\n") + 1
            seen += whole
            sys.stderr.write(new[:whole].decode(errors="replace"))
            sys.stderr.flush()


def machine(root: Path) -> dict:
    """Facts of the machine that results and times may depend on; never part of a hashed output."""
    cpuinfo, lock = Path("/proc/cpuinfo"), root / "requirements.lock"
    cpu = re.search(r"^model name\s*: (.*)$", cpuinfo.read_text() if cpuinfo.is_file() else "", re.MULTILINE)
    command = ["git", "rev-parse", "--quiet", "--verify", "HEAD"]
    git = (
        shutil.which("git")
        and subprocess.run(command, check=False, cwd=root, capture_output=True, text=True).stdout.strip()
    )
    return {
        "python": platform.python_version(),
        "torch": importlib.metadata.version("torch"),
        "host_cpu": f"{os.cpu_count()} x {cpu[1] if cpu else platform.processor() or platform.machine()}",
        "revision": git or None,
        "lock_sha256": hashlib.sha256(lock.read_bytes()).hexdigest() if lock.is_file() else None,
    }
