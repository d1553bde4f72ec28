"""The section on videos that are in no project: what was read, what is lost in it, and how to score it again."""

from dataclasses import dataclass

from v2vbench.report.videos import Video


@dataclass(frozen=True)
class FileRow:
    """The clips of one side that are kept alike."""

    side: str
    n_clips: int
    n_frames: int
    size: str  # "128 x 96"
    codec: str
    lossy: str  # "" where every pixel is kept
    notes: str


@dataclass(frozen=True)
class Files:
    """The section."""

    rows: list[FileRow]
    warnings: list[str]
    command: str  # that makes these numbers again
    flow: str  # how the motion of the real videos is known
    sha256: dict[str, str]  # by side: of the checksums of all of its clips
    tables: dict[str, str]  # {name of a file with numbers: its address}
    unpaired: list[tuple[Video, list[str]]] | None  # clips of all sides side by side, and their names; None: paired
