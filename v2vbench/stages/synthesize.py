"""Roll a trained model out over whole clips, frame by frame each from the frames before it."""

# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch

from v2vbench.clips.store import CHUNK, Frames, Store, facts_of_run, write_store
from v2vbench.clips.tensors import to_image, to_pixels, to_tensors
from v2vbench.machine import load_machine
from v2vbench.parallel import fixed_threads
from v2vbench.params import NO_RUN, Fault, Params
from v2vbench.progress import OutOfTime, progress, stop_at
from v2vbench.stages import _kept_clips as kept
from v2vbench.stages._launch import launch
from v2vbench.stages._ranks import ALONE, Ranks
from v2vbench.stages._weights import trained_model

STEERS = ("source", "instance")  # arrays that every model gets, in addition to its NEEDS


@torch.inference_mode()
def stream(
    model,
    read: Callable[[int, int], dict],
    n_frames: int,
    first: torch.Tensor,
    style_seed: int | None = None,
    entry: dict | None = None,
) -> Iterator:
    """Frames 0 .. n_frames-1, one by one: those in `first`, then generated ones, from the source and earlier frames.

    read          (start, stop) to a clip (1, stop - start, ...) of these frames: source, instance, the model's NEEDS;
                  flow and occluded have one frame fewer. Only n_past + 1 frames are in memory at a time
    first         (n, 3, H, W) in [-1, 1]: first frames of the roll-out; may be empty for a model that needs none
    style_seed    seed of the drawn styles, in place of the seed of the run
    entry         of the clip in its store, which the model gets as memory["clip"]; None: these are frames of no clip
    yields        (3, H, W) in [-1, 1]; each frame is rounded to 8 bits before the model gets it as a past frame, so
                  that the scored frames are those that the model continued from
    """
    memory, needs = {"clip": entry} if entry else {}, model.NEEDS
    memory |= {} if style_seed is None else {"style_seed": style_seed}
    past = first[max(0, len(first) - model.n_past) :]
    yield from first[:n_frames]
    for t in range(len(first), n_frames):
        start = t - len(past)
        clip = read(start, t + 1)
        seen = {name: clip[name] for name in STEERS if name in clip}
        if needs and t:
            before = read(t - 1, t + 1)
            if missing := [name for name in needs if name not in before]:
                raise Fault(
                    f"{type(model).__module__.rsplit('.', 1)[-1]} needs the data set's {' and '.join(missing)}, "
                    "and this one has none"
                )
            seen |= {name: before[name] for name in needs}
        frame = model.generate(seen, past[None], memory)[0]
        frame = frame.float().add(1).mul(127.5).round().clamp(0, 255).div(127.5).sub(1)
        past = torch.cat([past, frame[None]])[-model.n_past :] if model.n_past else past
        yield frame


def part(clip: dict, start: int, stop: int) -> dict:
    """Frames start .. stop-1 of a clip (1, T, ...), tensors or arrays; of flow and occluded, one frame fewer."""
    return {name: value[:, start : stop - (name in ("flow", "occluded"))] for name, value in clip.items()}


def rollout(model, clip: dict, n_frames: int, first: torch.Tensor, style_seed: int | None = None) -> torch.Tensor:
    """`stream` over a clip (1, T, ...) in memory: (n_frames, 3, H, W) in [-1, 1]."""
    return torch.stack(list(stream(model, lambda start, stop: part(clip, start, stop), n_frames, first, style_seed)))


def reader(store: Store, clip: str, model, device: torch.device) -> Callable[[int, int], dict]:
    """The reader that `stream` needs for a clip of a store; only a few frames are in memory, however long the clip."""
    wanted = [a for a in store.clips[clip]["arrays"] if a in ("label", "maps", "instance", *model.NEEDS)]
    begins, ends, held = 0, 0, {}

    def read(start: int, stop: int) -> dict:
        nonlocal begins, ends, held
        if start < begins or stop > ends:
            begins, ends = start, min(max(stop, start + 2 * CHUNK), store.clips[clip]["n_frames"])
            held = {}  # freed before the next frames are read
            held = {name: array[None] for name, array in store.read(clip, begins, ends, wanted).items()}
        seen = {name: array[0] for name, array in part(held, start - begins, stop - begins).items()}
        return {name: value[None].to(device) for name, value in to_tensors(seen).items()}

    return read


def starter(params: Params, key: str, root: Path, store: Store, model) -> tuple[Callable, int]:
    """How run `key` gets its first frames.

    returns    a function (clip id, reader, style seed) to first frames (n_past, 3, H, W), and how many of them are
               real. The style seed, as in `stream`, has an effect if another run generates the frames
    raises     Fault if first_frames does not fit the model
    """
    run, n = params.run(key), model.n_past
    where, alone = f"runs.{key}.first_frames", not n or model.from_nothing
    if run.first_frames == "real" and n:
        return lambda clip, read, seed=None: to_image(store.read(clip, 0, n, ["real"])["real"]), n
    if run.first_frames == ("self" if n else "none") and alone:
        return lambda clip, read, seed=None: torch.empty(0, 3, *store.facts.size), 0
    if run.first_frames in NO_RUN or not n:
        wants = "none" if not n else "self" if alone else "real, or a run whose model needs no past"
        raise Fault(f"{where}: {run.model} starts from {n} frames, so it must be {wants}")
    other = trained_model(params, run.first_frames, root, store.facts)
    other.check_store(store)
    if other.n_past or other.NEEDS:
        raise Fault(f"{where}: {run.first_frames} needs a past itself; name a run that makes each frame alone")

    def painted(clip: str, read: Callable, seed: int | None = None) -> torch.Tensor:
        device = read(0, 1)["source"].device
        none = torch.empty(0, 3, *store.facts.size, device=device)
        return torch.stack(list(stream(other.to(device), read, n, none, seed, store.clips[clip])))

    return painted, 0


@fixed_threads()
def synthesize(params: Params, key: str, root: Path, ranks: Ranks = ALONE) -> Path:
    """Write runs/<key>/clips.zip: `fake` for every test clip of the run's data set, written frame by frame.

    A run with several seeds also has clips "<clip>@<seed>", with the field `seed`, for each seed after the first.
    Clips that `v2vbench unpack` brought are taken as they are. What is stopped goes on after its last whole clip.
    Where machine.yaml or the GPUs here ask for several processes, these share the clips, and this one joins them.

    ranks      the processes that share the clips, of which this is one; all call this function, and rank 0 writes
    returns    path of the file
    raises     Fault if first_frames does not fit the model, or the model cannot make these clips; OutOfTime, between
               clips, at the time that V2VBENCH_STOP_AT says
    """
    run = params.run(key)
    store = Store(root / "data" / f"{run.dataset}.zip")
    out, folder = root / "runs" / key / "clips.zip", kept.folder_of_clips(params, key, root, store)
    if kept.take(folder, out, key):
        return out
    ids = [clip for group in store.facts.groups for clip in store.split(group)]
    machine, device, made_now = load_machine(root), ranks.device, []
    n = max(1, torch.cuda.device_count()) if machine.devices == "auto" else machine.devices
    if ranks is ALONE and (n := min(n, len(ids) * len(run.seeds))) * machine.nodes > 1:
        launch("synthesize", key, root, n, machine)

    def frames(clip: str, model, first):
        read, n = reader(store, clip, model, device), store.clips[clip]["n_frames"]
        made = stream(model, read, n, first(clip, read).to(device), entry=store.clips[clip])
        shown = progress(made, f"synthesize {key}, {clip}", unit="frame", total=n) if ranks.rank == 0 else made
        for frame in shown:
            ranks.beat(f"makes clip {clip}")
            yield np.ascontiguousarray(to_pixels(frame[None]))

    def in_time(clip: str, seed: int | None, model, first) -> Iterator[np.ndarray]:
        part, n = kept.part(folder, store.clips[clip]["number"], seed), store.clips[clip]["n_frames"]
        if not part.is_file():
            if made_now and time.time() >= stop_at():
                raise OutOfTime(f"synthesize {key}: out of time before {clip}")
            made_now.append(clip)
        yield from kept.resumed(part, (n, *store.facts.size, 3), frames(clip, model, first))

    def fakes():
        for seed in (None, *run.seeds[1:]):
            model = trained_model(params, key, root, store.facts, seed).to(device)
            model.check_store(store)
            first, given = starter(params, key, root, store, model)
            for clip in ids:
                about = {name: store.clips[clip][name] for name in ("id", "split", "cluster", "licence", "origin")}
                about |= {"given": given, "real_sha256": store.clips[clip]["sha256"]}
                about |= {} if seed is None else {"id": f"{clip}@{seed}", "seed": seed}
                yield about, {"fake": Frames(store.clips[clip]["n_frames"], in_time(clip, seed, model, first))}

    if ranks.n > 1:  # each makes its share of the clips, and the process that started them all puts them together
        for number, (_, arrays) in enumerate(fakes()):
            if number % ranks.n == ranks.rank:
                for _ in arrays["fake"].parts:
                    pass
        return out
    write_store(out, facts_of_run(store.facts, key, run.title), fakes())
    kept.forget_parts(folder)
    return out
