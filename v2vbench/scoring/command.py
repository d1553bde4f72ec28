"""The command `v2vbench score`: its arguments to those of `score`, and what it prints."""

import json
import re
import sys
from argparse import Namespace
from dataclasses import asdict
from pathlib import Path

from v2vbench.files import rounded, write_whole
from v2vbench.params import Fault, brief


def run(args: Namespace) -> None:
    """Score as the arguments say, print the table, and write what they ask for.

    With `--json -` standard output has the JSON alone, and the table goes to standard error.
    raises    Fault, in one line; where paths are wrong, before anything is imported that takes seconds
    """
    to_stdout, fakes = args.json == "-", generated(args.fake)
    for path in (args.real, *(fakes.values() if isinstance(fakes, dict) else fakes)):
        if not path or not Path(path).expanduser().exists():
            raise Fault(f"{path or brief(path)}: no such file or folder; give a folder of videos, or a video")
    if args.json and not to_stdout and (Path(args.json).is_dir() or not Path(args.json).absolute().parent.is_dir()):
        raise Fault(f"--json {args.json}: is a folder, or in one that is not there; name a file")
    if "all" in args.metrics and args.metrics != ["all"]:
        raise Fault(f"--metrics {' '.join(args.metrics)}: all stands alone")

    from v2vbench.scoring import arguments, terminal
    from v2vbench.scoring.run import score

    target = arguments.target(args.out, [args.real, *(fakes.values() if isinstance(fakes, dict) else fakes)])
    scores = score(
        args.real,
        fakes,
        metrics=None if args.metrics == ["all"] else args.metrics,
        size=size(args.size) if args.size else None,
        fps=args.fps,
        skip=args.skip,
        max_frames=args.max_frames,
        cut=args.cut,
        pair=args.pair,
        flow=args.flow,
        calibrate=args.calibrate,
        cache=args.cache,
    )
    terminal.show(scores, sys.stderr if to_stdout else sys.stdout)
    if args.json:
        record = {"schema": scores.comparison.SCHEMA} | asdict(scores.comparison)
        text = json.dumps(rounded(record), sort_keys=True, indent=1, allow_nan=False)
        if to_stdout:
            print(text)
        else:
            write_whole(Path(args.json), f"{text}\n".encode())
    if target:
        print(f"The page: {scores.save(target)}", file=sys.stderr)
    else:
        print("--out FOLDER also writes a page with players, scores.json and tables", file=sys.stderr)


def generated(values: list[str]) -> list[str] | dict[str, str]:
    """Paths, or {title: path} where one has a title; a path that exists is no title."""
    if not any("=" in value and not Path(value).exists() for value in values):
        return values
    titled = {}
    for value in values:
        title, _, path = value.partition("=") if not Path(value).exists() else (Path(value).resolve().stem, "", value)
        if not path or not title:
            raise Fault(f"--fake {value}: no such file or folder, and no TITLE=PATH")
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
