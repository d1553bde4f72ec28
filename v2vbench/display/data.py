"""What 01_data shows: what a data set is, some of its clips, and how well its motion fits."""

import numpy as np
from IPython.display import HTML, Image

from v2vbench.clips.store import Store
from v2vbench.clips.tensors import to_tensors
from v2vbench.display.palette import colour, flow_colours
from v2vbench.display.pictures import strip, times
from v2vbench.display.table import table
from v2vbench.metrics.warp_error import compute as warp_error


def facts(store: Store) -> HTML:
    """What the data set is, and what each split has."""
    about, rows = store.facts, []
    for split in ("train", *about.groups):
        lengths = [store.brief(key)["n_frames"] for key in store.split(split)]
        if lengths:
            rows.append(
                {
                    "split": split,
                    "what": about.groups.get(split, "training"),
                    "clips": len(lengths),
                    "frames": sum(lengths),
                    "frames a clip": f"{min(lengths)} to {max(lengths)}",
                    "seconds": round(sum(lengths) / about.fps, 1),
                }
            )
    shown = table(
        rows,
        f"{about.title}. {about.about} {about.size[1]}x{about.size[0]} px at {about.fps:g} frames a second; "
        f"source: {about.source} ({', '.join(about.label_names)}). From {about.origin}; licence {about.licence}.",
    )
    counts = next((clip["counts"] for clip in store.clips.values() if "counts" in clip), None)
    return HTML(f"{shown.data}{not_used(store, counts).data}") if counts else shown


def not_used(store: Store, counts: dict) -> HTML:
    """Where the frames of all videos went: into clips, or why into none.

    counts    `videos`, `shots`, `frames`, and `dropped` {reason: frames}, as a loader writes them to its first clip
    """
    n_clips = len(store.clips)
    went = {f"in {n_clips} clips": sum(store.brief(clip)["n_frames"] for clip in store.clips)} | counts["dropped"]
    rows = [{"frames": n, "where": where, "share, %": 100 * n / counts["frames"]} for where, n in went.items()]
    n_videos, n_shots = counts["videos"], counts["shots"]
    return table(
        rows,
        f"{counts['frames']} frames of {n_videos} video{'s' * (n_videos > 1)} with {n_shots} shot{'s' * (n_shots > 1)}",
    )


def clip(store: Store, key: str, n: int) -> Image:
    """A clip at `n` times: frames, source, and the motion from the frame before where the store has it."""
    arrays = store.read(key)
    at = times(1, len(arrays["real"]) - 1, n)
    before = [t - 1 for t in at]  # flow[t-1] leads from frame t back to t-1
    rows = {"real": arrays["real"][at], "source": colour(arrays, store.facts)[at]}
    if "flow" in arrays:
        rows["flow"] = flow_colours(arrays["flow"][before])
    if "occluded" in arrays:
        rows["occluded"] = np.repeat(arrays["occluded"][before][..., None] * np.uint8(255), 3, -1)
    return strip(rows, [f"frame {t}" for t in at], f"{store.facts.title}, clip {key}")


def movement(store: Store, n_clips: int) -> HTML:
    """How much moves in each split, and what is left when the motion is undone along the store's flow."""
    rows = []
    for split in filter(store.split, ("train", *store.facts.groups)):
        keys = store.split(split)[:n_clips]
        clips = [to_tensors(store.read(key, arrays=("real", "flow", "occluded"))) for key in keys]
        along = [float(warp_error(c["real"], c["flow"], c["occluded"]).nanmean()) for c in clips]
        still = [float(warp_error(c["real"], 0 * c["flow"], c["occluded"]).nanmean()) for c in clips]
        rows.append(
            {
                "split": split,
                "median motion, px": float(np.median([c["flow"].norm(dim=1).median() for c in clips])),
                "occluded, %": float(np.mean([100 * c["occluded"].mean() for c in clips])),
                "warp error": float(np.mean(along)),
                "warp error without the flow": float(np.mean(still)),
            }
        )
    return table(rows, f"Motion of the real frames, up to {n_clips} clips a split")
