"""The real videos as a data set: its facts, and how their motion is known."""

from dataclasses import replace
from typing import Literal

from v2vbench.clips.motion import ESTIMATED, estimate_checked
from v2vbench.clips.store import Facts, Store
from v2vbench.clips.video_files import FIT
from v2vbench.params import Fault
from v2vbench.scoring.pairing import Sides
from v2vbench.scoring.settings import DATASET, GROUP
from v2vbench.scoring.sides import Side
from v2vbench.scoring.videos import Estimator

Flow = Literal["estimated", "raft", "given"]
FPS = 25.0  # of players, where neither side says how fast it was taken


def facts_of(sides: Sides, size: tuple[int, int] | None, fps: float | None) -> Facts:
    """The real clips as a data set."""
    real = sides.real
    clips = list(real.clips.values())
    rates = [clip.fps for side in sides.all for clip in side.clips.values() if clip.fps]
    shown = size or clips[0].size
    whole = "parts" if sides.cluster == "part" else "clips"
    resized = f" Cropped and resized to {shown[1]} x {shown[0]} px ({FIT})." if size else ""
    return Facts(
        name=DATASET,
        title="Your videos",
        about=f"{len(clips)} {whole} of {real.where}, {sum(clip.n_frames for clip in clips)} frames.{resized}",
        standing="benchmark",
        fps=fps or (rates[0] if rates else FPS),
        source="none",
        label_names=(),
        label_colours=(),
        groups={GROUP: f"{'block' if sides.unpaired else sides.cluster}s of {real.title}"},
        origin=real.where,
        licence="of your own",
        size=shown,
        cluster="block" if sides.unpaired else sides.cluster,
        flow="none",
    )


def with_motion(real: Side, facts: Facts, size: tuple[int, int] | None, flow: Flow) -> tuple[Facts, Estimator | None]:
    """How the motion of the real videos is known, and what estimates it."""
    if flow == "given":
        if not isinstance(real.source, Store) or size is not None:
            raise Fault(f"--flow given: needs a clip store with flow as --real, and no --size; {real.where} is none")
        lacking = [key for key in real.clips if "flow" not in real.source.clips[real.clips[key].video or key]["arrays"]]
        if lacking:
            raise Fault(f"--flow given: clip {lacking[0]} of {real.where} has no flow")
        return replace(facts, flow=real.source.facts.flow), None
    if flow == "raft":
        from v2vbench.clips import raft

        return replace(facts, flow=raft.ESTIMATED), raft.Raft()
    return replace(facts, flow=ESTIMATED), estimate_checked
