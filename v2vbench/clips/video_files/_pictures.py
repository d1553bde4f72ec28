"""Frames that are numbered pictures in a folder."""

import re
import warnings
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from v2vbench.clips.video_files._colours import laid_over_black, rounded
from v2vbench.clips.video_files._names import natural, shown
from v2vbench.params import Fault, shorten

PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".pgm")
GREY_16 = ("I;16", "I;16B", "I;16L", "I;16N", "I")  # modes of Pillow
CLEAR = ("RGBA", "LA", "PA", "La", "RGBa")  # modes with alpha
BITS, COMPRESSION, ORIENTATION = 258, 259, 274  # tags of TIFF and EXIF
JPEG_IN_TIFF = (6, 7)
TURNS = {  # EXIF orientation: (rows and columns exchanged first, then up and down, then left and right)
    2: (False, False, True),
    3: (False, True, True),
    4: (False, True, False),
    5: (True, False, False),
    6: (True, False, True),
    7: (True, True, True),
    8: (True, True, False),
}


def numbered(folder: Path) -> list[Path]:
    """The pictures of a folder, by number if their names have one, else by name.

    raises    Fault: none, a number that is missing or there twice, names or endings of two kinds
    """
    name = shown(folder)
    paths = [path for path in folder.iterdir() if is_picture(path)]
    paths.sort(key=lambda path: natural(path.name))
    if not paths:
        raise Fault(f"{name}: no picture in it; give a folder with {', '.join(PICTURES)} files")
    parts = [re.fullmatch(r"(.*?)(\d+)(\D*)", path.stem, re.DOTALL) for path in paths]
    kinds = [
        (path.suffix.lower(), part.group(1, 3) if part else any(parts) and path.stem)
        for path, part in zip(paths, parts)
    ]
    for path, kind in zip(paths, kinds):
        if kind != kinds[0]:
            two = f"{shown(paths[0].name)} and {shown(path.name)} differ in more than their number"
            raise Fault(f"{name}: {two}; give each video a folder of its own, and its pictures one ending")
    numbers = [int(part.group(2)) for part in parts if part]
    for i, (last, number) in enumerate(zip(numbers, numbers[1:])):
        two = f"{shown(paths[i].name)} and {shown(paths[i + 1].name)}"
        if number == last:
            raise Fault(f"{name}: {two} have one number; remove one")
        if number > last + 1:
            raise Fault(f"{name}: number {last + 1} is missing between {two}; add it, or number them without a gap")
    return paths


def is_picture(path: Path) -> bool:
    """Whether a path is a file with the ending of a picture, and not hidden."""
    return path.suffix.lower() in PICTURES and not path.name.startswith(".") and path.is_file()


def picture(path: Path) -> tuple[np.ndarray, str, str, list[str]]:
    """A picture as a frame.

    returns    frame (H, W, 3) uint8 RGB; format, such as png; why pixels may differ from those that were written, or
               ""; what was done, one short phrase each
    raises     Fault
    """
    try:
        if not path.stat().st_size:
            raise Fault(f"{shown(path)}: empty, 0 bytes; copy it again")
        with warnings.catch_warnings(action="ignore"):  # of odd metadata
            if path.suffix.lower() == ".png":
                with Image.open(path) as file:
                    file.verify()  # the checksums, which load() leaves out
            with Image.open(path) as file:
                return _loaded(path, file)
    except (OSError, SyntaxError, ValueError, LookupError, Image.DecompressionBombError) as error:
        if isinstance(error, Fault):
            raise
        reason = "unknown format" if isinstance(error, Image.UnidentifiedImageError) else shorten(error)
        raise Fault(f"{shown(path)}: no picture, or damaged ({reason}); copy it again") from None


def _loaded(path: Path, file: Image.Image) -> tuple[np.ndarray, str, str, list[str]]:
    kind, notes, tags = (file.format or "").lower(), [], getattr(file, "tag_v2", {})
    if (n := getattr(file, "n_frames", 1)) > 1 and kind != "mpo":
        raise Fault(f"{shown(path)}: {n} pictures in one file; write one file per frame")
    file.load()
    if file.mode == "F":
        raise Fault(f"{shown(path)}: pixels are floats, whose range is not known; save it with 8 or 16 bits")
    lossy = {"jpeg": "jpeg", "mpo": "jpeg", "webp": "may be lossy: webp"}.get(kind, "")
    if tags.get(COMPRESSION) in JPEG_IN_TIFF:
        lossy = "jpeg in tiff"
    if file.mode in GREY_16 or _has_16_bits(path, kind, tags):
        pixels = rounded(_with_16_bits(path, file), 16)
        notes.append("16 bits rounded to 8")
        lossy = lossy or notes[-1]
    else:
        if file.mode in ("CMYK", "LAB"):
            notes.append(f"{file.mode} converted to RGB")
            lossy = lossy or notes[-1]
        clear = "transparency" in file.info or file.mode in CLEAR
        pixels = np.asarray(file.convert("RGBA" if clear else "RGB"))
    pixels = laid_over_black(pixels, notes.append)
    if turn := TURNS.get(file.getexif().get(ORIENTATION, 1)):
        exchanged, vertical, horizontal = turn
        pixels = pixels.swapaxes(0, 1) if exchanged else pixels
        pixels = np.ascontiguousarray(pixels[:: -1 if vertical else 1, :: -1 if horizontal else 1])
        notes.append("turned upright as EXIF says")
    return pixels, kind, lossy, notes


def _has_16_bits(path: Path, kind: str, tags) -> bool:
    """Whether colours have 16 bits in the file, of which Pillow keeps 8."""
    if kind == "png":
        with open(path, "rb") as file:
            return file.read(25)[24] == 16  # in the header, after width and height
    return kind == "tiff" and max(tags.get(BITS, (8,))) == 16


def _with_16_bits(path: Path, file: Image.Image) -> np.ndarray:
    """(H, W, 3 or 4) uint16 RGB or RGBA."""
    if file.mode in GREY_16:
        values = np.asarray(file)
        if values.min() < 0 or values.max() > 65535:
            raise Fault(f"{shown(path)}: grey levels of more than 16 bits; save it with 8 or 16 bits")
        values = values.astype(np.uint16)
    else:
        values = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
        if values is None or values.dtype != np.uint16:
            raise Fault(f"{shown(path)}: its 16-bit colours cannot be read; save it as PNG")
    if values.ndim == 2:
        return np.repeat(values[..., None], 3, -1)
    return values[..., [2, 1, 0, 3][: values.shape[-1]]]
