"""Roll a trained model out over whole clips, frame by frame from its own past."""
from pathlib import Path

import numpy as np
import torch

from v2vbench import clips
from v2vbench.params import Fault, Params
from v2vbench.progress import progress
from v2vbench.train import trained


@torch.inference_mode()
def rollout(model, clip: dict, n_frames: int, n_given: int) -> torch.Tensor:
    """Frames 0 .. n_frames-1: the first n_given are the real ones, every other comes from the source and the model's own past.

    clip       source (and instance) (1, T, ...), real (1, >= n_given, 3, H, W): no later real frame is looked at
    returns    (n_frames, 3, H, W) in [-1, 1]; each frame is rounded to 8 bits before the model sees it again, so that
               what is scored is what was shown
    """
    n_past, frames = model.n_past, list(clip["real"][0, :n_given])
    steered = {name: clip[name] for name in ("source", "instance") if name in clip}
    for t in range(n_given, n_frames):
        past = torch.stack(frames[t - n_past:t])[None] if n_past else clip["real"][:, :0]
        frame = model.generate({name: value[:, t - n_past:t + 1] for name, value in steered.items()}, past)[0]
        frames.append(frame.float().add(1).mul(127.5).round().clamp(0, 255).div(127.5).sub(1))
    return torch.stack(frames)


def synthesize(params: Params, key: str, root: Path) -> Path:
    """Write runs/<key>/clips.zip: `fake` for every test clip of the run's data set; returns its path.

    raises    Fault where first_frames is not what the model needs
    """
    run = params.run(key)
    store = clips.Store(root / "data" / f"{run.dataset}.zip")
    model = trained(params, key, root, store.facts)
    if (run.first_frames == "real") != bool(model.n_past):
        raise Fault(f"runs.{key}.first_frames: {run.model} starts from {model.n_past} real frames, so it must be "
                    f"{'real' if model.n_past else 'none'}")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model.to(device)
    ids = [clip for group in store.facts.groups for clip in store.split(group)]

    def fakes():
        for clip in progress(ids, f"synthesize {key}", unit="clip"):
            arrays = store.read(clip, arrays=[a for a in store.clips[clip]["arrays"] if a in ("real", "label", "maps", "instance")])
            tensors = {name: value[None].to(device) for name, value in clips.tensors(arrays).items()}
            fake = clips.pixels(rollout(model, tensors, store.clips[clip]["n_frames"], model.n_past))
            about = {name: store.clips[clip][name] for name in ("id", "split", "licence", "origin")}
            yield about | {"given": model.n_past, "real_sha256": store.clips[clip]["sha256"]}, {"fake": np.ascontiguousarray(fake)}

    out = root / "runs" / key / "clips.zip"
    clips.write(out, clips.renamed(store.facts, key, run.title), fakes())
    return out
