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

    With c the cost at a level of a ladder and c0 that of the undamaged video, a response is |c - c0| as a share of the
    largest over all ladders. Then

        space    largest response to a ladder of kind "space", which damages all frames equally
        order    largest response to `shuffle`, which has the same frames in another order
        shake    largest excess of the response to `warp_space_time` over that to `warp_space` at the same rung: single
                 frames are equally damaged, but only the first damage changes from frame to frame
        time     min(order, shake)

    With order alone PSNR would count as temporal, since it compares a misplaced frame with another frame. With shake
    alone a distance between sets would, since its set has more kinds of damage. A set of single frames has order 0
    exactly.

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
