"""A SLURM of one or more nodes on this machine, for tests: munged, slurmctld and a slurmd for each node, all below one
folder. Linux, as root. Several nodes need a SLURM that was built with --enable-multiple-slurmd, as Debian's is.

`python tests/slurm_cluster.py [NODES]` starts one, prints the line that lets a shell use it, and ends it on Ctrl-C.
"""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel", "scontrol", "srun")
PLACES = f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin"  # of the daemons
N_CPUS, GPUS = 4, ("/dev/null", "/dev/zero")  # of a node, whatever this machine has; any device serves as a GPU
CONF = """ClusterName=v2v
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CryptoType=crypto/munge
SlurmUser=root
SlurmdUser=root
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
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
PartitionName=work Nodes=ALL Default=YES MaxTime=60 State=UP PriorityTier=1
PartitionName=urgent Nodes=ALL MaxTime=60 State=UP PriorityTier=2
"""
NODE = (
    "NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs={cpus} RealMemory=4000 Gres=gpu:{gpus}\n"
)


def missing() -> str:
    """Why there can be no cluster here; "" where there can."""
    if os.name != "posix" or os.geteuid():
        return "SLURM's daemons need root here"
    absent = [name for name in PROGRAMS if not shutil.which(name, path=PLACES)]
    return f"no {absent[0]} here: apt-get install slurm-wlm munge" if absent else ""


@contextmanager
def cluster(n_nodes: int = 1) -> Iterator[dict[str, str]]:
    """A running cluster: the environment variables that its clients need. Nothing of it is left afterwards.

    n_nodes   each with N_CPUS and GPUS, whatever this machine has; they share its file system and its address
    raises    RuntimeError with the end of the daemons' logs if the nodes are not idle within two minutes
    """
    folder = Path(tempfile.mkdtemp(prefix="slurm-"))  # short: a socket's path has at most 107 characters
    started = []
    try:
        env, names = _configure(folder, n_nodes), _names(n_nodes)
        for words in (_munged(folder), ["slurmctld", "-D"], *(["slurmd", "-D", "-N", name] for name in names)):
            program = shutil.which(words[0], path=PLACES)
            with open(folder / f"{words[0]}.out", "ab") as log:
                started.append(subprocess.Popen([program, *words[1:]], env=os.environ | env, stdout=log, stderr=log))
            if words[0] == "munged":
                _until(lambda: (folder / "munge.socket").exists(), folder)
        _until(lambda: client(env, "sinfo", "-h", "-N", "-p", "work", "-o", "%t").split() == ["idle"] * n_nodes, folder)
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


def _names(n_nodes: int) -> list[str]:
    """The names of nodes; a single one is named like this machine, which any SLURM allows."""
    host = socket.gethostname().split(".")[0]
    return [host] if n_nodes == 1 else [f"v2v{number}" for number in range(n_nodes)]


def _configure(folder: Path, n_nodes: int) -> dict[str, str]:
    names, host = _names(n_nodes), socket.gethostname().split(".")[0]
    for name in ("state", *(f"spool-{name}" for name in names)):
        (folder / name).mkdir()
    (folder / "munge.key").write_bytes(os.urandom(1024))
    (folder / "munge.key").chmod(0o400)
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(1 + n_nodes)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    same = {"host": host, "cpus": N_CPUS, "gpus": len(GPUS)}
    nodes = [NODE.format(name=name, port=port, **same) for name, port in zip(names, ports[1:])]
    head, _, partitions = CONF.format(host=host, ports=ports, folder=folder).partition("PartitionName")
    (folder / "slurm.conf").write_text(f"{head}{''.join(nodes)}PartitionName{partitions}")
    lines = [f"NodeName={name} Name=gpu File={device}\n" for name in names for device in GPUS]
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
    with cluster(int(*sys.argv[1:] or [1])) as variables, suppress(KeyboardInterrupt):
        print(*(f"export {name}={value}" for name, value in variables.items()), sep="\n", flush=True)
        while True:
            time.sleep(60)
