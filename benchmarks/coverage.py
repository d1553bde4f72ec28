"""Coverage of intervals and error rates of verdicts, by simulation: `python -m benchmarks.coverage`."""

import itertools

import numpy as np

from benchmarks import simulation
from benchmarks.simulation import CONFIDENCE, N_FRAMES, POPULATIONS, SIZES, TAILS, TRUE, unequal
from v2vbench.progress import progress

CLAIMED = 0.93
LEVEL = f"at {100 * (1 - CONFIDENCE):.3g} %"

# where intervals must cover CLAIMED
CLAIMS = [("mean", None, alike, n) for alike in (0.0, 0.5) for n in (8, 16, 32, 64)]
CLAIMS += [("kernel", "64", alike, n) for alike in (0.0, 0.5) for n in (8, 16, 32, 64)]
CLAIMS += [("frechet", "64", 0.0, n) for n in (8, 16, 32, 64)] + [("frechet", "64", 0.5, 128)]

TABLES = {  # title, heads of columns
    "cover": (
        f"Intervals of nominally {100 * CONFIDENCE:.3g} %, {N_FRAMES} frames a clip",
        ["of", "features", "alike", "clips", "cover %", "", "mean %", "truth", "estimate", "uncorrected"],
    ),
    "clusters": (
        f"Clusters of {', '.join(map(str, SIZES))} clips in turn, alike by 0.5: what intervals cover, "
        f"and equal methods called different {LEVEL}",
        ["of", "features", "clusters", "cover % by clip", "by cluster", "rejected % by clip", "by cluster"],
    ),
    "families": (
        f"Tables of 5 metrics x 6 runs {LEVEL}, 3 runs worse by the effect",
        ["correction", "clusters", "effect", "tables in error %", "power %"],
    ),
    "equal": (
        f"Two methods of one distribution called different {LEVEL}, frames alike by 0.5",
        ["by", "features", "clusters", "rejected %"],
    ),
    "unequal": (
        f"A narrow (x {simulation.NARROW:g}) and a wide method of equal true distance {LEVEL}, frames alike by 0.5",
        ["by", "features", "wide", "clusters", "narrow called better %", "wide called better %"],
    ),
    "tails": (
        f"Deltas of mean 0 that are not symmetric, or have heavy tails, {LEVEL}",
        ["deltas", "clusters", "a test wrong %", "tables of 5 x 6 in error %: holm", "max-t"],
    ),
}


def plan() -> list[tuple]:
    """Every cell that is simulated: the table, and what its function takes."""
    n_clips, alikes = (8, 16, 32, 64), (0.0, 0.5)
    cells = [("cover", ("mean", skewed, alike, n)) for skewed in (False, True) for alike in alikes for n in n_clips]
    cells += [
        ("cover", (name, of, alike, n))
        for name in TRUE
        for of in POPULATIONS
        for alike in alikes
        for n in n_clips
        if of == "64" or n < 64
    ]
    cells += [("cover", ("bootstrap", "64", 0.5, n)) for n in (16, 64)]
    cells += [("clusters", (name, n)) for name in ("mean", "kernel") for n in (8, 16, 32)]
    cells += [
        ("families", (how, effect, n)) for how in ("holm", "max-t") for effect in (0.0, 1.0) for n in (8, 12, 16, 32)
    ]
    cells += [("equal", (name, of, n)) for name in TRUE for of in POPULATIONS for n in (8, 16, 32)]
    cells += [("unequal", (name, n)) for name in TRUE for n in (8, 12, 16, 32, 64)]
    return cells + [("tails", (tail, n)) for tail in TAILS for n in (12, 15, 32)]


def cell(rng: np.random.Generator, table: str, of: tuple, draws: int) -> list:
    """One line of a table; all shares in %."""
    if table == "cover":
        name, features, alike, n = of
        return _cover(rng, name, features, alike, n, draws)
    if table == "clusters":
        rates = simulation.by_clip_and_cluster(
            rng, of[0], POPULATIONS["64"], of[1], draws if of[0] == "kernel" else 5 * draws
        )
        return [
            of[0],
            "64" if of[0] == "kernel" else "-",
            of[1],
            *(_percent(rates[by][key]) for key in ("covered", "rejected") for by in ("clip", "cluster")),
        ]
    if table == "families":
        how, effect, n = of
        rates = simulation.decisions(rng, n, effect, how, draws)
        return [how, n, effect, _percent(rates["error"]), _percent(rates["power"]) if effect else "-"]
    if table == "equal":
        name, features, n = of
        return [
            name,
            features,
            n,
            _percent(sum(simulation.error_of_pair(rng, name, 2 * (POPULATIONS[features],), n, draws).values())),
        ]
    if table == "unequal":
        name, n = of
        pair = unequal(name, POPULATIONS["64"])
        rates = simulation.error_of_pair(rng, name, pair, n, draws)
        return [name, "64", f"x {pair[1].wider:.3g}", n, _percent(rates["first"]), _percent(rates["second"])]
    tail, n = of
    return [
        tail,
        n,
        _percent(simulation.error_of_tail(rng, tail, n, 10 * draws)),
        *(_percent(simulation.decisions(rng, n, 0.0, how, draws, tail=tail)["error"]) for how in ("holm", "max-t")),
    ]


def _cover(rng: np.random.Generator, name: str, features, alike: float, n: int, draws: int) -> list:
    if name == "mean":
        title, rates = (
            "mean, skewed" if features else "mean",
            simulation.coverage_of_mean(rng, n, alike, features, 10 * draws),
        )
    elif name == "bootstrap":
        title, rates = (
            "frechet, bootstrap",
            simulation.coverage_of_bootstrap(rng, POPULATIONS[features], n, alike, max(draws // 8, 1), 60),
        )
    else:
        title, rates = name, simulation.coverage_of_set(rng, name, POPULATIONS[features], n, alike, draws)
    return [
        title,
        "-" if name == "mean" else features,
        alike,
        n,
        _percent(rates["covered"]),
        "" if rates["covered"] >= CLAIMED else "low",
        _percent(rates["covers_mean"]),
        f"{rates['truth']:.3g}",
        f"{rates['estimate']:.3g}",
        f"{rates['plain']:.3g}",
    ]


def tables(seed: int, draws: int) -> list[tuple[str, list[str], list[list]]]:
    """Every simulation, as (title, heads of columns, rows); all shares in %."""
    bodies = {table: [] for table in TABLES}
    for place, (table, of) in enumerate(progress(plan(), "coverage", unit="cell")):
        bodies[table].append(cell(np.random.default_rng([seed, place]), table, of, draws))
    return [(title, heads, bodies[table]) for table, (title, heads) in TABLES.items()]


def _percent(share: float) -> str:
    return f"{100 * share:.1f}".removesuffix(".0")


def main() -> None:
    for title, heads, body in tables(seed=0, draws=200):
        cells = [list(map(str, line)) for line in (heads, *body)]
        widths = [max(map(len, column)) for column in zip(*cells)]
        print(f"\n{title}")
        for line in itertools.chain(cells[:1], [["-" * width for width in widths]], cells[1:]):
            print("  ".join(text.ljust(width) for text, width in zip(line, widths)).rstrip())


if __name__ == "__main__":
    main()
