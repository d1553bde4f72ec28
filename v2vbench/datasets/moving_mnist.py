"""Future prediction: digits that bounce about a dark frame (Srivastava et al. 2015), made in seconds or downloaded."""

import gzip
import hashlib
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

import cv2
import numpy as np
from sklearn.datasets import load_digits

from v2vbench.clips.store import Facts, write_store
from v2vbench.download import archives
from v2vbench.params import Count, Fault, Natural, Range, Share, Size
from v2vbench.progress import progress, say

STANDARD = 20, 10_000, 64, 64  # frames, clips, height and width of mnist_test_seq.npy
MD5 = {"mnist_test_seq.npy": "be083ec986bfe91a449d63653c411eb2"}  # as torchvision has it; no sha256 is published
OPTDIGITS = "CC BY 4.0 (UCI optdigits, in scikit-learn)"
MNIST = "CC BY-SA 3.0 (MNIST)"
STANDARD_LICENCE = "none stated; its digits are MNIST's, CC BY-SA 3.0"


def reflect(position: np.ndarray, room: np.ndarray) -> np.ndarray:
    """Where a point is that moves along a line and is thrown back at 0 and at `room`: a triangle wave, in px."""
    turn = np.mod(position, 2 * room)
    return np.minimum(turn, 2 * room - turn)


def paths(rng: np.random.Generator, *, n_digits: int, n_frames: int, room: np.ndarray, speed: float) -> np.ndarray:
    """(n_digits, T, 2) float64: row and column of each digit's corner, from a random place in a random direction.

    room     (2,) px that the corner can move down and to the right
    speed    px a frame
    """
    start, angle = rng.uniform(0, room, (n_digits, 1, 2)), rng.uniform(0, 2 * np.pi, (n_digits, 1))
    velocity = speed * np.stack([np.sin(angle), np.cos(angle)], -1)  # (n_digits, 1, 2)
    return reflect(start + velocity * np.arange(n_frames)[:, None], room)


def draw(images: np.ndarray, at: np.ndarray, size: Size) -> np.ndarray:
    """Digits (n, D, D) at corners (n, T, 2) to frames (T, H, W) uint8: bilinear, the brightest digit of each pixel."""
    frames = np.zeros((at.shape[1], size[0] + 1, size[1] + 1))
    D = images.shape[1] + 1
    for image, path in zip(images.astype(float), at):
        for frame, corner in zip(frames, path):
            (top, left), (down, right) = np.floor(corner).astype(int), corner % 1
            rows = (1 - down) * np.pad(image, ((0, 1), (0, 0))) + down * np.pad(image, ((1, 0), (0, 0)))
            moved = (1 - right) * np.pad(rows, ((0, 0), (0, 1))) + right * np.pad(rows, ((0, 0), (1, 0)))
            part = frame[top : top + D, left : left + D]
            np.maximum(part, moved, out=part)
    return np.rint(frames[:, : size[0], : size[1]]).astype(np.uint8)


def scaled(images: np.ndarray, digit_size: int) -> np.ndarray:
    """(N, h, w) grey levels 0..255 to (N, digit_size, digit_size) uint8, by a smooth cubic."""
    large = [cv2.resize(image, (digit_size, digit_size), interpolation=cv2.INTER_CUBIC) for image in images]
    return np.rint(np.clip(np.stack(large), 0, 255)).astype(np.uint8)


def local_or_fetched(wanted: archives.Archive, cache: Path) -> tuple[Path, str]:
    """The file in V2VBENCH_DATA or up to two levels below it, or the download; its sha256. Raises Fault."""
    name = wanted.url.rpartition("/")[2]
    if copy := archives.local_copy():
        found = [path for above in ("", "*/", "*/*/") for path in sorted(copy.glob(above + name))]
        if not found:
            raise Fault(f"{copy}: no file {name} in it or two levels below; unset V2VBENCH_DATA to download it")
        path, sha256 = found[0], "own copy"
    else:
        path, sha256 = archives.fetch(wanted.url, cache, sha256=wanted.sha256, size=wanted.size)
        if wanted.sha256 is None:
            say(f"{name}: sha256 {sha256}; write it in the parameters, so that nobody gets another file unnoticed")
    if name in MD5:
        with open(path, "rb") as file:
            md5 = hashlib.file_digest(file, "md5").hexdigest()
        if md5 != MD5[name]:
            raise Fault(f"{path}: md5 is {md5}, the published file's is {MD5[name]}; delete it and run again")
    return path, sha256


def mnist(path: Path) -> np.ndarray:
    """(N, 28, 28) uint8 of MNIST's *-images-idx3-ubyte.gz; raises Fault."""
    try:
        content = gzip.decompress(path.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise Fault(f"{path}: {error}; delete it and run again") from None
    magic, n, h, w = np.frombuffer(content[:16].ljust(16, b"\0"), ">u4").tolist()
    if magic != 0x803 or len(content) != 16 + n * h * w:
        raise Fault(f"{path}: not a whole file of MNIST's images; delete it and run again")
    return np.frombuffer(content, np.uint8, offset=16).reshape(n, h, w)


def standard(path: Path) -> np.ndarray:
    """The test clips, (20, 10000, 64, 64) uint8, mapped to memory; raises Fault."""
    try:
        clips = np.load(path, mmap_mode="r")
    except (OSError, EOFError, ValueError) as error:
        raise Fault(f"{path}: {error}; delete it and run again") from None
    if clips.shape != STANDARD or clips.dtype != np.uint8:
        raise Fault(f"{path}: is {clips.dtype} {clips.shape}, expected uint8 {STANDARD}; delete it and run again")
    return clips


def prepare(
    out: Path,
    *,
    name: str,
    cache: Path,
    size: Size,
    digits: Literal["sklearn"] | archives.Archive,
    test: Literal["generated"] | archives.Archive,
    digit_size: Count,
    n_digits: Count,
    n_frames: Annotated[int, Range(2)],
    n_train_clips: Count,
    n_test_clips: Count,
    held_out: Share,
    speed: Annotated[float, Range(0)],
    whole_pixels: bool,
    seed: Natural,
) -> None:
    """Draw the clips, or read those of the standard test, and write the clip store; `test` is the test group.

    Digits move at constant velocity and are reflected exactly; Srivastava's generator stops them at the border first.

    digits          sklearn: the 1797 digits of 8 x 8 px in scikit-learn; or MNIST's train-images-idx3-ubyte.gz
    test            generated: as the training clips, from other digits; or mnist_test_seq.npy, the standard 10,000
    digit_size      px, to which digits are scaled; MNIST's have 28
    n_test_clips    of the standard test: the first
    held_out        share of the digits that appear in generated test clips alone; not used for the standard test
    speed           px a frame; Srivastava's is 3.6
    whole_pixels    true: positions are rounded down to pixels, as in the standard test; false: digits glide
    seed            of the split of the digits and of every clip; with more clips the earlier ones stay the same
    raises          Fault
    """
    where, known = f"datasets.{name}", not isinstance(test, str)
    if size[0] % 8 or size[1] % 8 or digit_size >= min(size):
        raise Fault(f"{where}.size: {list(size)} must be multiples of 8 and larger than digit_size, {digit_size}")
    if known and ((n_frames, *size) != (STANDARD[0], *STANDARD[2:]) or n_test_clips > STANDARD[1]):
        raise Fault(f"{where}: the standard test has {STANDARD[1]} clips of 20 frames of 64 x 64: not as asked for")
    if isinstance(digits, str):
        small = load_digits()["data"].reshape(-1, 8, 8) * (255 / 16)  # pyright: ignore
        images = np.pad(small, ((0, 0), (1, 1), (1, 1)))  # (1797, 10, 10): the frame cuts no stroke
    else:
        images = mnist(local_or_fetched(digits, cache)[0])
    path, sha256 = (None, "") if isinstance(test, str) else local_or_fetched(test, cache)
    clips = standard(path) if path else None
    order = np.random.default_rng(seed).permutation(len(images))
    n_held = 0 if known else round(held_out * len(images))
    pools = {"train": order[n_held:], "test": order[:n_held]}
    if len(pools["train"]) < n_digits or not known and len(pools["test"]) < n_digits:
        raise Fault(f"{where}.held_out: {held_out} leaves fewer than {n_digits} digits for training or for testing")
    images, room = scaled(images, digit_size), np.array(size) - digit_size
    licence = OPTDIGITS if isinstance(digits, str) else MNIST
    wanted = [("train", i) for i in range(n_train_clips)] + [("test", i) for i in range(n_test_clips)]

    def make() -> Iterator[tuple[dict, dict]]:
        for split, i in progress(wanted, f"make {name}", unit="frame", scale=n_frames):
            clip = {"id": f"{split}-{i:05d}", "split": split}
            if split == "test" and clips is not None:
                grey, clip = clips[:, i], clip | {"file_sha256": sha256, "licence": STANDARD_LICENCE}
                clip["origin"] = f"Srivastava et al. 2015, mnist_test_seq.npy, clip {i}"
            else:
                rng = np.random.default_rng([seed, 1 + (split == "test"), i])
                shown = rng.choice(pools[split], n_digits, replace=False)
                at = paths(rng, n_digits=n_digits, n_frames=n_frames, room=room, speed=speed)
                grey = draw(images[shown], np.floor(at) if whole_pixels else at, size)
                clip |= {"digits": shown.tolist(), "licence": licence}
                clip["origin"] = f"v2vbench, seed {seed}, {split} {i}"
            yield clip, {"real": np.repeat(grey[..., None], 3, -1)}

    facts = Facts(
        name=name,
        title="Moving MNIST" if known else "Moving digits",
        standing="benchmark" if known else "sanity",
        fps=10.0,  # to be shown at; it has no rate of its own
        source="none",
        size=size,
        about=f"{n_digits} handwritten digits cross a dark frame at constant speed and bounce off its borders.",
        label_names=(),
        label_colours=(),
        groups={"test": "the standard test" if known else "digits never seen in training"},
        origin="made by v2vbench" if isinstance(test, str) else test.url,
        licence=f"{licence}; test clips: {STANDARD_LICENCE}" if known else licence,
    )
    write_store(out, facts, make())
