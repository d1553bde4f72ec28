"""What one pass over a video tells about it."""

from dataclasses import dataclass, field
from fractions import Fraction

import av

LOSSLESS_TOO = ("h264", "hevc", "vp9", "av1", "jpeg2000", "webp")  # codecs with a lossless mode that no header states
HDR = {16: "PQ", 18: "HLG"}  # transfer_characteristics of ITU-T H.273
BT2020, LIMITED = 9, 1  # primaries; range of levels, as FFmpeg numbers it


@dataclass(kw_only=True)
class Facts:
    """Filled in on the way; complete after the last frame."""

    n_frames: int = 0  # decoded
    size: tuple[int, int] = (0, 0)  # H, W in px as shown
    codec: str = ""
    lossy: str = ""
    rate: Fraction | None = None  # frames per second that the header states
    unit: Fraction = Fraction(0)  # s, of time stamps
    times: list[Fraction | None] = field(default_factory=list)  # s
    end: Fraction = Fraction(0)  # s, of the last frame
    notes: dict[str, None] = field(default_factory=dict)  # phrases in order

    def note(self, phrase: str) -> None:
        self.notes[phrase] = None

    def describe(self, stream: av.VideoStream, frame: av.VideoFrame) -> None:
        """Note what a first frame shows to be odd, and why the codec may be lossy."""
        self.lossy = why_lossy(stream.codec_context.codec, frame.format)
        if not self.lossy and frame.color_range == LIMITED and frame.format.name.startswith("gray"):
            self.lossy = "grey levels of 16 to 235 spread to 0 to 255"
        ratio = stream.sample_aspect_ratio
        if ratio and ratio != 1:
            self.note(f"pixels of {ratio.numerator}:{ratio.denominator} taken as square")
        if frame.interlaced_frame:
            self.note("interlaced frames taken as they are")
        if frame.color_trc in HDR:
            self.note(f"HDR ({HDR[frame.color_trc]}) not mapped to SDR")
        elif frame.color_primaries == BT2020:
            self.note("BT.2020 primaries taken as BT.709")
        if stream.metadata.get("alpha_mode") == "1" and not has_alpha(frame.format):
            self.note("alpha not read")


def has_alpha(pixels: av.VideoFormat) -> bool:
    """Whether pixels of a format may be other than opaque."""
    return pixels.has_palette or any(part.is_alpha for part in pixels.components)


def why_lossy(codec: av.Codec, pixels: av.VideoFormat) -> str:
    """Why frames may differ from those that were encoded; "" where they cannot."""
    name, bits = codec.canonical_name, [part.bits for part in pixels.components]
    grey = sum(not part.is_alpha for part in pixels.components) == 1
    if name == "gif":
        return "256 colours of gif"
    if not codec.lossless and name not in LOSSLESS_TOO:
        return name
    if not (pixels.is_rgb or pixels.has_palette or grey) or (min(bits) < 8 and not pixels.has_palette):
        return (
            name if name in LOSSLESS_TOO else f"{pixels.name} in {name}"
        )  # colours were rounded before they got there
    if name in LOSSLESS_TOO or codec.lossy:
        return f"may be lossy: {name}"
    return f"{max(bits)} bits rounded to 8" if max(bits) > 8 else ""
