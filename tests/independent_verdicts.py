"""Recomputes the verdicts of metrics/compare.json, a family of tests at a time."""

from math import ceil, log2

import numpy as np
from independent_statistics import best_max_t_level, deltas, detectable, flip_p, holm, max_t, welch_p

CORRECTIONS = {"primary": "holm", "exploratory": "max-t", "controls": "max-t"}


def tested(table, family):
    """The metrics of a family: all but those that are biased or hidden, or that the reference has no value of."""
    primaries = table.project.params["protocol"]["primary"]
    return [
        label
        for label, metric in table.told["metrics"].items()
        if not table.project.line(label)[0].startswith("frechet")
        and not table.hidden(label, metric)
        and table.told["reference"] in table.estimates[label]
        and (family == "controls" or (label in primaries) == (family == "primary"))
    ]


def cells(table, family):
    """{(label, run or control): (deltas, Welch's p between seeds or None)} of a family's tests."""
    reference, found = table.told["reference"], {}
    for label in tested(table, family):
        better, against = table.told["metrics"][label]["better"], table.estimates[label][reference]
        others = table.held[label] if family == "controls" else table.estimates[label]
        for key, pair in others.items():
            if min(len(pair[1]), len(against[1])) > 1 and (family == "controls" or key != reference):
                seeds = None if family == "controls" else seeds_p(table, label, key, reference, better)
                found[label, key] = deltas(pair, against, table.sizes, better), seeds
    return found


def seeds_p(table, label, run, reference, better):
    values = [[table.mean_cost(pair) for pair in table.seeds[label][key]] for key in (run, reference)]
    return welch_p(*values, better) if min(map(len, values)) > 1 else None


def check_family(table, family, correction):
    """p, word and smallest detectable effect of every test."""
    tests, alpha, protocol = cells(table, family), table.told["alpha"], table.project.params["protocol"]
    where, n, rows = f"{table.where} {family}", len(table.sizes), [row for row, _ in tests.values()]
    table.report.word(f"{where} n_tests", table.told["families"][family]["n_tests"], len(tests))
    if family == "primary":
        # Tests that too few clusters make impossible count as well.
        wanted = sum(len(table.estimates[label]) - 1 for label in tested(table, family))
        needed = ceil(1 + log2(wanted / alpha) - 1e-9) if wanted else 0
        table.report.word(f"{where} clusters needed", table.told["clusters_needed"], needed if needed > n else None)
    if not tests:
        return
    exact = 2**n <= protocol["n_flips"]
    error = 1e-8 if exact else 5 * np.sqrt(0.25 / protocol["n_flips"]) * (len(tests) if correction == "holm" else 1)
    ps, level = corrected(rows, [p for _, p in tests.values()], correction, alpha)
    for ((label, key), (row, _)), p in zip(tests.items(), ps):
        metric, name = table.told["metrics"][label], f"{where} {label} {key}"
        verdict = metric["controls" if family == "controls" else "rows"][key]["verdict"]
        table.report.number(f"{name} p", verdict["p"], float(p), (error, 0))
        table.report.word(f"{name} family", verdict["family"], family)
        if exact or abs(p - alpha) > error:
            word = "not distinguishable" if p > alpha else "worse" if row.mean() > 0 else "better"
            table.report.word(f"{name} word", verdict["word"], word)
        effect = detectable(row, level, protocol["power"])
        if effect is not None and metric["better"] == "one":
            reference = max(table.mean_cost(table.estimates[label][table.told["reference"]]), 1e-9)
            effect = reference * np.expm1(effect) if effect < 20 else None
        table.report.number(f"{name} detectable", verdict["detectable"], effect, (1e-12, 1e-5 if exact else 0.5))


def corrected(rows, over_seeds, correction, alpha):
    """(adjusted p of each test, level of the first step). Of p over clusters and p over seeds the larger counts."""
    if correction == "holm":
        ps = holm([max(flip_p(row), p or 0) for row, p in zip(rows, over_seeds)])
        n = len(rows[0])
        steps = int(alpha / len(rows) * 2 ** (n - 1) * (1 + 1e-9))
        return ps, min(alpha / len(rows), steps / 2 ** (n - 1)) if steps else None
    ps, trained = max_t(rows), [i for i, p in enumerate(over_seeds) if p is not None]
    for i, p in zip(trained, holm([over_seeds[i] for i in trained])):
        ps[i] = max(ps[i], p)
    return ps, best_max_t_level(rows, alpha)
