"""The videos that no method made, and damages without chance, written anew from what docs/protocols.md says of them.

A control takes the store, a test clip, its settings and how many real frames methods are given; it returns
(T, H, W, 3) uint8.
"""

import numpy as np
from independent_motion import sample
from scipy.ndimage import correlate1d

IGNORE = 255


def whole_levels(values):
    return np.rint(values).clip(0, 255).astype(np.uint8)


def blurred_frames(frames, level):
    """Each frame under a Gaussian of sigma `level` px, cut at 4 sigma, edges mirrored."""
    reach = int(4 * level + 0.5)
    taps = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * level**2))
    rows = correlate1d(frames.astype(float), taps / taps.sum(), axis=1, mode="reflect")
    return whole_levels(correlate1d(rows, taps / taps.sum(), axis=2, mode="reflect"))


def frozen(store, clip, line, n_given):
    real = store.read(clip)["real"]
    return np.stack([real[0]] * len(real))


def blurred(store, clip, line, n_given):
    return blurred_frames(store.read(clip)["real"], line["sigma"])


def averaged(store, clip, line, n_given):
    real, before = store.read(clip)["real"].astype(float), (line["n_frames"] - 1) // 2
    after = line["n_frames"] - 1 - before
    return np.stack([whole_levels(np.mean(real[max(t - before, 0) : t + after + 1], 0)) for t in range(len(real))])


def as_long(frames, n):
    """The first n frames, the last held where there are fewer."""
    return np.stack([frames[min(t, len(frames) - 1)] for t in range(n)])


def copied(store, clip, line, n_given):
    group = store.split(store.clips[clip]["split"])
    if len(group) == 1:
        return memorised(store, clip, line, n_given)
    return as_long(store.read(group[(group.index(clip) + 1) % len(group)])["real"], store.clips[clip]["n_frames"])


def memorised(store, clip, line, n_given):
    training, group = store.split("train"), store.split(store.clips[clip]["split"])
    return as_long(store.read(training[group.index(clip) % len(training)])["real"], store.clips[clip]["n_frames"])


def label_colours(store, clip, line, n_given):
    """Each label in its mean colour over all training frames; the mean of all pixels for one that these lack."""
    clips = [store.read(training) for training in store.split("train")]
    labels = np.concatenate([one["label"].ravel() for one in clips])
    pixels = np.concatenate([one["real"].reshape(-1, 3) for one in clips])
    label = store.read(clip)["label"]
    painted = np.empty((*label.shape, 3), np.uint8)
    for name in np.unique(label):
        of = labels == name if name != IGNORE else np.zeros(len(labels), bool)
        painted[label == name] = whole_levels(pixels[of if of.any() else slice(None)].mean(0))
    return painted


def flow_carried(store, clip, line, n_given):
    """The last frame that methods are given, read along the store's flow again and again, never rounded on the way."""
    arrays, n_given = store.read(clip), max(n_given, 1)
    y, x = np.mgrid[: arrays["real"].shape[1], : arrays["real"].shape[2]].astype(float)
    frame, frames = arrays["real"][n_given - 1].astype(float), list(arrays["real"][:n_given])
    for flow in arrays["flow"].astype(float)[n_given - 1 :]:
        frame = sample(frame, x + flow[..., 0], y + flow[..., 1])
        frames.append(whole_levels(frame))
    return np.stack(frames)


CONTROLS = {
    "frozen": frozen,
    "blurred": blurred,
    "averaged": averaged,
    "copied": copied,
    "memorised": memorised,
    "label_colours": label_colours,
    "flow_carried": flow_carried,
}
# Damages of the scored frames that draw nothing by chance.
LADDERS = {
    "blur": blurred_frames,
    "freeze": lambda frames, level: frames[[t // level * level for t in range(len(frames))]],
    "drop": lambda frames, level: frames[[t - 1 if t % level == level - 1 else t for t in range(len(frames))]],
    "slow": lambda frames, level: frames[[int(t / level) for t in range(len(frames))]],
    "late": lambda frames, level: frames[[max(t - level, 0) for t in range(len(frames))]],
}
