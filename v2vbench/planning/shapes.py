"""What is known of a data set before it is made, or from its clip store where it is there."""

from collections.abc import Callable
from pathlib import Path

from v2vbench.clips.store import Facts, Store
from v2vbench.params import Fault, Params, brief
from v2vbench.planning.batches import Shape

FRAMES = ("real",)
LABELS = (*FRAMES, "label", "instance", "flow", "occluded")
MAPS = (*FRAMES, "maps", "flow", "occluded", "keypoints")
N_TEST = dict.fromkeys(("moving_mnist", "mannequin"), "n_test_clips")  # the setting that says how many test clips


def shape_of(params: Params, dataset: str, root: Path) -> Shape:
    """What models need to know of a line of `datasets`.

    raises    Fault where only the data tell it and data/<dataset>.zip is not there, or is of other settings
    """
    line = params.datasets[dataset]
    loader, path = line["loader"], root / "data" / f"{dataset}.zip"
    if loader not in KNOWN:
        if not path.is_file():
            raise Fault(
                f"datasets.{dataset}: only its data tell what {loader} makes; "
                f"`dvc repro data@{dataset}` writes {path.name}, then plan again"
            )
        return _of_store(path, line, dataset)
    names, droppable, arrays = KNOWN[loader](line)
    facts = Facts(
        name=dataset,
        title=dataset,
        about="",
        standing="sanity",
        fps=1.0,
        source="labels" if "label" in arrays else "maps" if "maps" in arrays else "none",
        label_names=names,
        label_colours=((0, 0, 0),) * len(names),
        groups={},
        origin="",
        licence="",
        size=tuple(line["size"]),
        droppable=droppable,
    )
    longest = line["n_train"] if loader == "carphone" else line["n_frames"]
    return Shape(
        facts=facts,
        arrays=arrays,
        longest=longest,
        n_test=_test_clips(loader, line),
        n_points=68 if loader == "carphone" else 25,
    )


def _of_store(path: Path, line: dict, dataset: str) -> Shape:
    store = Store(path)
    if "size" in line and tuple(line["size"]) != tuple(store.facts.size):
        raise Fault(
            f"{path}: its frames are {brief(store.facts.size)} and datasets.{dataset}.size is {brief(line['size'])}; "
            f"`dvc repro data@{dataset}` makes it anew"
        )
    train = store.split("train")
    arrays = tuple(store.clips[train[0]]["arrays"])
    test = [store.clips[clip]["n_frames"] for group in store.facts.groups for clip in store.split(group)]
    n_points = 0
    if "keypoints" in arrays:
        n_points = store.read(train[0], 0, 1, ["keypoints"])["keypoints"].shape[1]
    return Shape(
        facts=store.facts,
        arrays=arrays,
        longest=max(store.clips[clip]["n_frames"] for clip in train),
        n_test=(len(test), sum(test)),
        n_points=n_points,
    )


def _freedoom(line: dict) -> tuple:
    from v2vbench.datasets._doom import LABELS as names

    return tuple(names), (), (*LABELS, "depth")


def _kitti_step(line: dict) -> tuple:
    from v2vbench.datasets.kitti_step import LABELS as names

    return tuple(names), (), LABELS


def _poses(line: dict) -> tuple:
    from v2vbench.datasets import _poses as poses

    return tuple(poses.CHANNELS), tuple(poses.PARTS), MAPS


def _carphone(line: dict) -> tuple:
    from v2vbench.datasets._faces import PARTS

    return ("edges", *PARTS), (), MAPS


def _folders(line: dict) -> tuple:
    from v2vbench.datasets.folders import COLOURS

    if not line["n_labels"]:
        return tuple(COLOURS), (), (*FRAMES, "maps", "flow", "occluded")
    names = line["label_names"] or map(str, range(line["n_labels"]))
    return tuple(names), (), LABELS if line["instances"] else tuple(name for name in LABELS if name != "instance")


def _frames_alone(line: dict) -> tuple:
    return (), (), FRAMES


KNOWN: dict[str, Callable[[dict], tuple]] = {  # loader: its labels or channels, droppable ones, and arrays
    "freedoom": _freedoom,
    "kitti_step": _kitti_step,
    "mannequin": _poses,
    "dance": _poses,
    "carphone": _carphone,
    "moving_mnist": _frames_alone,
    "folders": _folders,
    "kth": _frames_alone,
    "kitti_caltech": _frames_alone,
}


def _test_clips(loader: str, line: dict) -> tuple[int, int] | None:
    """Test clips and their frames, at most; None where only the data tell."""
    if loader == "freedoom":
        from v2vbench.datasets.freedoom import HELD
        from v2vbench.datasets.freedoom import MAPS as maps

        held = sum(HELD.values(), ())
        train, unseen = line["train_maps"], line["unseen_maps"]
        n_train = sum(i % 17 not in held for i in range(len(maps))) if train == "all" else len(train)
        n_unseen = len(unseen)
        if isinstance(unseen, str):
            n_unseen = sum(i % 17 in HELD[unseen] for i in range(len(maps)))
        n = n_train * line["n_test_clips"] + n_unseen * line["n_unseen_clips"]
    elif loader in N_TEST:
        n = line[N_TEST[loader]]
    else:
        return None
    return n, n * line["n_frames"]
