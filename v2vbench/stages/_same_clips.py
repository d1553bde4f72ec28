"""Checks a run's clips against its data set: the same clips, complete and of the same size."""

from v2vbench.clips.store import Store
from v2vbench.params import Fault, Protocol


def same_clips(store: Store, fakes: Store, protocol: Protocol) -> tuple[int, list[int]]:
    """Check all clips of a run.

    A run that was trained with several seeds also has clips `<clip>@<seed>`, for each seed except the first.

    returns    the number of real frames that the run was given in each clip; its further training seeds
    raises     Fault naming the clip that is missing, surplus, or of another length, size or origin
    """
    again = "synthesize the run again"
    if store.facts.size != fakes.facts.size:
        raise Fault(
            f"{fakes.path}: frames of {fakes.facts.size} px, where {store.path.name} has {store.facts.size}; {again}"
        )
    tests = [clip for group in store.facts.groups for clip in _tests(store, group)]
    known = set(tests)
    further = {clip: clip.rpartition("@") for clip in fakes.clips if clip not in known}
    if extra := sorted(clip for clip, (of, _, seed) in further.items() if of not in known or not seed.isdecimal()):
        raise Fault(f"{fakes.path}: clip {extra[0]} is no test clip of {store.path.name}; {again}")
    seeds = sorted({int(seed) for _, _, seed in further.values()})
    n_given = set()
    for seed in (None, *seeds):
        for clip in tests:
            name = clip if seed is None else f"{clip}@{seed}"
            if wrong := _differs(store, fakes, clip, name):
                raise Fault(f"{fakes.path}: clip {name} {wrong}; {again}")
            n_frames, needed = store.brief(clip)["n_frames"], protocol.skip_frames + 2
            if n_frames < needed:
                raise Fault(
                    f"{store.path}: clip {name} has {n_frames} frames; with protocol.skip_frames "
                    f"{protocol.skip_frames} it takes {needed}"
                )
            n_given.add(fakes.clips[name]["given"])
    if len(n_given) > 1 or max(n_given) > protocol.skip_frames:
        raise Fault(
            f"{fakes.path}: clips start with {' or '.join(map(str, sorted(n_given)))} real frames; it takes one "
            f"number, at most protocol.skip_frames, {protocol.skip_frames}: real frames are not scored"
        )
    return n_given.pop(), seeds


def _tests(store: Store, group: str) -> list[str]:
    """The clips of a test group; raises Fault if there are none."""
    if not (clips := store.split(group)):
        raise Fault(f"{store.path}: test group {group} has no clips; prepare the data set again")
    return clips


def _differs(store: Store, fakes: Store, clip: str, name: str) -> str | None:
    """How the run's clip `name` differs from `clip`, which it was made from; None if it fits."""
    if name not in fakes.clips:
        return "is missing"
    real, fake = store.clips[clip], fakes.clips[name]
    for field in ("n_frames", "split"):
        if fake[field] != real[field]:
            return f"has {field} {fake[field]}, where {store.path.name} has {real[field]}"
    if fake.get("real_sha256", real["sha256"]) != real["sha256"]:
        return f"was made from another clip {clip} than that of {store.path.name}"
    return None
