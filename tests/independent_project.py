"""A finished project read with zarr, json and ruamel alone, and the report of `independent.py`."""

import json
import zipfile
from pathlib import Path

import independent_networks as networks
import independent_statistics as statistics
import numpy as np
import zarr
from ruamel.yaml import YAML
from zarr.storage import ZipStore


class Store:
    """A clip store read with zarr alone: groups 00000, 00001, ... of arrays, and index.json."""

    def __init__(self, path):
        self.group = zarr.open_group(ZipStore(path, mode="r"), mode="r")
        with zipfile.ZipFile(path) as archive:
            about = json.loads(archive.read("index.json"))
        self.facts, self.clips = (
            about["facts"],
            {clip["id"]: clip | {"number": i} for i, clip in enumerate(about["clips"])},
        )

    def read(self, clip):
        return {name: self.group[f"{self.clips[clip]['number']:05d}/{name}"][:] for name in self.clips[clip]["arrays"]}

    def split(self, group):
        return [name for name, clip in self.clips.items() if clip["split"] == group]


class Report:
    """One line a number, and how many were off."""

    def __init__(self):
        self.n, self.wrong = 0, []

    def number(self, name, theirs, ours, tolerance):
        """tolerance: (absolute, relative); None equals None alone."""
        bound = tolerance[0] + tolerance[1] * abs(theirs) if theirs is not None else 0.0
        apart = abs(theirs - ours) if None not in (theirs, ours) else 0.0 if theirs is ours else float("inf")
        self._line(name, theirs, ours, f"{apart:.2e} <= {bound:.2e}", apart <= bound)

    def word(self, name, theirs, ours):
        self._line(name, theirs, ours, "equal", theirs == ours)

    def _line(self, name, theirs, ours, how, right):
        self.n += 1
        print(f"{'ok   ' if right else 'WRONG'} {name}: {_told(theirs)} {_told(ours)} {how}")
        if not right:
            self.wrong.append(name)


def _told(value):
    return f"{value:.9g}" if isinstance(value, float) else str(value)


class Project:
    """A folder in which the pipeline has run: params.yaml, stores, judges and results."""

    def __init__(self, root):
        self.root, self.params = Path(root), YAML(typ="safe").load(Path(root, "params.yaml"))
        self.stores = {name: Store(self.root / "data" / f"{name}.zip") for name in self.params["datasets"]}
        self.skip, self.confidence = self.params["protocol"]["skip_frames"], self.params["protocol"]["confidence"]
        self.known = {}

    def json(self, *parts):
        return json.loads(self.root.joinpath("metrics", *parts).read_text())

    def line(self, label):
        """A metric's file and its line of params.yaml."""
        line = self.params["metrics"][label] or {}
        return line.get("metric", label), line

    def scored(self, dataset, clip, fake=None, n_frames=None):
        """The arrays of a test clip after protocol.skip_frames, `fake` among them; the real frames where it is None."""
        arrays = self.stores[dataset].read(clip)
        arrays["fake"] = arrays["real"] if fake is None else fake
        stop = self.skip + n_frames if n_frames else len(arrays["real"])
        between = ("flow", "occluded")
        return {name: array[self.skip : stop - (name in between)] for name, array in arrays.items()}

    def rows(self, frames, label):
        """Rows of a line of `features` of one clip."""
        line = self.params["features"][label]
        if line["extractor"] != "efficientnet_lite0":
            raise SystemExit(
                f"features.{label}: {line['extractor']} is not known here; add it to tests/independent_networks.py"
            )
        key = hash(frames.tobytes()), line["px"]
        if key not in self.known:
            self.known[key] = networks.efficientnet_rows(frames, line["px"])
        return statistics.window_rows(self.known[key], **line["windows"]) if "windows" in line else self.known[key]

    def judge(self, key):
        return networks.load_judge(self.root / "judges" / key / "model.safetensors")


def clusters_of(group):
    """[sizes], and for each cluster in order of first appearance which clips are of it."""
    names = list(dict.fromkeys(group["clusters"]))
    members = [np.array([cluster == name for cluster in group["clusters"]]) for name in names]
    return [int(of.sum()) for of in members], members


def replicates(per_clip, members):
    """The mean of the clips without each cluster."""
    return [float(np.mean(np.array(per_clip)[~of])) for of in members] if len(members) > 1 else []


def estimate(score, members):
    """(value, replicates) of a metric as a result has it."""
    if score.get("per_clip") is not None:
        return float(np.mean(score["per_clip"])), replicates(score["per_clip"], members)
    return score["value"], score["leave_one_out"]
