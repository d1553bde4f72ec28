"""Videos that others made, one for each test clip of a data set: whether they fit it, and whether a file changed."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from v2vbench.clips.video_files import Video, examine, find
from v2vbench.clips.video_files._pictures import is_picture
from v2vbench.params import Fault, shorten
from v2vbench.progress import progress

if TYPE_CHECKING:
    from v2vbench.clips.store import Store


def used_files(folder: Path) -> dict[str, Path]:
    """{path below `folder`: file} of all that is used in it: video files, and the pictures of videos in folders.

    raises    Fault as `find` does
    """
    files: dict[str, Path] = {}
    for path in find(folder).values():
        pictures = [file for file in path.iterdir() if is_picture(file)] if path.is_dir() else [path]
        files |= {file.relative_to(folder).as_posix() if file != folder else file.name: file for file in pictures}
    return dict(sorted(files.items()))


def videos_sha256(folder: Path) -> str:
    """The digest of a folder of videos: names and sha256 of the files that are used; other files do not count.

    raises    Fault as `find` does
    """
    digest = hashlib.sha256()
    for name, file in used_files(folder).items():
        with open(file, "rb") as content:
            digest.update(json.dumps([name, hashlib.file_digest(content, "sha256").hexdigest()]).encode())
    return digest.hexdigest()


def file_stamps(folder: Path) -> str:
    """A text that changes if a file is replaced or written to: name, size, times and inode of each file that is used.

    raises    Fault as `find` does
    """
    stats = {name: file.stat() for name, file in used_files(folder).items()}
    rows = [[name, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino] for name, stat in stats.items()]
    return json.dumps([str(folder), rows])


def fitting_videos(store: "Store", folder: Path) -> dict[str, Video]:
    """{test clip: its video}, after every frame of every video was decoded once.

    raises    Fault naming the first clip that is missing, surplus, damaged, or of another length or size than in the
              store, with all that is wrong with it, and how many there are
    """
    clips = [clip for group in store.facts.groups for clip in store.split(group)]
    paths, name = find(folder), store.path.name
    missing, surplus = [clip for clip in clips if clip not in paths], sorted(paths.keys() - set(clips))
    faults = [
        *([f"no video of {missing[0]} ({len(missing)} of {len(clips)} test clips have none)"] if missing else []),
        *([f"{surplus[0]} is no test clip of {name} ({_counted(len(surplus), 'such video')})"] if surplus else []),
    ]
    if faults:
        raise Fault(f"{folder}: {', and '.join(faults)}; it takes one video for each test clip, named by the clip's id")
    videos, wrong = {}, {}
    for clip in progress(clips, f"examine {folder.name}", unit="clip"):
        try:
            video = examine(paths[clip])
        except Fault as fault:
            wrong[clip] = str(fault)
            continue
        if differs := _differs(video, store.clips[clip]["n_frames"], store.facts.size):
            wrong[clip] = f"{paths[clip]}: {differs}, as {name} has them; nothing is cut, repeated or resized"
        videos[clip] = video
    if wrong:
        clip, fault = next(iter(wrong.items()))
        raise Fault(f"clip {clip}: {fault} ({len(wrong)} of {_counted(len(clips), 'clip')} wrong)")
    return videos


def _differs(video: Video, n_frames: int, size: tuple[int, int]) -> str:
    """How a video differs from its clip in length and size; "" if it fits."""
    faults = []
    if video.n_frames != n_frames:
        faults.append(f"{_counted(video.n_frames, 'frame')}, not {n_frames}")
    if tuple(video.size) != tuple(size):
        faults.append("frames of {1}x{0} px, not ".format(*video.size) + "{1}x{0}".format(*size))
    return " and ".join(faults)


def remarks(videos: Iterable[Video]) -> list[str]:
    """What to know of videos that fit, a line each: how many are lossy and why, and what was done to their frames."""
    videos = list(videos)
    lossy = Counter(video.lossy for video in videos if video.lossy)
    notes = Counter(note for video in videos for note in video.notes)
    lines = []
    if lossy:
        cause = "scores include what the compression changed; FFV1 or PNG change nothing"
        lines.append(f"{sum(lossy.values())} of {_counted(len(videos), 'video')} lossy ({_listed(lossy)}): {cause}")
    if notes:
        lines.append(f"as read: {_listed(notes)}")
    return lines


def _listed(counts: Counter[str]) -> str:
    return shorten(", ".join(f"{what}: {n}" for what, n in counts.most_common()), 200)


def _counted(n: int, what: str) -> str:
    return f"{n} {what}{'s' * (n != 1)}"
