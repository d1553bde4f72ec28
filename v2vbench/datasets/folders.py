"""Label maps to video: folders that you have, in the layout of vid2vid's code or of imaginaire's, as they are."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

import numpy as np

from v2vbench.clips import video_files
from v2vbench.clips.motion import ESTIMATED, estimate_checked
from v2vbench.clips.store import Facts, write_store
from v2vbench.datasets import _labels
from v2vbench.params import Fault, Range, Size
from v2vbench.progress import progress

PICTURES = ".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".ppm", ".webp"
LAYOUTS = {  # folders of sequences, of each split: of frames, of their maps, of their instances
    "vid2vid": {"train": ("train_B", "train_A", "train_inst"), "test": ("test_B", "test_A", "test_inst")},
    "imaginaire": {
        "train": ("train/images", "train/seg_maps", "train/instance_maps"),
        "test": ("val/images", "val/seg_maps", "val/instance_maps"),
    },
}
COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255)}


def check_layout(root: Path, layout: str, instances: bool) -> dict[str, tuple[str, ...]]:
    """{split: its folders below `root`}, all there; raises Fault that says what is missing and what to do."""
    folders = {split: kinds[: 2 + instances] for split, kinds in LAYOUTS[layout].items()}
    missing = [kind for kinds in folders.values() for kind in kinds if not (root / kind).is_dir()]
    if not missing:
        return folders
    cause = f"{root}: no folder {missing[0]}; the layout {layout} has " + ", ".join(
        kind for kinds in folders.values() for kind in kinds
    )
    if layout == "imaginaire" and (root / "images").is_dir():
        cause += ", each with folders of sequences; move images and seg_maps into train, and those for testing into val"
    elif any(root.glob("**/*.mdb")):
        cause += "; this is LMDB: give the folders of pictures that it was built from"
    raise Fault(cause)


def sequences(root: Path, kinds: tuple[str, ...]) -> dict[str, list[tuple[Path, ...]]]:
    """{sequence: (file of each of `kinds`) of every frame, in order}; raises Fault if the folders do not agree.

    kinds    folders below `root`: of frames, of maps and, if they are used, of instances
    """
    inside = {kind: {path.name for path in (root / kind).glob("[!.]*") if path.is_dir()} for kind in kinds}
    names = set.union(*inside.values())
    if not names:
        raise Fault(f"{root / kinds[0]}: no folders of sequences in it; expected {kinds[0]}/<sequence>/<frame>.png")
    for kind in kinds:
        if missing := sorted(names - inside[kind]):
            other = next(other for other in kinds if missing[0] in inside[other])
            raise Fault(f"{root / kind / missing[0]}: no such folder, and there is {other}/{missing[0]}; add or remove")
    found = {}
    for name in sorted(names):
        files = [
            _labels.in_order(path for path in (root / kind / name).glob("[!.]*") if path.suffix.lower() in PICTURES)
            for kind in kinds
        ]
        if len(set(map(len, files))) > 1 or not files[0]:
            counts = ", ".join(f"{len(of_kind)} in {kind}" for kind, of_kind in zip(kinds, files))
            raise Fault(f"{root}: sequence {name}: {counts}; there must be one picture a frame in each")
        found[name] = list(zip(*files))
    return found


def read(files: tuple[Path, ...], *, size: Size, n_labels: int) -> tuple[np.ndarray, ...]:
    """One frame and its maps, cropped and resized alike.

    files       of the frame, of its map and, if there is one, of its instances
    n_labels    0: the map is a picture in colours
    returns     real (H, W, 3) uint8; map (H, W) uint8 ids by nearest pixel, or (H, W, 3) uint8; instances (H, W) uint16
    raises      Fault naming the file
    """
    real = _labels.read_picture(files[0])
    arrays = [_labels.read_labels(files[1], n_labels) if n_labels else _labels.read_picture(files[1])]
    arrays += [_labels.read_ids(path, 2**16 - 1).astype(np.uint16) for path in files[2:]]
    for path, array in zip(files[1:], arrays):
        if array.shape[:2] != real.shape[:2]:
            raise Fault(f"{path}: {list(array.shape[:2])} px, its frame {files[0].name} has {list(real.shape[:2])}")
    fitted = [video_files.fit(array, size) if array.ndim == 3 else _labels.fit_ids(array, size) for array in arrays]
    return video_files.fit(real, size), *fitted


def prepare(
    out: Path,
    *,
    name: str,
    cache: Path,
    folder: str,
    layout: Literal["vid2vid", "imaginaire"],
    licence: str,
    fps: Annotated[float, Range(1, 240)],
    size: Size,
    n_frames: Annotated[int, Range(2)],
    n_labels: Annotated[int, Range(0, 255)],
    label_names: tuple[str, ...],
    instances: bool,
) -> None:
    """Read the folders and write the clip store; `test` is the test group, and a cluster is a sequence.

    cache          not used: nothing is downloaded
    layout         vid2vid: train_A/<sequence> has maps, train_B frames, train_inst instances; the same with test_.
                   imaginaire: train/seg_maps/<sequence>, train/images, train/instance_maps; the same in val
    licence        of the videos; written to the store and the report
    size           multiples of 8; the largest centred crop of this aspect ratio is resized to it
    n_frames       per clip; sequences are cut into consecutive clips, and the remainder at the end is not used
    n_labels       labels; a map's pixels are their ids, 255 where there is none. 0: maps are pictures in colours
    label_names    in the order of ids; []: their numbers
    instances      there are maps of instances: 0 is none, ids up to 65535
    raises         Fault naming the folder or file that is missing or malformed
    """
    where, root = f"datasets.{name}", Path(folder).expanduser().resolve()
    if not root.is_dir():
        raise Fault(f"{where}.folder: no folder {folder!r}; give the one that holds the folders of the layout {layout}")
    if size[0] % 8 or size[1] % 8:
        raise Fault(f"{where}.size: {list(size)} must be multiples of 8")
    if label_names and (len(label_names) != n_labels or len(set(label_names)) < n_labels):
        raise Fault(f"{where}.label_names: {len(label_names)} names for {n_labels} labels; give each one, once, or []")
    starts = []  # (split, sequence, its slug, first frame, its files)
    for split, kinds in check_layout(root, layout, instances).items():
        every = sequences(root, kinds)
        slugs = _labels.slugs(every)
        cut = [
            (split, sequence, slugs[sequence], first, files[first : first + n_frames])
            for sequence, files in every.items()
            for first in range(0, len(files) - n_frames + 1, n_frames)
        ]
        if not cut:
            raise Fault(f"{root / kinds[0]}: no sequence has {n_frames} frames, {where}.n_frames")
        starts += cut

    def clips() -> Iterator[tuple[dict, dict]]:
        for split, sequence, slug, first, files in progress(starts, f"prepare {name}", unit="frame", scale=n_frames):
            real, *maps = map(np.stack, zip(*(read(frame, size=size, n_labels=n_labels) for frame in files)))
            motion, occluded = map(np.stack, zip(*(estimate_checked(*real[t - 1 : t + 1]) for t in range(1, n_frames))))
            clip = {
                "id": f"{split}-{slug}-{first:06d}",
                "split": split,
                "cluster": f"{split}-{slug}",
                "licence": licence,
                "origin": f"{root.name}, {split} sequence {sequence}, frames {first} to {first + n_frames - 1}",
                "resize": video_files.FIT,
            }
            arrays = dict(zip(("label" if n_labels else "maps", "instance"), maps))
            yield clip, {"real": real, "flow": motion.astype(np.float16), "occluded": occluded} | arrays

    facts = Facts(
        name=name,
        title=root.name,
        standing="benchmark",
        cluster="video",
        fps=fps,
        source="labels" if n_labels else "maps",
        size=size,
        about=f"Videos made from {'label maps' if n_labels else 'maps in colours'}, folders in the layout of {layout}. "
        "Flow and occlusion are estimated.",
        label_names=(label_names or tuple(map(str, range(n_labels)))) if n_labels else tuple(COLOURS),
        label_colours=_labels.palette(n_labels) if n_labels else tuple(COLOURS.values()),
        groups={"test": "sequences kept for testing"},
        origin=f"your own folder {root.name}",
        licence=licence,
        flow=ESTIMATED,
    )
    write_store(out, facts, clips())
