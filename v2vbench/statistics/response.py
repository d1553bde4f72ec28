"""Whether a metric responds to what frames look like, and to time, from its values along ladders of damage."""

import numpy as np

from v2vbench.results.calibration import Ladder, Response, Sees
from v2vbench.results.metric import Better
from v2vbench.statistics.cost import cost

PAIR = "warp_space", "warp_space_time"  # ladders that are alike in single frames
SEES: dict[tuple[bool, bool], Sees] = {
    (True, True): "both",
    (True, False): "space",
    (False, True): "time",
    (False, False): "neither",
}  # by whether the responses to space and to time count


def response(ladders: dict[str, Ladder], label: str, better: Better, seen_from: float) -> Response:
    """How strongly a metric responds to space and to time.

    With c the cost at a level of a ladder and c0 that of the untouched video, a response is |c - c0| as a share of the
    largest over all ladders. Then
        space = the largest response to a ladder of kind "space", which spoils all frames alike, order = the largest
        response to `shuffle`, whose frames are all there, in another order, shake = the largest excess of the response
        to `warp_space_time` over that to `warp_space` at the same rung: single frames are as
                bad, and alone the former's damage changes from frame to frame,
        time  = min(order, shake).
    Order alone would call PSNR temporal, since a frame out of place is not the frame it is compared with; shake alone
    would call so a distance between sets that merely sees a richer mixture of damages. A set of single frames has order
    0 to the bit.

    seen_from    share from which on a response counts
    """
    costs = {name: cost(ladder.metrics[label].values, better) for name, ladder in ladders.items()}
    moves = {name: np.abs(values - values[0]) for name, values in costs.items()}
    full = max((float(move.max()) for move in moves.values()), default=0) or 1.0
    of_space = [float(moves[name].max()) / full for name, ladder in ladders.items() if ladder.kind == "space"]
    space = max(of_space, default=None)
    order = float(moves["shuffle"].max()) / full if "shuffle" in moves else None
    shake = None
    if all(name in ladders for name in PAIR) and ladders[PAIR[0]].levels == ladders[PAIR[1]].levels:
        shake = max(0.0, float((moves[PAIR[1]] - moves[PAIR[0]]).max()) / full)
    time = None if order is None or shake is None else min(order, shake)
    sees = None if space is None or time is None else SEES[space >= seen_from, time >= seen_from]
    return Response(space=space, order=order, shake=shake, time=time, sees=sees)
