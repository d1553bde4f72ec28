"""Recomputes metrics/calibrate/<dataset>.json: controls, damages without chance, and what fools a metric."""

from functools import partial

from independent_compare import COST
from independent_controls import CONTROLS, LADDERS
from independent_measure import check_score, measure
from independent_project import clusters_of, estimate
from independent_statistics import interval, jackknife

HALF_LEVELS = (
    "blur",
    "blurred",
    "flow_carried",
)  # videos in which a value near half a level is rounded up or down by chance


def check(report, project, part):
    for dataset in project.params["datasets"]:
        result = project.json("calibrate", f"{dataset}.json")
        better_of = {label: metric["better"] for label, metric in result["metrics"].items()}
        for group, own in result["groups"].items():
            check_group(report, project, dataset, group, own)
            check_fooled(report, project, group, own, better_of)


def check_group(report, project, dataset, group, own):
    store, (sizes, members) = project.stores[dataset], clusters_of(own)
    reals = [project.scored(dataset, clip) for clip in own["clips"]]
    for key, control in own["controls"].items():
        if key not in CONTROLS:
            raise SystemExit(
                f"calibration.controls.{key} is not known to tests/independent_controls.py; write it there"
            )
        videos = [
            CONTROLS[key](store, clip, project.params["calibration"]["controls"][key] or {}, project.skip)
            for clip in own["clips"]
        ]
        videos = [project.scored(dataset, clip, video) for clip, video in zip(own["clips"], videos)]
        for label, score in control["scores"].items():
            check_score(
                report,
                f"calibrate {group} {key} {label}",
                project.line(label)[0],
                score,
                measure(project, label, videos, reals, members),
                key in HALF_LEVELS,
            )
    reals = [project.scored(dataset, clip, n_frames=own["n_frames"]) for clip in own["clips"]]
    untouched = scores(project, own, reals, lambda frames: frames, sizes, members)
    for key, ladder in own["ladders"].items():
        for place, level in enumerate(ladder["levels"]):
            if level == 0 or key in LADDERS:
                ours = (
                    scores(project, own, reals, partial(LADDERS[key], level=level), sizes, members)
                    if level
                    else untouched
                )
                check_rung(
                    report,
                    project,
                    f"calibrate {group} {key} {level:g}",
                    ladder,
                    place,
                    ours,
                    level and key in HALF_LEVELS,
                )


def check_fooled(report, project, group, own, better_of):
    """The controls that cost no more than the costliest mild damage, and the interval of the difference."""
    sizes, members = clusters_of(own)
    for label, told in own["fooled"].items():
        better = own_cost(COST[better_of[label]], members)
        mild = {name: better(score) for name, score in own["mild"][label].items()}
        worst = max(
            mild, key=lambda name: jackknife(*mild[name], sizes)[0] if len(mild[name][1]) > 1 else mild[name][0]
        )
        told = {row["control"]: row for row in told}
        for key, control in own["controls"].items():
            if label not in control["scores"]:
                continue
            value, without = better(control["scores"][label])
            apart = interval(
                value - mild[worst][0], [a - b for a, b in zip(without, mild[worst][1])], sizes, project.confidence
            )
            nothing = 1e-6 * max(abs(value), abs(mild[worst][0]))
            where = f"calibrate {group} {label} fooled by {key}"
            report.word(where, key in told, bool(apart[0] <= nothing))
            if key in told:
                report.word(f"{where} against", told[key]["against"], worst)
                for end, number in zip(("value", "low", "high"), apart):
                    report.number(
                        f"{where} difference {end}",
                        told[key]["difference"][end],
                        number,
                        (1e-7 * max(abs(value), abs(mild[worst][0])) + 1e-12, 1e-6),
                    )


def own_cost(cost, members):
    """A score as (value, replicates) of its cost."""

    def of(score):
        value, without = estimate(score, members)
        return cost(value), [cost(v) for v in without]

    return of


def scores(project, own, reals, damage, sizes, members):
    """{label: a metric of the damaged videos}; values are the jackknife's, as tables have them, where it has any."""
    videos, found = [clip | {"fake": damage(clip["real"])} for clip in reals], {}
    for label in next(iter(own["ladders"].values()))["metrics"]:
        ours = measure(project, label, videos, reals, members)
        value, without = estimate(ours, members)
        found[label] = ours | {"value": float(jackknife(value, without, sizes)[0]) if len(without) > 1 else value}
    return found


def check_rung(report, project, where, ladder, place, ours, half_levels):
    for label, own in ladder["metrics"].items():
        theirs = {key: own[key][place] for key in ("per_clip", "leave_one_out") if own[key] is not None}
        check_score(
            report,
            f"{where} {label}",
            project.line(label)[0],
            theirs | {"value": own["values"][place]},
            ours[label],
            half_levels,
        )
