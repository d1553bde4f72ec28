"""Frames of one video file, as the decoder gives them: every error is reported, no damaged frame is concealed."""

from collections import deque
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import av.logging
from av.container import InputContainer
from av.error import FFmpegError

from v2vbench.clips.video_files._facts import Facts
from v2vbench.clips.video_files._names import shown
from v2vbench.clips.video_files._times import Timed, oddity
from v2vbench.params import Fault, shorten

FORMATS = "mov,avi,matroska,webm,gif,mpeg,mpegvideo,mpegts,m4v,asf,flv,yuv4mpegpipe,ogg"  # no playlists, no text art
WHOLE = 0.9  # of the frames, or of the seconds, that a header promises: with fewer decoded, the file was cut off
TS_PACKET = (188, 192, 204)  # bytes; a transport stream is made of packets of one of these sizes
AGAIN = "copy it again, or encode it again"
if av.logging.get_level() is None:
    av.logging.set_level(av.logging.PANIC)  # shows nothing, and counts errors, also those that a decoder conceals


def decoded(path: Path, facts: Facts) -> Iterator[Timed]:
    """Every frame of a video file in order; `facts` is filled in on the way.

    raises    Fault: no video, damaged, cut off, no frame, or frames of two sizes
    """
    name, before = shown(path), _n_errors()
    options = {"format_whitelist": FORMATS, "protocol_whitelist": "file"}
    try:
        file = av.open(f"file:{path.absolute()}", options=options, metadata_errors="replace")
    except FFmpegError as error:
        raise Fault(
            f"{name}: no video, or its start or the index at its end is missing ({shorten(error.strerror)}); "
            f"{AGAIN} as mp4, mkv, avi or webm"
        ) from None
    early = _last_error() if _n_errors() > before else ""  # reading ahead may find the end of the file missing
    with file:
        stream = file.streams.best("video")
        if not isinstance(stream, av.VideoStream):
            kinds = ", ".join(sorted({stream.type for stream in file.streams}))
            raise Fault(f"{name}: no video in it{', only ' if kinds else ''}{kinds}; give a file that has frames")
        if stream.codec_context is None:
            raise Fault(f"{name}: its codec is not known; encode it again as H.264 or FFV1")
        if any(other.type == "audio" for other in file.streams):
            facts.note("sound ignored")
        yield from _frames(name, file, stream, facts)
        n_bytes = path.stat().st_size
        if file.format.name == "mpegts" and all(n_bytes % n for n in TS_PACKET):
            early = early or "its last packet is cut off"
        if early:
            raise _damaged(name, facts, early)


def _frames(name: str, file: InputContainer, stream: av.VideoStream, facts: Facts) -> Iterator[Timed]:
    context = stream.codec_context
    context.thread_count = 1  # threads report errors after a number of frames that depends on the CPU
    context.options = {"err_detect": "crccheck+bitstream+buffer+explode"}
    facts.codec, facts.rate = context.codec.canonical_name, stream.average_rate
    facts.unit = Fraction(stream.time_base or 0)
    size, n_hidden, in_order = (0, 0), 0, deque()
    for packet in _packets(name, file, stream, facts):
        n_hidden += packet.is_discard  # before the start that an edit list of mp4 sets
        in_order.append(packet.pts)
        for frame in _decode(name, packet, facts):
            if not facts.n_frames:
                size = frame.height, frame.width
                facts.describe(stream, frame)
            if (frame.height, frame.width) != size:
                sizes = f"{size[0]} x {size[1]} to {frame.height} x {frame.width} px"
                raise Fault(f"{name}: changes from {sizes} at frame {facts.n_frames}; encode it again in one size")
            stamp = frame.pts
            if file.format.name == "avi":  # whose packets have times in the order of display, whatever is in them
                stamp = in_order.popleft() if in_order else None
            time = None if stamp is None else stamp * facts.unit
            length = (frame.duration or 0) * facts.unit
            if time is not None:
                last = facts.times[-1] if facts.times else None
                facts.end = max(facts.end, time + (length or (time - last if last is not None else 0)))
            facts.n_frames += 1
            facts.times.append(time)
            yield Timed(frame=frame, time=time, length=length)
    if not facts.n_frames:
        raise Fault(f"{name}: no frame in it; {AGAIN}")
    _compare(name, file, stream, facts, n_hidden)


def _packets(name: str, file: InputContainer, stream: av.VideoStream, facts: Facts) -> Iterator[av.Packet]:
    """Packets of the stream, the last one empty; raises Fault where the container is damaged."""
    packets, end = file.demux(stream), 0
    while True:
        before = _n_errors()
        try:
            packet = next(packets, None)
        except FFmpegError as error:
            raise _damaged(name, facts, error.strerror) from None
        if packet is not None and packet.is_corrupt:
            raise _damaged(name, facts, "a packet is cut off")
        if _n_errors() > before:
            raise _damaged(name, facts, _last_error())
        if packet is None:
            break
        end = end if packet.pos is None else packet.pos + packet.size
        yield packet
    if file.format.name == "yuv4mpegpipe" and end != Path(file.name.removeprefix("file:")).stat().st_size:
        raise _damaged(name, facts, "the next one is cut off")


def _decode(name: str, packet: av.Packet, facts: Facts) -> list[av.VideoFrame]:
    before = _n_errors()
    try:
        frames = packet.decode()
    except FFmpegError as error:
        raise _damaged(name, facts, error.strerror) from None
    if any(frame.is_corrupt for frame in frames):
        raise _damaged(name, facts, "a frame is incomplete")
    if _n_errors() > before:
        raise _damaged(name, facts, _last_error())
    return [frame for frame in frames if isinstance(frame, av.VideoFrame)]


def _n_errors() -> int:
    """Errors that FFmpeg has logged in this process so far."""
    return av.logging.get_last_error()[0]


def _last_error() -> str:
    logged = av.logging.get_last_error()[1]
    return f"{logged[1]} reports: {logged[2]}" if logged else ""


def _damaged(name: str, facts: Facts, reason: str | None) -> Fault:
    cause = f"decoding stops after {facts.n_frames} frames ({shorten(reason or 'no reason given', 80)})"
    return Fault(f"{name}: damaged: {cause}; {AGAIN}")


def _compare(name: str, file: InputContainer, stream: av.VideoStream, facts: Facts, n_hidden: int) -> None:
    """Notes what the header promises and the frames are not; raises Fault where less than WHOLE of it is there."""
    n, promised, seconds = facts.n_frames + n_hidden, stream.frames, _seconds(file, stream)
    known = [time for time in facts.times if time is not None]
    lasts, cause = facts.end - known[0] if known else Fraction(0), ""
    if promised and n < WHOLE * promised:
        cause = f"header says {promised} frames, {n} decoded"
    elif not promised and seconds and facts.n_frames > 1 and lasts < WHOLE * seconds:
        cause = f"header says {float(seconds):.2f} s, {float(lasts):.2f} s decoded"
    if cause:
        raise Fault(f"{name}: cut off, or with a wrong header: {cause}; {AGAIN}")
    if n_hidden:
        facts.note(f"{n_hidden} frames before its start left out")
    if promised and n != promised:
        facts.note(f"header says {promised} frames, {n} decoded")
    if phrase := oddity(known):
        facts.note(phrase)


def _seconds(file: InputContainer, stream: av.VideoStream) -> Fraction | None:
    """The duration of the video that the header states, if that is not the duration of a longer sound."""
    stated = [value for key, value in stream.metadata.items() if key.upper().startswith("DURATION")]
    if stated and stated[0].count(":") == 2:  # Matroska: 00:00:10.000000000
        hours, minutes, seconds = stated[0].split(":")
        return int(hours) * 3600 + int(minutes) * 60 + Fraction(seconds)
    if stream.duration and stream.time_base:
        return stream.duration * stream.time_base
    return Fraction(file.duration, av.time_base) if file.duration and len(file.streams) == 1 else None
