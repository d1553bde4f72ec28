"""Section `report` of params.yaml."""

from dataclasses import dataclass
from typing import Annotated

from v2vbench.params import Count, Natural, Range


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How the report shows things."""

    players: Natural  # clips with a player, a data set and group
    players_by: str  # the per-clip metric that orders them and is drawn under each
    tile_px: Count  # about the width of a video: frames are enlarged by a whole factor
    crf: Annotated[int, Range(0, 51)]  # H.264 quality; lower is better and larger
