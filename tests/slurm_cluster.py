"""A SLURM of one node on this machine, for tests: munged, slurmctld and slurmd, all below one folder. Linux, as root.

`python tests/slurm_cluster.py` starts one, prints the line that lets a shell use it, and ends it on Ctrl-C.
"""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel", "scontrol", "srun")
PLACES = f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin"  # of the daemons
N_CPUS, GPUS = 4, ("/dev/null", "/dev/zero")  # of the node, whatever this machine has; any device serves as a GPU
CONF = """ClusterName=v2v
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CryptoType=crypto/munge
SlurmUser=root
SlurmdUser=root
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=sched_interval=1,bf_interval=1,sched_min_interval=0
SlurmdParameters=config_overrides
GresTypes=gpu
KillWait=5
PreemptMode=REQUEUE
PreemptType=preempt/partition_prio
ReturnToService=2
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory=4000 Gres=gpu:{gpus} State=UNKNOWN
PartitionName=work Nodes={host} Default=YES MaxTime=60 State=UP PriorityTier=1
PartitionName=urgent Nodes={host} MaxTime=60 State=UP PriorityTier=2
"""


def missing() -> str:
    """Why there can be no cluster here; "" where there can."""
    if os.name != "posix" or os.geteuid():
        return "SLURM's daemons need root here"
    absent = [name for name in PROGRAMS if not shutil.which(name, path=PLACES)]
    return f"no {absent[0]} here: apt-get install slurm-wlm munge" if absent else ""


@contextmanager
def cluster() -> Iterator[dict[str, str]]:
    """A running cluster: the environment variables that its clients need. Nothing of it is left afterwards.

    raises    RuntimeError with the end of the daemons' logs if the node is not idle within two minutes
    """
    folder = Path(tempfile.mkdtemp(prefix="slurm-"))  # short: a socket's path has at most 107 characters
    started = []
    try:
        env = _configure(folder)
        for words in (_munged(folder), ["slurmctld", "-D"], ["slurmd", "-D", "-N", socket.gethostname().split(".")[0]]):
            program = shutil.which(words[0], path=PLACES)
            with open(folder / f"{words[0]}.out", "wb") as log:
                started.append(subprocess.Popen([program, *words[1:]], env=os.environ | env, stdout=log, stderr=log))
            if words[0] == "munged":
                _until(lambda: (folder / "munge.socket").exists(), folder)
        _until(lambda: "idle" in client(env, "sinfo", "-h", "-o", "%t"), folder)
        yield env
    finally:
        client(env, "scancel", "--user=root", check=False)
        with suppress(RuntimeError):
            _until(lambda: not client(env, "squeue", "-h", check=False), folder, 20)
        for daemon in reversed(started):
            family = psutil.Process(daemon.pid).children(recursive=True)  # slurmstepd of jobs that did not end
            daemon.terminate()
            try:
                daemon.wait(20)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
            for process in family:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
        shutil.rmtree(folder, ignore_errors=True)


def client(env: dict[str, str], *words: str, check: bool = True) -> str:
    """The output of a SLURM command."""
    done = subprocess.run(words, env=os.environ | env, check=False, capture_output=True, text=True)
    if check and done.returncode:
        raise RuntimeError(f"{' '.join(words)}: {done.stderr}")
    return done.stdout.strip()


def _configure(folder: Path) -> dict[str, str]:
    for name in ("state", "spool"):
        (folder / name).mkdir()
    (folder / "munge.key").write_bytes(os.urandom(1024))
    (folder / "munge.key").chmod(0o400)
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    host = socket.gethostname().split(".")[0]
    (folder / "slurm.conf").write_text(CONF.format(host=host, ports=ports, folder=folder, cpus=N_CPUS, gpus=len(GPUS)))
    lines = [f"NodeName={host} Name=gpu File={device}\n" for device in GPUS]
    (folder / "gres.conf").write_text("".join(lines))
    return {"SLURM_CONF": str(folder / "slurm.conf")}


def _munged(folder: Path) -> list[str]:
    files = {"socket": "socket", "key-file": "key", "pid-file": "pid", "log-file": "log", "seed-file": "seed"}
    return ["munged", "--foreground", "--force", *(f"--{name}={folder}/munge.{end}" for name, end in files.items())]


def _until(condition, folder: Path, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while True:
        with suppress(RuntimeError):
            if condition():
                return
        if time.monotonic() > end:
            logs = [path.read_text(errors="replace")[-1500:] for path in sorted(folder.glob("*.[lo][ou][gt]"))]
            raise RuntimeError("SLURM did not start:\n" + "\n".join(logs))
        time.sleep(0.2)


if __name__ == "__main__":
    if reason := missing():
        raise SystemExit(reason)
    with cluster() as variables, suppress(KeyboardInterrupt):
        print(*(f"export {name}={value}" for name, value in variables.items()), sep="\n", flush=True)
        while True:
            time.sleep(60)
