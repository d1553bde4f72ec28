"""Big frames and long clips: the memory that a roll-out takes does not depend on the number of frames."""

import subprocess
import sys

import pytest

ROLL = """
import resource, sys
from pathlib import Path
import numpy as np
import torch
from conftest import facts
from test_models import SMALL
from v2vbench import params
from v2vbench.clips.store import Frames, Store, write_store
from v2vbench.stages._weights import build_model
from v2vbench.stages.synthesize import synthesize
from safetensors.torch import save_file

root, (n, *size) = Path(sys.argv[1]), map(int, sys.argv[2:5])
base = params.load()
line = params.Run(
    title="x", dataset="big", model="vid2vid", schedule="none", base="none", first_frames="real", seeds=[0],
    kwargs=SMALL["vid2vid"] | dict(n_scales_spatial=2, n_blocks=1, n_down=3),
)
project = params.Params(**vars(base) | dict(runs={"x": line}))
row = np.arange(size[1]) // 64

def moving(scale, dtype):
    for t in range(n):
        yield np.broadcast_to(((row + t) % 3 * scale).astype(dtype), (1, *size)).copy()

def coloured():
    for frame in moving(80, np.uint8):
        yield np.repeat(frame[..., None], 3, -1)

arrays = dict(
    real=Frames(n, coloured()),
    label=Frames(n, moving(1, np.uint8)),
    instance=Frames(n, moving(1, np.uint16)),
)
about = dict(id="long", split="test", licence="", origin="")
write_store(root / "data/big.zip", facts(name="big", size=tuple(size), groups={"test": "test"}), [(about, arrays)])
model = build_model(project, "x", Store(root / "data/big.zip").facts)
(root / "runs/x").mkdir(parents=True)
save_file(model.state_dict(), root / "runs/x/model.safetensors")
out = Store(synthesize(project, "x", root))
assert out.clips["long"]["n_frames"] == n
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def peak_mb(folder, n_frames, size) -> int:
    done = subprocess.run(
        [sys.executable, "-c", ROLL, str(folder), str(n_frames), *map(str, size)],
        check=True,
        text=True,
        stdout=subprocess.PIPE,
        cwd="tests",
    )
    return int(done.stdout)


@pytest.mark.slow
@pytest.mark.parametrize("size, few, many", [((256, 512), 50, 250), ((1024, 2048), 40, 80)])
def test_memory_does_not_grow_with_the_clip(tmp_path, size, few, many):
    """It grows by less than half the bytes of the added frames' pixels, 250 MB at 2048 x 1024; floats take four times.

    Peaks of equal runs differ by about 50 MB of 2 GB there, by memory that malloc keeps.
    """
    peaks = [peak_mb(tmp_path / str(n), n, size) for n in (few, many)]
    assert peaks[1] < peaks[0] + (many - few) * size[0] * size[1] * 3 / 2 / 2**20, peaks
