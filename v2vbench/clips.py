"""The clip store: one zip file of zarr arrays a data set, written once, read a window at a time, lossless."""
import hashlib
import json
import os
import zipfile
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
import zarr
from zarr.codecs import BloscCodec
from zarr.storage import MemoryStore, ZipStore

from v2vbench.params import Fault

CHUNK = 8        # frames a chunk: what a window must decode at most in excess, see docs/clip_store.md
KINDS = {        # array: dtype on disk, axes; T is one less for what stands between two frames
    "real": ("uint8", "THW3"), "fake": ("uint8", "THW3"), "label": ("uint8", "THW"), "maps": ("uint8", "THWC"),
    "instance": ("uint16", "THW"), "depth": ("float16", "THW"), "flow": ("float16", "tHW2"), "occluded": ("uint8", "tHW"),
    "keypoints": ("float32", "TPD")}


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What a model, a table and a reader must know of a data set. Travels in the store."""
    name: str                                        # its line in params.yaml
    title: str
    about: str                                       # one sentence for the report
    standing: Literal["benchmark", "sanity"]         # a sanity check is never a ranking
    fps: float
    source: Literal["labels", "maps"]
    label_names: tuple[str, ...]                     # of the labels, or of the channels of the maps
    label_colours: tuple[tuple[int, int, int], ...]  # RGB 0..255, one each
    groups: dict[str, str]                           # test group: its title; a clip's split is "train" or one of these
    origin: str
    licence: str
    size: tuple[int, int]                            # H, W in pixels


def renamed(facts: Facts, key: str, title: str) -> Facts:
    """The facts of what run `key` made from a data set."""
    return replace(facts, name=key, title=f"{title} on {facts.title}")


def _check(clip: dict, arrays: dict[str, np.ndarray], facts: Facts) -> None:
    where, n = f"clip {clip['id']}", clip["n_frames"]
    if clip["split"] not in ("train", *facts.groups):
        raise Fault(f"{where}: split {clip['split']!r} is not train or one of {', '.join(facts.groups)}")
    for name, array in arrays.items():
        if name not in KINDS:
            raise Fault(f"{where}: unknown array {name!r}; there are {', '.join(KINDS)}")
        dtype, axes = KINDS[name]
        want = [n if a == "T" else n - 1 if a == "t" else int(a) if a.isdigit() else None for a in axes]
        if "H" in axes:
            want[1:3] = facts.size
        if array.dtype != dtype or array.ndim != len(axes) or any(w not in (None, s) for w, s in zip(want, array.shape)):
            raise Fault(f"{where}: {name} is {array.dtype} {array.shape}, expected {dtype} {tuple(want)}")


def digest(arrays: dict[str, np.ndarray]) -> str:
    """sha256 of a clip's arrays: names, dtypes, shapes and bytes."""
    sha = hashlib.sha256()
    for name in sorted(arrays):
        sha.update(f"{name} {arrays[name].dtype} {arrays[name].shape}".encode())
        sha.update(np.ascontiguousarray(arrays[name]).tobytes())
    return sha.hexdigest()


def write(path: Path, facts: Facts, clips: Iterable[tuple[dict, dict[str, np.ndarray]]]) -> None:
    """Write a store; it appears at `path` whole or not at all.

    facts     of the data set
    clips     pairs of (clip, arrays): clip has `id`, `split` and whatever else is worth telling (JSON); arrays as in KINDS
    raises    Fault naming the clip and array that do not fit
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    partial.unlink(missing_ok=True)
    index = []
    with zipfile.ZipFile(partial, "w") as file:
        _put(file, "", {}, zarr_attributes={"v2vbench": "clip store"})
        for number, (clip, arrays) in enumerate(clips):
            clip = dict(clip, n_frames=len(arrays.get("real", arrays.get("fake", ()))))
            _check(clip, arrays, facts)
            _put(file, f"{number:05d}/", arrays)
            index.append(clip | {"arrays": sorted(arrays), "sha256": digest(arrays)})
        if not index:
            raise Fault(f"{path}: no clips to write")
        file.writestr(zipfile.ZipInfo("index.json"), json.dumps({"facts": asdict(facts), "clips": index}, sort_keys=True))
    with open(partial, "rb") as written:
        os.fsync(written.fileno())
    os.replace(partial, path)


def _put(file: zipfile.ZipFile, prefix: str, arrays: dict[str, np.ndarray], zarr_attributes: dict | None = None) -> None:
    """Add one zarr group. Through memory, since ZipStore stamps the time of day on its entries: equal content, equal bytes."""
    entries = {}
    group = zarr.open_group(MemoryStore(entries), mode="w", attributes=zarr_attributes or {})
    for name, array in sorted(arrays.items()):
        shuffle = "bitshuffle" if array.dtype.itemsize > 1 else "noshuffle"
        group.create_array(name, data=np.ascontiguousarray(array), chunks=(CHUNK, *array.shape[1:]),
                           compressors=BloscCodec(cname="zstd", clevel=3, shuffle=shuffle))
    for key in sorted(entries):
        file.writestr(zipfile.ZipInfo(prefix + key), entries[key].to_bytes())


class Store:
    """A store opened for reading.

    facts     Facts
    clips     {id: clip}: split, n_frames, arrays, sha256, origin, ...
    raises    Fault where the file is missing, cut short or no store
    """

    def __init__(self, path: Path):
        self.path = Path(path)
        if not self.path.is_file():
            raise Fault(f"{self.path}: no such clip store; `dvc repro` makes it")
        try:
            with zipfile.ZipFile(self.path) as file:
                about = json.loads(file.read("index.json"))
            self._group = zarr.open_group(ZipStore(self.path, mode="r"), mode="r")
        except (zipfile.BadZipFile, KeyError, OSError, ValueError) as error:
            raise Fault(f"{self.path}: not a whole clip store ({error}); delete it and run `dvc repro`") from None
        facts = about["facts"]
        self.facts = Facts(**facts | {k: tuple(map(tuple, facts[k])) if k == "label_colours" else tuple(facts[k])
                                      for k in ("label_names", "label_colours", "size")})
        self.clips = {clip["id"]: clip | {"number": i} for i, clip in enumerate(about["clips"])}
        self._open = {}

    def split(self, name: str) -> list[str]:
        """Ids of the clips of a split, in the order they were written."""
        return [key for key, clip in self.clips.items() if clip["split"] == name]

    def read(self, clip: str, start: int = 0, stop: int | None = None, arrays: Iterable[str] | None = None) -> dict:
        """Frames start..stop of a clip as numpy arrays, {name: (T, ...)}; flow and occluded have T-1."""
        stop = self.clips[clip]["n_frames"] if stop is None else stop
        result = {}
        for name in arrays or self.clips[clip]["arrays"]:
            key = f"{self.clips[clip]['number']:05d}/{name}"
            try:
                if key not in self._open:
                    self._open[key] = self._group[key]
                result[name] = self._open[key][start:stop - 1 if KINDS[name][1][0] == "t" else stop]
            except (KeyError, ValueError, RuntimeError, zipfile.BadZipFile) as error:
                raise Fault(f"{self.path}: clip {clip}, {name}: {error}; delete the file and run `dvc repro`") from None
        return result

    def verify(self) -> None:
        """Read everything and compare with the recorded sha256; raises Fault naming the first altered clip."""
        for key, clip in self.clips.items():
            if digest(self.read(key)) != clip["sha256"]:
                raise Fault(f"{self.path}: clip {key} is not what was written; delete the file and run `dvc repro`")


def image(array: np.ndarray) -> torch.Tensor:
    """uint8 (T, H, W, 3) to float32 in [-1, 1], (T, 3, H, W)."""
    return torch.from_numpy(array).permute(0, 3, 1, 2).float().div_(127.5).sub_(1)


def pixels(tensor: torch.Tensor) -> np.ndarray:
    """float in [-1, 1], (T, 3, H, W) to uint8 (T, H, W, 3), rounded."""
    return tensor.detach().float().add(1).mul(127.5).round().clamp(0, 255).byte().permute(0, 2, 3, 1).cpu().numpy()


def tensors(arrays: dict[str, np.ndarray]) -> dict[str, torch.Tensor]:
    """Arrays of one window as a clip, without the batch axis: real, fake, source, instance, flow, occluded, depth.

    The shapes are those of the package docstring less B; instance int64 (T, H, W), 0 = none; depth float32 (T, H, W).
    """
    clip = {}
    for name, array in arrays.items():
        if name in ("real", "fake"):
            clip[name] = image(array)
        elif name == "label":
            clip["source"] = torch.from_numpy(array).long()
        elif name == "maps":
            clip["source"] = torch.from_numpy(array).permute(0, 3, 1, 2).float().div_(255)
        elif name == "flow":
            clip[name] = torch.from_numpy(array).permute(0, 3, 1, 2).float()
        elif name == "occluded":
            clip[name] = torch.from_numpy(array)[:, None].float()
        elif name == "instance":
            clip[name] = torch.from_numpy(array.astype(np.int64))
        else:
            clip[name] = torch.from_numpy(array).float()
    return clip


class Windows:
    """Random training windows: what step `n` sees depends on the seed and n alone, so a resumed run sees the same.

    store        Store
    n_frames     frames a window
    n_warmup     frames, at most, in front of it; how many is drawn a batch, and fewer where the clip is shorter
    batch_size   windows a batch
    """

    def __init__(self, store: Store, *, n_frames: int, n_warmup: int, batch_size: int, seed: int):
        self.store, self.n_frames, self.batch_size, self.seed = store, n_frames, batch_size, seed
        lengths = {key: store.clips[key]["n_frames"] for key in store.split("train")}
        if n_frames > max(lengths.values(), default=0):
            raise Fault(f"{store.path}: no training clip has {n_frames} frames, the schedule's n_frames")
        self.ends = [(key, end) for key, length in lengths.items() for end in range(n_frames, length + 1)]
        self.n_warmup = min(n_warmup, max(lengths.values()) - n_frames)
        self.arrays = [name for name in store.clips[self.ends[0][0]]["arrays"] if name not in ("depth", "keypoints")]

    def batch(self, step: int) -> dict:
        """The clip of step `step`: tensors (B, n_warmup + n_frames, ...), and `n_warmup` of this batch."""
        rng = np.random.default_rng([self.seed, step])
        n = self.n_frames + int(rng.integers(self.n_warmup + 1))
        ends = [(key, end) for key, end in self.ends if end >= n]
        windows = [tensors(self.store.read(key, end - n, end, self.arrays))
                   for key, end in (ends[i] for i in rng.integers(len(ends), size=self.batch_size))]
        return {name: torch.stack([window[name] for window in windows]) for name in windows[0]} | {"n_warmup": n - self.n_frames}
