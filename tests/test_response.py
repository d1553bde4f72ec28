"""What a metric responds to: what frames look like, or time."""

import pytest
from made_up_results import climb, ladder

from v2vbench.clips.damage import LADDERS
from v2vbench.results.calibration import Response
from v2vbench.statistics.response import response


def ladders(damages):
    """{name: ladder} of {name: (levels, by how much the last one costs more)}."""
    return {
        name: ladder(LADDERS[name].kind, [0, *levels], {"m": climb([[1.0], [1.0 + rise]])})
        for name, (levels, rise) in damages.items()
    }


@pytest.mark.parametrize(
    "values, word",
    [
        (dict(blur=9, shuffle=0, space=4, both=4), "space"),  # a set of frames
        (
            dict(blur=9, shuffle=9, space=4, both=4.1),
            "space",
        ),  # PSNR: a frame out of place is wrong, and no shaking is seen
        (dict(blur=9, shuffle=0, space=2, both=6), "space"),  # sees a richer mixture, and no order
        (dict(blur=0.1, shuffle=9, space=0.2, both=8), "time"),
        (dict(blur=5, shuffle=9, space=2, both=8), "both"),
        (dict(blur=0.1, shuffle=0.1, space=0, both=9), "neither"),
    ],
)
def test_what_a_metric_sees(values, word):
    names = {"blur": "blur", "shuffle": "shuffle", "warp_space": "space", "warp_space_time": "both"}
    reading = response(ladders({name: ([1], values[key]) for name, key in names.items()}), "m", "lower", 0.05)
    full = max(values.values())
    assert reading.sees == word
    assert reading.space == pytest.approx(max(values["blur"], values["space"]) / full)
    assert reading.order == pytest.approx(values["shuffle"] / full)
    assert reading.shake == pytest.approx((values["both"] - values["space"]) / full)
    assert reading.time == min(reading.order, reading.shake)


def test_what_was_not_tried_is_not_known():
    some = ladders({"blur": ([1], 1.0), "warp_space": ([1], 1.0), "warp_space_time": ([2], 1.0)})
    nothing = Response(space=1, order=None, shake=None, time=None, sees=None)
    assert response(some, "m", "lower", 0.05) == nothing
    assert response({}, "m", "lower", 0.05).sees is None
    flat = ladders({"blur": ([1], 0.0), "shuffle": ([2], 0.0)})
    assert response(flat, "m", "lower", 0.05).space == 0
