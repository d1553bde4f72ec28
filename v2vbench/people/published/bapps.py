"""BAPPS, two-alternative forced choice: which of two distorted patches is more like the reference.

Layout: `<train or val>/<subset>/{ref,p0,p1}/<number>.png` and `judge/<number>.npy`, the share of judges who chose p1,
0 to 1. Two judges saw each triplet of train, five each of val. Single pictures of 64 x 64 px: no motion was
judged.
"""

import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from v2vbench.clips.video_files._pictures import picture
from v2vbench.params import Fault
from v2vbench.people.published import Footage, VotedPair

TITLE = "BAPPS 2AFC"
LICENCE = "BSD-2-Clause, the repository's; no other licence of the pictures is stated"
CITATION = (
    "Zhang, Isola, Efros, Shechtman & Wang 2018, The Unreasonable Effectiveness of Deep Features as a Perceptual "
    "Metric, CVPR"
)
PAGE = "https://github.com/richzhang/PerceptualSimilarity"
URLS = {
    split: f"https://perceptual-similarity.s3.us-west-2.amazonaws.com/dataset/twoafc_{split}.tar.gz"
    for split in ("train", "val")
}
ACCESS = f"`v2vbench study learn bapps --from download` fetches it (6.4 GB), as {PAGE} does in scripts/"
SPLIT = (
    "BAPPS names neither the picture that a patch was cut from nor the algorithm, beside its subset: left out in turn "
    "are blocks of files that follow each other, and subsets as families of algorithms. LPIPS was fitted to train."
)
JUDGES = {"train": 2, "val": 5}  # of each triplet
PARTS, VOTES = ("ref", "p0", "p1"), "judge"
ENDINGS = (".png", ".jpg", ".jpeg", ".bmp")
DEPTHS = ("", "*/", "*/*/", "*/*/*/")  # at which a subset may lie below the folder
BLOCK = 500  # files that follow each other, as one source: neighbours may be patches of one picture


def subsets(folder: Path) -> list[str]:
    """Subsets in a folder, as train/cnn or val/frameinterp, wherever they are below it."""
    return sorted(_places(folder))


def pairs(folder: Path, subset: str) -> Iterator[VotedPair]:
    """The triplets of one subset, by number."""
    place = _places(folder)[subset]
    files = {part: _by_number(place / part, ENDINGS) for part in PARTS}
    judged = _by_number(place / VOTES, (".npy",))
    for part, names in files.items():
        if odd := sorted(names.keys() ^ judged.keys()):
            lacking = part if odd[0] in judged else VOTES
            raise Fault(f"{place}: {odd[0]} is not in {lacking} ({len(odd)} such numbers); unpack the archive again")
    n, kind = JUDGES[subset.partition("/")[0]], subset.partition("/")[2]
    for i, number in enumerate(sorted(judged)):
        ref, p0, p1 = (_footage(f"{subset}/{part}", files[part][number]) for part in PARTS)
        share = _share(judged[number])
        yield VotedPair(
            reference=ref,
            a=p0,
            b=p1,
            source=f"{subset}/{i // BLOCK}",
            algorithms=(kind, kind),
            votes_a=n * (1 - share),
            votes=n,
            subset=subset,
        )


def _places(folder: Path) -> dict[str, Path]:
    """{subset: its folder}; raises Fault where there is none, or two of one name."""
    places: dict[str, Path] = {}
    below = (path for depth in DEPTHS for path in Path(folder).glob(f"{depth}{VOTES}") if path.is_dir())
    for judge in sorted(below):
        place = judge.parent.resolve()
        split, name = place.parent.name, place.name
        if lacking := [part for part in PARTS if not (place / part).is_dir()]:
            raise Fault(f"{place}: has no folder {lacking[0]}; unpack the archive again")
        if split not in JUDGES:
            raise Fault(f"{place}: is not in a folder train or val, which tells how many judges there were")
        subset = f"{split}/{name}"
        if places.get(subset, place) != place:
            raise Fault(f"{folder}: has two of {subset}; give the folder of one")
        places[subset] = place
    if not places:
        raise Fault(f"{folder}: has no folder {VOTES} below train or val; give the folder of BAPPS's 2AFC")
    return places


def _by_number(folder: Path, endings: tuple[str, ...]) -> dict[str, Path]:
    """{name without ending: file}, hidden files left out; raises Fault for another kind of file."""
    files: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if path.suffix.lower() not in endings or path.stem in files:
            raise Fault(f"{path}: expected one file a number that ends in {', '.join(endings)}; move it elsewhere")
        files[path.stem] = path
    return files


def _footage(where: str, path: Path) -> Footage:
    return Footage(key=f"{where}/{path.name}", path=path, read=partial(_picture, path))


def _picture(path: Path) -> Iterator[np.ndarray]:
    yield picture(path)[0]


def _share(path: Path) -> float:
    """The share of judges who chose p1."""
    try:
        content = np.asarray(np.load(path, allow_pickle=False), float).ravel()
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise Fault(f"{path}: not a NumPy array ({str(error) or 'cut short'}); unpack the archive again") from None
    if content.size != 1 or not 0 <= content[0] <= 1:
        raise Fault(f"{path}: expected one share from 0 to 1, has {content[:3].tolist()}; unpack the archive again")
    return float(content[0])
