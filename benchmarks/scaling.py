"""What grows with the number of clips: stores, windows, scores, statistics and DVC, at 10 to 100,000 tiny clips.

    python -m benchmarks.scaling --max 100000

Clips have 6 frames of 8x8 px, so the bytes of frames are small beside what each clip costs. Each number of clips is
measured in a process of its own, each step once. Memory is the rise of the process's peak during a step (Linux alone).
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from itertools import islice
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch

from v2vbench import params
from v2vbench.clips.store import Facts, Frames, Pair, Store, write_store
from v2vbench.clips.windows import Windows
from v2vbench.metrics import frechet, kernel
from v2vbench.results.metric import MetricInfo, Score
from v2vbench.results.runs import RunScore, RunScores, ScoredGroup
from v2vbench.stages._same_clips import same_clips
from v2vbench.stages._scorer import Scorer
from v2vbench.statistics.intervals import bounded, of_clips
from v2vbench.statistics.verdicts import decide, deltas

COUNTS = (10, 100, 1_000, 10_000, 100_000)
SIZE, N_FRAMES = (8, 8), 6
N_WINDOWS = 2_000  # at most, that are read
N_SCORED = 300  # clips, at most, that are scored
N_METRICS, N_RUNS = 4, 3  # whose intervals, verdicts and results are made
D = 64  # features of a row
N_SETS = 1_000  # clusters, at most, of distances between sets: their tables of pairs of clusters grow as the square
Row = dict[str, float | None]


class Step:
    """Seconds and peak memory of what runs inside."""

    def __enter__(self) -> "Step":
        Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
        self._before, self._began = _status_mb("VmRSS"), time.perf_counter()
        return self

    def __exit__(self, *_) -> None:
        self.seconds = time.perf_counter() - self._began
        self.mb = max(0.0, _status_mb("VmHWM") - self._before)


def _status_mb(name: str) -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) / 1024
    raise KeyError(name)


def facts() -> Facts:
    return Facts(
        name="many",
        title="many",
        about="",
        standing="benchmark",
        fps=10.0,
        source="labels",
        label_names=("a", "b", "c"),
        label_colours=((0, 0, 0),) * 3,
        groups={"test": "test"},
        origin="",
        licence="",
        size=SIZE,
    )


def clips(n: int, kind: str) -> Iterator[Pair]:
    """Noise; every second clip is a test clip, which all clips of a run's store are."""
    rng = np.random.default_rng(0)
    for i in range(n):
        split = "test" if kind == "fake" or i % 2 else "train"
        arrays: dict[str, np.ndarray | Frames] = {kind: rng.integers(0, 255, (N_FRAMES, *SIZE, 3), np.uint8)}
        if kind == "real":
            arrays["label"] = rng.integers(0, 3, (N_FRAMES, *SIZE), np.uint8)
        about = {"id": f"clip-{i if kind == 'real' else 2 * i + 1:06d}", "split": split, "given": 1, "origin": "noise"}
        yield about, arrays


def stores(n: int, folder: Path) -> Row:
    """Writing, opening and reading."""
    path = folder / "data/many.zip"
    with Step() as written:
        write_store(path, facts(), clips(n, "real"))
    with Step() as opened:
        store = Store(path)
    with Step() as first:
        windows = Windows(
            store,
            n_frames=3,
            n_warmup=2,
            batch_size=1,
            seed=0,
            double_every=0,
            drop_parts=0.0,
            arrays=("real", "label"),
        )
        windows.batch(0)
    with Step() as listed:
        for _ in store.clips.values():
            pass
    rates = [_rate(windows.batch, threads) for threads in (1, 2)]
    return {
        "write clips/s": n / written.seconds,
        "write MB": written.mb,
        "file MB": path.stat().st_size / 1e6,
        "open s": opened.seconds,
        "open MB": opened.mb,
        "first window s": first.seconds,
        "windows/s": rates[0],
        "windows/s, 2 threads": rates[1],
        "all entries s": listed.seconds,
        "all entries MB": listed.mb,
    }


def _rate(batch: Callable[[int], object], threads: int) -> float:
    """Calls per second of different steps."""
    with ThreadPoolExecutor(threads) as pool:
        began = time.perf_counter()
        for _ in pool.map(batch, range(N_WINDOWS)):
            pass
        return N_WINDOWS / (time.perf_counter() - began)


def scores(n: int, folder: Path) -> Row:
    """Evaluation of a run, with features from the cache: its checks of all clips, and a clip's share of its loop."""
    base, store = params.load(), Store(folder / "data/many.zip")
    lines = {"psnr": base.metrics["psnr"], "kid": {"metric": "kernel", "features": "frames", "pairs": "other-clusters"}}
    project = replace(
        base, judges={}, features={"frames": {"extractor": "efficientnet_lite0", "px": 32}}, metrics=lines
    )
    write_store(folder / "fake.zip", facts(), clips(n // 2, "fake"))
    with Step() as begun:
        scorer, fakes = Scorer(project, "many", store, cache=folder / "features"), Store(folder / "fake.zip")
        same_clips(store, fakes, replace(project.protocol, skip_frames=1))
        scorer.clusters("test")
    tests = list(islice(store.split("test"), N_SCORED))
    for _ in range(2):  # the second time with rows in the cache
        began = time.perf_counter()
        for clip in tests:
            scorer.score(scorer.read(clip, fakes=fakes), clip)
        seconds = time.perf_counter() - began
    return {"checks s": begun.seconds, "checks MB": begun.mb, "score ms/clip": 1000 * seconds / len(tests)}


def statistics(n: int, folder: Path) -> Row:
    """Intervals and verdicts of made-up values of n clips, each its own cluster; and a run's file of results."""
    rng, names, protocol = np.random.default_rng(0), [f"clip-{i:06d}" for i in range(n)], params.load().protocol
    values = rng.normal(30, 1, (N_METRICS, N_RUNS, n))
    with Step() as intervals:
        estimates = [[of_clips(values[m, r], names) for r in range(N_RUNS)] for m in range(N_METRICS)]
        for of_metric in estimates:
            for estimate in of_metric:
                bounded(estimate, protocol.confidence)
    table = {
        str(m): {str(r): deltas(estimates[m][r], estimates[m][0], "higher") for r in range(1, N_RUNS)}
        for m in range(N_METRICS)
    }
    row: Row = {"intervals s": intervals.seconds, "intervals MB": intervals.mb}
    for correction in ("holm", "max-t"):
        with Step() as verdicts:
            decide(table, alpha=0.05, power=protocol.power, correction=correction, n_flips=protocol.n_flips, seed=0)
        row |= {f"{correction} s": verdicts.seconds, f"{correction} MB": verdicts.mb}
    info = MetricInfo(
        title="m",
        unit="",
        better="higher",
        heading="fidelity",
        kind="clip",
        protocol="m/1",
        no_verdict=None,
        absent=None,
    )
    with Step() as saved:
        metrics = {f"m{m}": _score(values[m, 0], values[m, 1]) for m in range(N_METRICS)}
        group = ScoredGroup(clips=names, clusters=names, n_frames=5, scores=metrics, seeds={})
        RunScores(
            run="x",
            title="x",
            dataset="many",
            model="m",
            n_given=1,
            skip_frames=1,
            metrics=dict.fromkeys(metrics, info),
            groups={"test": group},
        ).save(folder / "run.json")
    with Step() as loaded:
        RunScores.load(folder / "run.json")
    return row | {
        "JSON MB": (folder / "run.json").stat().st_size / 1e6,
        "save s": saved.seconds,
        "save MB": saved.mb,
        "load s": loaded.seconds,
        "load MB": loaded.mb,
    }


def _score(fake: np.ndarray, real: np.ndarray) -> RunScore:
    one, other = (Score(value=float(some.mean()), per_clip=some.tolist(), leave_one_out=None) for some in (fake, real))
    return RunScore(fake=one, real=other, floor=None, curve=[30.0] * 5, drift=fake.tolist(), size=None, note=None)


def sets(n: int) -> Row:
    """Distances between sets of 4 rows a clip, with each clip left out in turn; nothing above N_SETS clips."""
    row: Row = {"Fréchet s": None, "kernel s": None, "kernel MB": None}
    if n > N_SETS:
        return row
    rng, owner = np.random.default_rng(0), np.repeat(np.arange(n), 4)
    fake, real = rng.normal(size=(2, 4 * n, D))
    with Step() as of_frechet:
        frechet.leave_one_out(fake, real, owner, features="made up", divisor="n-1")
    with Step() as of_kernel:
        kernel.leave_one_out(fake, real, owner, features="made up", pairs="other-clusters")
    return row | {"Fréchet s": of_frechet.seconds, "kernel s": of_kernel.seconds, "kernel MB": of_kernel.mb}


def dvc(folder: Path) -> Row:
    """A project whose data is the store, one file: `dvc add`, which hashes it, and `dvc status`, as commands."""

    def run(*words: str) -> float:
        began = time.perf_counter()
        subprocess.run([sys.executable, "-m", "dvc", *words, "--quiet"], cwd=folder, check=True)
        return time.perf_counter() - began

    run("init", "--no-scm")
    return {"dvc add s": run("add", "data/many.zip"), "dvc status s": run("status")}


def measure(n: int, folder: Path) -> Row:
    """All steps at n clips; `folder` is empty before."""
    torch.set_num_threads(1)
    return {"clips": n} | stores(n, folder) | scores(n, folder) | statistics(n, folder) | sets(n) | dvc(folder)


def table(rows: list[Row]) -> str:
    """Markdown: a line a measure, a column a number of clips, and the last over the one before."""
    heads = [f"{row['clips']:,}" for row in rows]
    growth = [f"{heads[-1]} / {heads[-2]}"] if len(rows) > 1 else []
    lines = [["clips", *heads, *growth]]
    for name in rows[0]:
        if name != "clips":
            values = [row[name] for row in rows]
            cells = ["" if value is None else _short(value) for value in values]
            lines.append([name, *cells, *([_ratio(values[-2], values[-1])] if growth else [])])
    rule = ["---", *["---:"] * (len(lines[0]) - 1)]
    return "\n".join(f"| {' | '.join(line)} |" for line in (lines[0], rule, *lines[1:]))


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}" if value >= 0.001 else f"{value:.4f}"


def _ratio(before: float | None, after: float | None) -> str:
    return f"{after / before:.3g}" if before and after is not None else ""


def main(argv: list[str] | None = None) -> None:
    """Print the table, after a line for each number of clips as it is done."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.scaling", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--max", type=int, default=10_000, help="clips; 100000 takes about ten minutes (%(default)s)")
    args = parser.parse_args(argv)
    rows = []
    for n in (count for count in COUNTS if count <= args.max):
        with tempfile.TemporaryDirectory() as folder, ProcessPoolExecutor(1, get_context("spawn")) as pool:
            began = time.perf_counter()
            rows.append(pool.submit(measure, n, Path(folder)).result())
            print(f"{n} clips: {time.perf_counter() - began:.0f} s", flush=True)
    print(f"\n{table(rows)}")


if __name__ == "__main__":
    main()
