"""The command `v2vbench score`: its arguments to those of `score`, and what it prints."""

import json
import re
import sys
from argparse import Namespace
from dataclasses import asdict
from pathlib import Path

from v2vbench.files import rounded, write_whole
from v2vbench.params import Fault, brief
from v2vbench.scoring import terminal
from v2vbench.scoring.run import score


def run(args: Namespace) -> None:
    """Score as the arguments say, print the table, and write what they ask for.

    With `--json -` standard output has the JSON alone, and the table goes to standard error.
    raises    Fault, in one line
    """
    to_stdout = args.json == "-"
    scores = score(
        args.real,
        generated(args.fake),
        metrics=None if "all" in args.metrics else args.metrics,
        out=args.out,
        size=size(args.size) if args.size else None,
        fps=args.fps,
        skip=args.skip,
        max_frames=args.max_frames,
        cut=args.cut,
        pair=args.pair,
        flow=args.flow,
        calibrate=args.calibrate,
        cache=None if args.cache == "none" else args.cache,
    )
    terminal.show(scores, sys.stderr if to_stdout else sys.stdout)
    if args.json:
        record = scores.comparison
        text = json.dumps(
            rounded({"schema": record.SCHEMA} | asdict(record)), sort_keys=True, indent=1, allow_nan=False
        )
        if to_stdout:
            print(text)
        else:
            write_whole(Path(args.json), f"{text}\n".encode())
    if args.out:
        print(f"The page: {Path(args.out) / 'index.html'}", file=sys.stderr)
    else:
        print("--out FOLDER also writes a page with players, scores.json and tables", file=sys.stderr)


def generated(values: list[str]) -> list[str] | dict[str, str]:
    """Paths, or {title: path} where one has a title; a path that exists is no title."""
    if not any("=" in value and not Path(value).exists() for value in values):
        return values
    titled = {}
    for value in values:
        title, _, path = value.partition("=") if not Path(value).exists() else (Path(value).resolve().stem, "", value)
        if not path:
            raise Fault(f"--fake {value}: no such file or folder")
        if title in titled:
            raise Fault(f"--fake: two have the title {brief(title)}")
        titled[title] = path
    return titled


def size(text: str) -> tuple[int, int]:
    """(H, W) of "WxH"."""
    match = re.fullmatch(r"(\d+)x(\d+)", text)
    if not match:
        raise Fault(f"--size {brief(text)}: it takes a width and a height in px: 256x128")
    return int(match[2]), int(match[1])
