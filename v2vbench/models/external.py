"""Another method's videos, made elsewhere: they are read from a folder and scored like those of the models here."""

from pathlib import Path

import numpy as np
import torch

from v2vbench.clips.external import fitting_videos, remarks, videos_sha256
from v2vbench.clips.store import Facts, Store
from v2vbench.clips.tensors import to_image
from v2vbench.clips.video_files import find, frames
from v2vbench.models import VideoModel
from v2vbench.params import Fault, root
from v2vbench.progress import say


class Model(VideoModel):
    """Has nothing to train; each frame is the next one of the clip's video, taken as it is.

    folder    with a video file or a folder of pictures for every test clip, named by the clip's id; relative to the
              project, or absolute
    sha256    of the videos, see `videos_sha256`; `v2vbench import-videos` writes both
    """

    def __init__(self, facts: Facts, *, folder: str, sha256: str):
        super().__init__()
        self.folder, self.sha256, self.size = folder, sha256, facts.size
        self.paths: dict[str, Path] = {}

    def parts(self) -> dict:
        """{}: nothing to train."""
        return {}

    def check_store(self, store: Store) -> None:
        """Every test clip has its video, whole, of its length and size, as it was imported; raises Fault."""
        folder = root() / self.folder
        if videos_sha256(folder) != self.sha256:
            cause = "the videos changed since they were imported; run `v2vbench import-videos` again"
            raise Fault(f"{folder}: {cause}")
        videos = fitting_videos(store, folder)
        self.paths = find(folder)
        for remark in remarks(videos.values()):
            say(f"{self.folder}: {remark}")

    def generate(self, clip: dict, past: torch.Tensor, memory: dict) -> torch.Tensor:
        """The next frame of the video of memory["clip"], (1, 3, H, W); raises Fault where there is none."""
        entry = memory.get("clip")
        if entry is None or entry["id"] not in self.paths:
            raise Fault(f"{self.folder}: holds videos of test clips; no other frames can be made from it")
        if "frames" not in memory:
            memory["frames"] = frames(self.paths[entry["id"]])
        pixels = next(memory["frames"], None)
        if pixels is None or pixels.shape != (*self.size, 3):
            raise Fault(f"{self.paths[entry['id']]}: the video changed while it was read; synthesize the run again")
        return to_image(np.array(pixels)[None]).to(past.device)  # a copy, since torch takes no read-only array
