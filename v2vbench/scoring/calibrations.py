"""Calibrations that are kept by content: what a metric says of damaged real clips takes longest, and seldom changes."""

import json
from dataclasses import asdict
from pathlib import Path

from v2vbench.files import write_whole
from v2vbench.params import Fault, bind
from v2vbench.results.calibration import CalibratedGroup


def read(path: Path | None) -> CalibratedGroup | None:
    """What was kept, with every digit; None where there is nothing, or another content than was written."""
    if path is None or not path.is_file():
        return None
    try:
        return bind(CalibratedGroup, json.loads(path.read_text()), "$")
    except (OSError, ValueError, Fault):
        return None


def write(path: Path | None, calibration: CalibratedGroup) -> None:
    if path is not None:
        write_whole(path, json.dumps(asdict(calibration)).encode())
