"""Several videos of one clip: one per style, and one with edited labels.

Source: section 4, multimodal results and semantic manipulation.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from v2vbench.clips.store import Frames, Store, facts_of_run, write_store
from v2vbench.clips.tensors import to_pixels
from v2vbench.models import _styles as styles
from v2vbench.parallel import fixed_threads
from v2vbench.params import Fault, Params, choose
from v2vbench.progress import progress
from v2vbench.stages._ranks import default_device
from v2vbench.stages._weights import trained_model
from v2vbench.stages.synthesize import reader, starter, stream


def edited(
    read: Callable[[int, int], dict], names: tuple[str, ...], swap: dict[str, str]
) -> Callable[[int, int], dict]:
    """A reader for `stream` of the same clip with labels replaced.

    Instances and their edges stay; each region's style is drawn for its new label.
    """

    def see(start: int, stop: int) -> dict:
        clip = read(start, stop)
        return clip | {"source": styles.swap(clip["source"], names, swap)}

    return see


def variants(seeds: list[int], swap: dict[str, str]) -> dict[str, tuple[int, dict]]:
    """{name: (seed, swap)} of the videos of a line of `styles`."""
    return {f"seed-{seed}": (seed, {}) for seed in seeds} | ({"edited": (seeds[0], swap)} if swap else {})


@fixed_threads()
def restyle(params: Params, key: str, root: Path) -> Path:
    """Write runs/<key>/clips.zip: videos of one test clip, <clip>-seed-<n> per seed and <clip>-edited with new labels.

    Each video has the array `fake`, and as `label` the source that it was made from. Its fields are the test clip
    (`of`), the `run`, the `seed`, the `swap`, the share of pixels with another label (`changed`), and the number of
    real first frames (`given`). A model with from_nothing starts without real frames, whatever first_frames of its run
    is. Any other starts as its run does; real first frames stay unedited, so their look carries over to every video.

    returns    path of the file
    raises     Fault if the data set has no such test clip or label, or the swap changes no pixel of the clip
    """
    line = choose(params.styles, key, "styles")
    store = Store(root / "data" / f"{line.dataset}.zip")
    names, tests = store.facts.label_names, [clip for group in store.facts.groups for clip in store.split(group)]
    clip = choose({"first": tests[0]} | {name: name for name in tests}, line.clip, f"styles.{key}.clip")
    model = trained_model(params, line.video, root, store.facts)
    try:
        styles.swap(torch.arange(len(names)), names, line.swap)
    except Fault as error:
        raise Fault(f"styles.{key}.{error}") from None
    old = [names.index(label) for label, new in line.swap.items() if label != new]
    n, n_changed = (
        store.clips[clip]["n_frames"],
        sum(np.isin(part["label"], old).sum() for _, part in store.stream(clip, ["label"])),
    )
    if line.swap and not n_changed:
        raise Fault(f"styles.{key}.swap: clip {clip} shows nothing of {', '.join(line.swap)} that would change")
    if model.from_nothing:
        params = replace(params, runs={line.video: replace(params.runs[line.video], first_frames="self")})
    first, given = starter(params, line.video, root, store, model)
    device = default_device()
    model.to(device)

    def frames(name: str, seed: int, swap: dict) -> Iterator[np.ndarray]:
        read = edited(reader(store, clip, model, device), names, swap)
        made = stream(model, read, n, first(clip, read, seed).to(device), seed)
        for frame in progress(made, f"styles {key}, {name}", unit="frame", total=n):
            yield np.ascontiguousarray(to_pixels(frame[None]))

    def labels(swap: dict) -> Iterator[np.ndarray]:
        read = edited(reader(store, clip, model, torch.device("cpu")), names, swap)
        for t in range(n):
            yield read(t, t + 1)["source"][0].byte().numpy()

    def made():
        for name, (seed, swap) in variants(line.seeds, line.swap).items():
            about = {field: store.clips[clip][field] for field in ("split", "licence", "origin")}
            about |= {
                "id": f"{clip}-{name}",
                "of": clip,
                "real_sha256": store.clips[clip]["sha256"],
                "run": line.video,
                "given": given,
                "seed": seed,
                "swap": swap,
                "changed": int(n_changed) / n / math.prod(store.facts.size) if swap else 0,
            }
            yield about, {"fake": Frames(n, frames(name, seed, swap)), "label": Frames(n, labels(swap))}

    out = root / "runs" / key / "clips.zip"
    write_store(out, facts_of_run(store.facts, key, line.title), made())  # pyright: ignore[reportArgumentType]
    return out
