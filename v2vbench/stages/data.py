"""Make the clip store of one data set."""

from pathlib import Path

from v2vbench.params import Params, bind, choose, member


def data(params: Params, key: str, root: Path) -> Path:
    """Make data/<key>.zip by the line `key` of `datasets`; returns its path. Downloads go to data/downloads."""
    where, out = f"datasets.{key}", root / "data" / f"{key}.zip"
    own = dict(choose(params.datasets, key, "datasets"))
    prepare = member("datasets", own.pop("loader", None), f"{where}.loader").prepare
    bind(prepare, own, where, out=out, name=key, cache=root / "data" / "downloads")
    return out
