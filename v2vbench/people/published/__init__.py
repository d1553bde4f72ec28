"""Published votes: the contract of a set, one file each, and what its pairs are."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from v2vbench.download.archives import Archive as Download
from v2vbench.download.archives import archive, local_copy
from v2vbench.params import Fault, choose


@dataclass(frozen=True, kw_only=True)
class Footage:
    """A picture or a video of a set, not yet read."""

    key: str  # its path below the folder, with /
    path: Path
    read: Callable[[], Iterator[np.ndarray]]  # its frames in order, (H, W, 3) uint8 RGB, few in memory at a time

    @property
    def sha256(self) -> str:
        with open(self.path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True, kw_only=True)
class VotedPair:
    """Two results for one reference, and how many votes each has."""

    reference: Footage
    a: Footage
    b: Footage
    source: str  # what pairs are alike within: the scene; or, where scenes are not named, a block of files
    algorithms: tuple[str, str]  # that made a and b; "" where the set does not name them
    votes_a: float  # for a; a vote for neither is half a vote
    votes: float  # for either
    subset: str


class Set(Protocol):
    """What a file of a published set has.

    TITLE       of the set
    LICENCE     on what terms it may be used
    CITATION    the paper
    PAGE        where it is described
    URLS        {subset prefix: URL of an archive}; {}: there is no address without a form
    ACCESS      one sentence: how to get it
    SPLIT       one sentence: what is held out in turn, and what the set does not tell

    subsets     names of the subsets in a folder; raises Fault where the folder is not laid out as the set is
    pairs       the pairs of one subset, in a fixed order; raises Fault naming the file that is missing or damaged
    """

    __doc__: str | None
    TITLE: str
    LICENCE: str
    CITATION: str
    PAGE: str
    URLS: dict[str, str]
    ACCESS: str
    SPLIT: str

    subsets: Callable[[Path], list[str]]
    pairs: Callable[[Path, str], Iterator[VotedPair]]


def named(name: str) -> Set:
    """The file of a set; raises Fault for a name that is none."""
    from v2vbench.people.published import bapps, bvi_vfi  # which import this file

    return choose({"bapps": bapps, "bvi_vfi": bvi_vfi}, name, "published votes")


def folders(votes: Set, source: str, root: Path) -> tuple[list[Path], dict[str, str]]:
    """The folders of a set, and {URL: sha256 of the archive} of those that were downloaded.

    No sha256 of any of these archives is published, so that none can be checked: it is recorded.

    source    a folder; a URL of an archive; or `download`, for all archives of the set
    root      the project's folder: downloads are in data/downloads
    raises    Fault: no such folder, no address, or what `download.archives.archive` raises
    """
    if source != "download" and "://" not in source:
        if not Path(source).is_dir():
            raise Fault(f"{source}: no such folder; {votes.ACCESS}")
        return [Path(source)], {}
    urls = list(votes.URLS.values()) if source == "download" else [source]
    if not urls:
        raise Fault(f"{votes.TITLE}: cannot be downloaded; {votes.ACCESS}")
    if (own := local_copy()) is not None:
        return [own], {}
    found = {}
    for url in urls:
        folder, digest = archive(Download(url=url, sha256=None, size=None), root / "data" / "downloads", only="")
        found[folder] = (url, digest)
    return list(found), dict(found.values())
