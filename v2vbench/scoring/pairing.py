"""Which generated clip is held against which real one, and how a single video becomes several clips."""

from dataclasses import dataclass, replace
from typing import Literal

from v2vbench.params import Fault, brief, shorten
from v2vbench.scoring.sides import Clip, Side
from v2vbench.statistics.blocks import blocks

Pairing = Literal["names", "common", "none"]
PARTS = 12  # of a single video, where it is long enough: fewer clips cannot give a verdict
PART = (8, 64)  # frames of such a part, from and to
MOST_BLOCKS = 50  # that the jackknife leaves out: more make no interval better, and each costs a whole distance of sets
LEAST_PARTS = 6  # with fewer a video stays whole


@dataclass(frozen=True)
class Sides:
    """The real side and the generated ones, with what is to be known of them.

    unpaired    why clips are not paired; "" where they are: clip by clip, of equal names, lengths and sizes
    cluster     what a cluster of clips is: clip, folder, video, part, cluster where some are alone, or a block of these
    notes       what was left out, and what was cut
    skip        first frames of each clip that are not scored; of videos that are cut, they are in no part
    """

    real: Side
    fakes: list[Side]
    unpaired: str
    cluster: str
    notes: list[str]
    skip: int

    @property
    def all(self) -> list[Side]:
        return [self.real, *self.fakes]


def prepare(
    real: Side,
    fakes: list[Side],
    *,
    pairing: Pairing,
    cut: int | None,
    max_frames: int | None,
    skip: int,
    resized: bool,
) -> Sides:
    """Pair, shorten and cut the clips.

    pairing       names: all clips by name, or none where no name is shared; common: those that all sides have;
                  none: two sets of clips that have nothing to do with each other
    cut           frames of the parts that every video is cut into; None: whole videos, but see `parts_of_one`
    max_frames    first frames of each clip that are used
    skip          first frames of each clip that are not scored
    resized       all frames get one size, so that of the files does not matter
    raises        Fault naming the first clip that has no partner, or one of another length or size
    """
    notes: list[str] = []
    if pairing != "none":
        fakes = [_renamed(fake, real, notes) for fake in fakes]
    real, fakes, unpaired = _paired(real, fakes, pairing, notes)
    if max_frames:
        real, *fakes = (_shortened(side, max_frames) for side in (real, *fakes))
    if not unpaired:
        for fake in fakes:
            _check_pairs(real, fake, resized)
    if not resized:
        for side in (real, *fakes):
            _check_one_size(side)
    rates = {round(clip.fps, 2) for side in (real, *fakes) for clip in side.clips.values() if clip.fps}
    if len(rates) > 1 and not unpaired:
        shown = ", ".join(f"{rate:g}" for rate in sorted(rates))
        notes.append(f"frame rates differ ({shown} frames a second), and clips are compared frame by frame")
    alone = [clip.cluster == clip.name for clip in real.clips.values()]
    cluster = "clip" if all(alone) else "cluster" if any(alone) else "folder"
    if cut is None and not unpaired and (cut := parts_of_one(real)):
        notes.append(
            f"{real.where} is one video, cut into parts of {cut} frames: intervals and verdicts are over its parts, "
            "which are not independent, and say nothing of other videos"
        )
    if cut:
        alone = len(real.clips) == 1
        cluster = "part" if alone else "video" if cluster == "clip" else cluster
        real, *fakes = (_cut(side, cut, skip, alone, notes) for side in (real, *fakes))
        skip = 0
    n_clusters = len({clip.cluster for clip in real.clips.values()})
    if not unpaired and n_clusters > MOST_BLOCKS:
        notes.append(
            f"intervals and verdicts count {MOST_BLOCKS} blocks, each of {n_clusters // MOST_BLOCKS} or more of the "
            f"{n_clusters} {cluster}s: leaving out each alone would take long and show no more"
        )
        real, *fakes = (_in_blocks(side) for side in (real, *fakes))
        cluster = "block"
    return Sides(real, fakes, unpaired, cluster, notes, skip)


def parts_of_one(real: Side) -> int | None:
    """Frames of the parts that a single video is cut into, so that something can be said of it; None: none."""
    if len(real.clips) != 1:
        return None
    (clip,) = real.clips.values()
    n = min(max(clip.n_frames // PARTS, PART[0]), PART[1])
    return n if clip.n_frames >= LEAST_PARTS * n else None


def _renamed(fake: Side, real: Side, notes: list[str]) -> Side:
    """Of one generated and one real video: a pair, whatever their names."""
    if len(fake.clips) != 1 or len(real.clips) != 1 or fake.clips.keys() == real.clips.keys():
        return fake
    (name,), ((old, clip),) = real.clips, fake.clips.items()
    if not isinstance(fake.source, dict):
        return fake
    notes.append(f"{old} of {fake.title} is held against {name} of {real.title}: there is one video on each side")
    return replace(fake, clips={name: replace(clip, name=name, cluster=name)}, source={name: fake.source[old]})  # pyright: ignore[reportArgumentType]


def _paired(real: Side, fakes: list[Side], pairing: Pairing, notes: list[str]) -> tuple[Side, list[Side], str]:
    """The sides with the clips that are scored, and why they are not paired; "" where they are."""
    if pairing == "none":
        return real, fakes, "clips are not paired (--pair none)"
    common = set.intersection(*(set(side.clips) for side in (real, *fakes)))
    if pairing == "common":
        if not common:
            raise Fault(f"{real.where}: shares no name of a clip with all others; --pair none compares sets alone")
        for side in (real, *fakes):
            if left := [name for name in side.clips if name not in common]:
                notes.append(f"{side.title}: {len(left)} of {len(side.clips)} clips left out ({_some(left)})")
        real, *fakes = (_with_clips(side, [name for name in real.clips if name in common]) for side in (real, *fakes))
        return real, fakes, ""
    if not common and not any(set(fake.clips) & set(real.clips) for fake in fakes):
        a, b = (next(iter(side.clips)) for side in (real, fakes[0]))
        return (
            real,
            fakes,
            f"no clip has the name of a real one: {brief(a)} in {real.title}, {brief(b)} in {fakes[0].title}",
        )
    for fake in fakes:
        for side, other in ((fake, real), (real, fake)):
            if missing := [name for name in other.clips if name not in side.clips]:
                raise Fault(
                    f"{side.where}: no {brief(missing[0])}, which {other.where} has ({len(missing)} of "
                    f"{len(other.clips)} are missing): give all, or take --pair common or --pair none"
                )
    return real, [_with_clips(fake, list(real.clips)) for fake in fakes], ""


def _with_clips(side: Side, names: list[str]) -> Side:
    return replace(side, clips={name: side.clips[name] for name in names})


def _some(names: list[str]) -> str:
    return shorten(", ".join(names[:3]), 80) + (", …" if len(names) > 3 else "")


def _shortened(side: Side, n: int) -> Side:
    return replace(
        side, clips={name: replace(clip, n_frames=min(n, clip.n_frames)) for name, clip in side.clips.items()}
    )


def _check_pairs(real: Side, fake: Side, resized: bool) -> None:
    for name, clip in fake.clips.items():
        other = real.clips[name]
        if clip.n_frames != other.n_frames:
            least = min(clip.n_frames, other.n_frames)
            raise Fault(
                f"{fake.where}: {brief(name)} has {clip.n_frames} frames, and {other.n_frames} in {real.where}; "
                f"--max-frames {least} takes the first of both"
            )
        if clip.size != other.size and not resized:
            raise Fault(
                f"{fake.where}: {brief(name)} is {_px(clip.size)}, and {_px(other.size)} in {real.where}; "
                "--size WxH resizes both"
            )


def _check_one_size(side: Side) -> None:
    first = next(iter(side.clips.values()))
    for clip in side.clips.values():
        if clip.size != first.size:
            raise Fault(
                f"{side.where}: {brief(clip.name)} is {_px(clip.size)}, and {brief(first.name)} {_px(first.size)}; "
                "--size WxH resizes all"
            )


def _px(size: tuple[int, int]) -> str:
    return f"{size[1]} x {size[0]} px"


def _cut(side: Side, n: int, skip: int, alone: bool, notes: list[str]) -> Side:
    """Every video in parts of n frames, one after the other from frame `skip` on; what is left over is counted."""
    parts: dict[str, Clip] = {}
    scored = {name: max(0, clip.n_frames - skip) for name, clip in side.clips.items()}
    left = {name: n_frames % n for name, n_frames in scored.items() if n_frames % n}
    for name, clip in side.clips.items():
        if clip.n_given > skip:
            given = f"clips begin with {clip.n_given} real frames, which are not scored"
            raise Fault(f"{side.where}: {given}: --skip {clip.n_given}")
        for start in range(skip, clip.n_frames - n + 1, n):
            part = f"{name} {start}-{start + n - 1}"
            cluster = part if alone else clip.cluster
            parts[part] = replace(clip, name=part, cluster=cluster, n_frames=n, n_given=0, start=start, video=name)
    if not parts:
        raise Fault(f"{side.where}: no video has {n} frames (--cut)")
    if left:
        total = sum(scored.values())
        videos = f"{len(left)} videos" if len(left) > 1 else "a video"
        few = f"are fewer than a part of {n} and not used"
        note = f"{sum(left.values())} of {total} frames, at the end of {videos}, {few}"
        if note not in notes:  # paired sides leave out the same ones
            notes.append(note)
    return replace(side, clips=parts)


def _in_blocks(side: Side) -> Side:
    """With clusters joined to blocks, in order."""
    names = list(dict.fromkeys(clip.cluster for clip in side.clips.values()))
    owner, _ = blocks(len(names), len(names), MOST_BLOCKS)
    block = {name: f"block {number + 1}" for name, number in zip(names, owner)}
    return replace(side, clips={name: replace(clip, cluster=block[clip.cluster]) for name, clip in side.clips.items()})
