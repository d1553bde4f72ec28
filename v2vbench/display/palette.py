"""One palette for the report and the notebooks: a colour a method, and the colours of labels and maps."""

import numpy as np

from v2vbench.clips.store import Facts

# One colour a method, everywhere: for light and for dark ground. Told apart under the common colour blindnesses, and at
# 4.5:1 or more on their ground, so that they can also be text; the marker and the dash say the same again.
COLOURS = (
    ("#0b66ad", "#6fb5f5"),
    ("#b8460a", "#ff9d62"),
    ("#0a7a5c", "#45cfa2"),
    ("#9a2f7d", "#ee9bd3"),
    ("#4d3f00", "#f3e08a"),
    ("#6b7280", "#858d99"),
)
DASHES = ("", "7 3", "2 3", "9 3 2 3", "1 3", "12 4")
IGNORED = (60, 60, 66)  # labels of 255
LARGE_ERROR = 96  # grey levels, of 255: errors from here on are drawn alike
ERRORS = ((12, 12, 16), (92, 22, 110), (214, 66, 54), (250, 190, 70), (255, 250, 220))  # from none to LARGE_ERROR
ON_LINE = 4  # of 255: a distance map is drawn where it is nearer than this


def colour(arrays: dict, facts: Facts) -> np.ndarray:
    """The source as pictures, uint8 (T, H, W, 3): labels in the store's colours, maps as lines in them, none as grey.

    A map that is dark for the most part holds lines and is drawn as bright as it is; any other holds distances, and is
    drawn where they are short. The first map lies below the others.
    """
    if facts.source == "none":
        return np.full_like(arrays["real"], IGNORED[0])
    table = np.full((256, 3), IGNORED, np.uint8)
    table[: len(facts.label_colours)] = facts.label_colours
    if facts.source == "labels":
        return table[arrays["label"]]
    picture = np.zeros((*arrays["maps"].shape[:3], 3), np.float32)
    for c in range(arrays["maps"].shape[-1]):
        values = arrays["maps"][..., c]
        cover = values / 255 if np.median(values) == 0 else (values < ON_LINE).astype(np.float32)
        picture += cover[..., None] * (table[c] - picture)
    return picture.round().astype(np.uint8)


def legend(facts: Facts) -> list[tuple[str, tuple[int, int, int]]]:
    """The source's labels and their colours; labels of one colour share a line."""
    names: dict[tuple[int, int, int], list[str]] = {}
    for name, rgb in zip(facts.label_names, facts.label_colours):
        names.setdefault(rgb, []).append(name)
    return [(", ".join(same_colour), rgb) for rgb, same_colour in names.items()]


def flow_colours(flow: np.ndarray, full: float | None = None) -> np.ndarray:
    """Flow (T, H, W, 2) px as pictures, uint8 (T, H, W, 3): hue is the direction, saturation the length.

    full    length with full saturation, px; None: the 99th percentile
    """
    flow = flow.astype(np.float64)
    length = np.hypot(flow[..., 0], flow[..., 1])
    hue = np.arctan2(flow[..., 1], flow[..., 0]) / (2 * np.pi) % 1
    saturation = (length / max(np.percentile(length, 99) if full is None else full, 1e-6)).clip(0, 1)
    sector = (np.array((5, 3, 1)) + 6 * hue[..., None]) % 6  # of red, green and blue on the wheel of hues
    rgb = 1 - saturation[..., None] * np.minimum(sector, 4 - sector).clip(0, 1)
    return (rgb * 255).round().astype(np.uint8)


def error_colours(fake: np.ndarray, real: np.ndarray) -> np.ndarray:
    """The mean absolute difference of the channels as pictures, dark where there is none; all uint8 (T, H, W, 3)."""
    error = np.abs(fake.astype(np.int16) - real).mean(-1) / LARGE_ERROR
    at = np.linspace(0, 1, len(ERRORS))
    return np.stack([np.interp(error, at, channel) for channel in zip(*ERRORS)], -1).round().astype(np.uint8)
