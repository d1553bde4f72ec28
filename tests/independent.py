"""Recomputes what the pipeline measured, with numpy, scipy and scikit-image from the stores and params.yaml.

    python tests/independent.py PROJECT [PART ...]

PROJECT is a folder in which every stage has run; parts are runs, `calibrate`, `compare` and `future`, by default all.
It prints a line a number: name, theirs, ours, difference and tolerance. It leaves with 1 where one is off, and where a
metric that has a value is not known here.
Nothing of the package is imported, so that a wrong formula there is not repeated here by itself.
"""

import sys

import independent_calibrate as calibrate
import independent_compare as compare
import independent_future as future
import independent_networks as networks
import numpy as np
from independent_measure import check_score, measure, pooled_iou
from independent_project import Project, Report, Store, clusters_of


def check_run(report, project, run):
    """Every metric of every group of one run."""
    result = project.json("runs", f"{run}.json")
    dataset, fakes = result["dataset"], Store(project.root / "runs" / run / "clips.zip")
    store = project.stores[dataset]
    for name, group in result["groups"].items():
        clips, (_, members) = group["clips"], clusters_of(group)
        report.word(f"{run} {name} clips", clips, store.split(name))
        report.word(f"{run} {name} clusters", group["clusters"], [store.clips[clip]["cluster"] for clip in clips])
        videos = [project.scored(dataset, clip, fakes.read(clip)["fake"]) for clip in clips]
        reals = [project.scored(dataset, clip) for clip in clips]
        report.word(f"{run} {name} frames", group["n_frames"], max(len(clip["real"]) for clip in reals))
        for label, score in group["scores"].items():
            if score["fake"] is None:
                continue
            metric, where = project.line(label)[0], f"{run} {name} {label}"
            theirs = score["fake"] | {"drift": score["drift"]}
            check_score(report, where, metric, theirs, measure(project, label, videos, reals, members))
            if score["real"]:
                ours = measure(project, label, reals, reals, members)
                check_score(report, f"{where} real", metric, score["real"], ours)
            if score["floor"]:
                check_score(report, f"{where} floor", metric, score["floor"], guess(store, reals, members))


def guess(store, reals, members):
    """What the training clips' commonest label at each pixel scores by `segmentation`."""
    prior = networks.commonest_label([store.read(clip)["label"] for clip in store.split("train")])
    return pooled_iou(
        [networks.confusion(np.broadcast_to(prior, clip["label"].shape), clip["label"]) for clip in reals], members
    )


def main(root, *parts):
    project, report = Project(root), Report()
    checks = {run: check_run for run in project.params["runs"]} | {
        "calibrate": calibrate.check,
        "compare": compare.check,
        "future": future.check,
    }
    if unknown := [part for part in parts if part not in checks]:
        raise SystemExit(f"{unknown[0]}: no such part; there are {', '.join(checks)}")
    for part in parts or checks:
        checks[part](report, project, part)
    print(f"{report.n} numbers, {len(report.wrong)} wrong")
    return 1 if report.wrong or not report.n else 0


if __name__ == "__main__":
    if len(sys.argv) < 2:
        raise SystemExit(__doc__)
    sys.exit(main(*sys.argv[1:]))
