"""Make the clip store of one data set."""

from pathlib import Path

from v2vbench.clips.store import Store
from v2vbench.datasets import CLIP_FIELDS
from v2vbench.params import Fault, Params, bind, choose, member


def data(params: Params, key: str, root: Path) -> Path:
    """Make data/<key>.zip as the line `key` of `datasets` says; returns its path. Downloads are kept in data/downloads.

    raises    Fault with the path to the line; where the loader leaves out what every clip must have
    """
    where, out = f"datasets.{key}", root / "data" / f"{key}.zip"
    settings = dict(choose(params.datasets, key, "datasets"))
    prepare = member("datasets", settings.pop("loader", None), f"{where}.loader").prepare
    bind(prepare, settings, where, out=out, name=key, cache=root / "data" / "downloads")
    for clip, about in Store(out).clips.items():
        if missing := [name for name in CLIP_FIELDS if name not in about]:
            raise Fault(f"{where}: the loader says no {' and no '.join(missing)} of clip {clip}")
    return out
