"""A run's clips held against those of its data set: what is compared is made of the same clips, whole and in the same size."""

from v2vbench.clips.store import Store
from v2vbench.params import Fault, Protocol


def same_clips(store: Store, fakes: Store, protocol: Protocol) -> tuple[int, list[int]]:
    """Hold a run's clips against the data set's; returns the number of real frames the run was given in each, and its further seeds.

    A run that was trained with several seeds has, for each but the first, clips `<clip>@<seed>`.

    raises    Fault naming the clip that is missing, of another length, size or origin, or too many
    """

    def refuse(what: str):
        raise Fault(f"{fakes.path}: {what}; synthesize the run again")

    if store.facts.size != fakes.facts.size:
        refuse(f"frames of {fakes.facts.size} px, where {store.path.name} has {store.facts.size}")
    wanted, given = {}, set()
    for group in store.facts.groups:
        if not store.split(group):
            raise Fault(f"{store.path}: test group {group} has no clips; prepare the data set again")
        wanted |= {clip: store.clips[clip] for clip in store.split(group)}
    further = {clip: clip.rpartition("@") for clip in fakes.clips if clip not in wanted}
    if extra := sorted(clip for clip, (of, _, seed) in further.items() if of not in wanted or not seed.isdecimal()):
        refuse(f"clip {extra[0]} is no test clip of {store.path.name}")
    seeds = sorted({int(seed) for _, _, seed in further.values()})
    for clip, (of, real) in (
        {clip: (clip, real) for clip, real in wanted.items()}
        | {f"{clip}@{seed}": (clip, real) for seed in seeds for clip, real in wanted.items()}
    ).items():
        if clip not in fakes.clips:
            refuse(f"clip {clip} is missing")
        fake = fakes.clips[clip]
        for field in ("n_frames", "split"):
            if fake[field] != real[field]:
                refuse(f"clip {clip} has {field} {fake[field]}, where {store.path.name} has {real[field]}")
        if fake.get("real_sha256", real["sha256"]) != real["sha256"]:
            refuse(f"clip {clip} was made from another clip {of} than that of {store.path.name}")
        if real["n_frames"] < protocol.skip_frames + 2:
            raise Fault(
                f"{store.path}: clip {clip} has {real['n_frames']} frames; with protocol.skip_frames "
                f"{protocol.skip_frames} it takes {protocol.skip_frames + 2}"
            )
        given.add(fake["given"])
    if len(given) > 1 or max(given) > protocol.skip_frames:
        raise Fault(
            f"{fakes.path}: clips start with {' or '.join(map(str, sorted(given)))} real frames; it takes one "
            f"number, at most protocol.skip_frames, {protocol.skip_frames}: real frames are not scored"
        )
    return given.pop(), seeds
