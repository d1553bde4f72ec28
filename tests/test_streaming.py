"""Evaluation has one or two clips in memory at a time: its peak memory does not depend on the number of clips."""

import subprocess
import sys

import pytest

SCORE = """
import resource, sys
from dataclasses import replace
from pathlib import Path
import numpy as np
from conftest import facts
from v2vbench import params
from v2vbench.clips.store import Frames, write_store
from v2vbench.stages.evaluate import evaluate

root, (n_clips, n_frames, *size) = Path(sys.argv[1]), map(int, sys.argv[2:])
size = tuple(size)
base = params.load()
run = params.Run(
    title="x", dataset="many", model="copy_last", schedule="none", base="none", first_frames="real", seeds=[0],
    kwargs={},
)
lite0 = {"extractor": "efficientnet_lite0", "px": 32}
project = replace(base, runs={"x": run}, judges={}, features={"frames": lite0}, metrics={
    "psnr": base.metrics["psnr"],
    "flicker": {"block_px": 8},
    "kid": {"metric": "kernel", "features": "frames", "pairs": "other-clusters"},
})
row, about = np.arange(size[1]) // 8, facts(name="many", size=size, groups={"test": "test"})

def made(name, damage):
    for clip in range(n_clips):
        def parts():
            for t in range(n_frames):
                frame = np.broadcast_to(((row + clip + t) % 11 * 20).astype(np.uint8)[:, None], (1, *size, 3))
                yield frame + np.uint8(damage * (t % 2))
        yield {"id": f"c{clip}", "split": "test", "given": 1}, {name: Frames(n_frames, parts())}

write_store(root / "data/many.zip", about, made("real", 0))
write_store(root / "runs/x/clips.zip", about, made("fake", 9))
group = evaluate(project, "x", root).groups["test"]
assert len(group.clips) == len(group.scores["psnr"].fake.per_clip) == n_clips
assert group.scores["kid"].size.n_rows == n_clips * (n_frames - base.protocol.skip_frames)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def peak_mb(folder, n_clips, n_frames, size) -> int:
    done = subprocess.run(
        [sys.executable, "-c", SCORE, str(folder), str(n_clips), str(n_frames), *map(str, size)],
        check=True,
        text=True,
        stdout=subprocess.PIPE,
        cwd="tests",
    )
    return int(done.stdout)


@pytest.mark.slow
@pytest.mark.parametrize("few, many, n_frames, size", [(4, 16, 81, (544, 960)), (200, 2000, 10, (16, 32))])
def test_memory_does_not_grow_with_the_clips(tmp_path, few, many, n_frames, size):
    """By no more than the rows of features, 5 kB a frame, in a few copies while they are compared, and what malloc and
    kernels take.

    12 more large clips are 3 GB of pixels; all pairs of 16,000 rows would be 2 GB per matrix.
    """
    peaks = [peak_mb(tmp_path / str(n), n, n_frames, size) for n in (few, many)]
    rows = (many - few) * n_frames * 1280 * (2 * 4 + 6 * 8) / 2**20  # as kept, and in double precision while compared
    assert peaks[1] < peaks[0] + rows + 400, peaks
