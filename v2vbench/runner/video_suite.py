"""`v2vbench use own --videos PATH`: the suite `own` as params.yaml, with a user's videos in it."""

import json
import re
from collections.abc import Sequence
from pathlib import Path

from v2vbench.files import write_whole
from v2vbench.params import Fault, brief, check, parse, typed
from v2vbench.runner.duration import duration
from v2vbench.runner.suites import blocks, refuse_loss, whole_text

SUITE = "own"
PX = 96 * 128  # of a frame, about
CLIP = 32, 16  # frames per clip, where there are FRAMES or fewer
FRAMES = 640
FILLED = ("videos", "sha256", "licence", "size", "fps", "n_frames", "source", "labels", "stride", "gap")


def use_videos(
    suite: str,
    videos: Path,
    force: bool,
    root: Path,
    *,
    source: str = "edges",
    labels: Path | None = None,
    size: Sequence[int] | None = None,
    licence: str = "not stated",
) -> None:
    """Look at the videos and write params.yaml; say what was found and how long the run will take.

    suite      own: no other takes videos
    videos     a folder of videos, or one video
    force      overwrite params.yaml even if it has changes that are not in git
    source     edges, labels, landmarks, pose
    labels     folder of label maps, of the source labels
    size       H, W in px, multiples of 8; None: the aspect ratio of the first video, at about PX pixels
    raises     Fault: no videos, a damaged one, too few frames, or a value that `datasets.own` does not take
    """
    from v2vbench.datasets import _clip_plan, _sources, own

    path = root / "suites" / f"{SUITE}.yaml"
    if not path.is_file():
        raise Fault(f"use: no suite {SUITE!r} in suites; this is not a whole clone of v2vbench")
    if suite != SUITE:
        raise Fault(f"use: --videos goes with the suite {SUITE}, not with {brief(suite)}")
    if (source == "labels") != (labels is not None):
        raise Fault("use: --labels FOLDER goes with --source labels, and with no other")
    text = whole_text(path)
    line = dict(parse(text, path.name)["datasets"][SUITE])
    values = {
        "videos": _shown(videos, root),
        "licence": licence,
        "source": source,
        "labels": _shown(labels, root) if labels else "none",
    }
    settings = {key: value for key, value in (line | values).items() if key != "loader"}
    check(own.prepare, settings | ({"size": list(size)} if size else {}), "use", given=("out", "name", "cache"))
    if size and (size[0] % 8 or size[1] % 8):
        raise Fault(f"use: --size {size[0]} {size[1]}: must be multiples of 8")
    refuse_loss(force, root, same=lambda other: _without_values(other) == _without_values(text))
    _sources.check_packages(source)
    seen, sha256 = own.look(root / values["videos"], root / values["labels"] if labels else None)
    rates = [video.fps for video in seen.values() if video.fps]
    fps = round(min(max(rates[0], 1), 240), 3) if rates else line["fps"]
    n_frames = CLIP[sum(video.n_frames for video in seen.values()) < FRAMES]
    gap = n_frames // 2
    values |= {
        "sha256": sha256,
        "size": list(size or default_size(next(iter(seen.values())).size)),
        "fps": fps,
        "n_frames": n_frames,
        "stride": n_frames,
        "gap": gap,
    }
    longest, share = max(video.n_frames for video in seen.values()), line["test_share"]
    needed = n_frames if len(seen) >= _clip_plan.FEWEST_VIDEOS else round(n_frames / min(share, 1 - share)) + gap
    if longest < needed:
        raise Fault(
            f"use: {videos}: the longest video has {longest} frames, and clips of {n_frames} for training and testing "
            f"need {needed}; give longer videos, or {_clip_plan.FEWEST_VIDEOS} or more of {n_frames} frames"
        )
    filled = fill(text, values)
    params = typed(parse(filled, path.name), path.name, root)
    write_whole(root / "params.yaml", filled.encode())
    for name, video in seen.items():
        print(_said(name, video))
    print(
        f"params.yaml is now the suite {SUITE} with {len(seen)} video{'s' * (len(seen) > 1)}; `make repro` runs it, "
        f"{duration(params)}"
    )


def _without_values(text: str):
    """The content of a params.yaml without what `use_videos` writes; None if it is not of the suite."""
    try:
        content = parse(text, "params.yaml")
        line = content["datasets"][SUITE]
        return content | {"datasets": {SUITE: {key: value for key, value in line.items() if key not in FILLED}}}
    except (Fault, KeyError, TypeError, AttributeError):
        return None


def default_size(size: tuple[int, int]) -> tuple[int, int]:
    """H, W in multiples of 8 with about the aspect ratio of `size` and about PX pixels."""
    H, W = size
    scale = (PX / (H * W)) ** 0.5
    return max(32, 8 * round(H * scale / 8)), max(32, 8 * round(W * scale / 8))


def fill(text: str, values: dict) -> str:
    """A suite's text with these values in its data set's line, comments kept; raises Fault if a value has no place.

    values    of FILLED
    """
    whole, block = text, blocks(text)["datasets"]
    line = block
    for key, value in values.items():
        row = re.compile(rf"^(    {key}: )(\"(?:[^\"\\]|\\.)*\"|\[[^\]]*\]|[^#\n]*?)( *#.*)?$", re.MULTILINE)
        written = json.dumps(value, ensure_ascii=False)
        line, n = row.subn(lambda match, new=written: f"{match[1]}{new}{_comment(match, new)}", line)
        if n != 1:
            raise Fault(f"{SUITE}.yaml: datasets.{SUITE}.{key}: {n} such lines, expected 1")
    text = whole.replace(block, line)
    if {key: parse(text, SUITE)["datasets"][SUITE][key] for key in values} != values:
        raise Fault(f"{SUITE}.yaml: datasets.{SUITE}: a value cannot be written: {values['videos']!r}")
    return text


def _comment(match: re.Match, new: str) -> str:
    """The comment of a row, in the column that it had if the value leaves it."""
    if not match[3]:
        return ""
    column = match.start(3) - match.start() + len(match[3]) - len(match[3].lstrip())
    return " " * max(2, column - len(match[1]) - len(new)) + match[3].lstrip()


def _shown(path: Path, root: Path) -> str:
    """A path as params.yaml names it: from the project's root if it lies there, so that the project can be moved."""
    whole = path.expanduser().resolve()
    return str(whole.relative_to(root.resolve())) if whole.is_relative_to(root.resolve()) else str(whole)


def _said(name: str, video) -> str:
    """One line about a video."""
    H, W = video.size
    rate = f" at {video.fps:.4g} frames a second" if video.fps else ""
    parts = [video.codec, *([f"lossy: {video.lossy}"] if video.lossy else []), *video.notes]
    return f"{name}: {video.n_frames} frames of {W}x{H} px{rate} ({'; '.join(parts)})"
