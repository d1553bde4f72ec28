"""Recomputes what the pipeline measured, with numpy, scipy and scikit-image from the stores and params.yaml.

    python tests/independent.py PROJECT [PART ...]

PROJECT is a folder in which every stage has run; parts are runs, `calibrate` and `compare`, by default all. It prints
a line a number: name, theirs, ours, difference and tolerance. It leaves with 1 where one is off, and where a metric
that has a value is not known here.
Nothing of the package is imported, so that a wrong formula there is not repeated here by itself.
"""

import sys

import independent_calibrate as calibrate
import independent_compare as compare
import independent_networks as networks
import numpy as np
from independent_measure import check_score, measure, pooled_iou
from independent_project import Project, Report, Store, clusters_of


def check_run(report, project, run):
    """Every metric of every group of one run."""
    result = project.json("runs", f"{run}.json")
    dataset, fakes = result["dataset"], Store(project.root / "runs" / run / "clips.zip")
    store = project.stores[dataset]
    for group, own in result["groups"].items():
        _, members = clusters_of(own)
        report.word(f"{run} {group} clips", own["clips"], store.split(group))
        report.word(f"{run} {group} clusters", own["clusters"], [store.clips[clip]["cluster"] for clip in own["clips"]])
        videos = [project.scored(dataset, clip, fakes.read(clip)["fake"]) for clip in own["clips"]]
        reals = [project.scored(dataset, clip) for clip in own["clips"]]
        for label, score in own["metrics"].items():
            if score["value"] is None:
                continue
            name, where = project.line(label)[0], f"{run} {group} {label}"
            check_score(report, where, name, score, measure(project, label, videos, reals, members))
            if "real" in score:
                check_score(
                    report, f"{where} real", name, score["real"], measure(project, label, reals, reals, members)
                )
            if "floor" in score:
                check_score(report, f"{where} floor", name, score["floor"], guess(store, reals, members))


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
