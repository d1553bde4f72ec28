"""Recomputes what the pipeline measured, with numpy, scipy and scikit-image from the stores and params.yaml: `independent.py PROJECT`.

Prints one line a number: name, theirs, ours, difference and tolerance; leaves with 1 where one is off, or where a metric has a value
that is not known here. Nothing of the package is imported, so that a wrong formula there is not repeated here by itself.
"""
import sys

import independent_compare as compare
import independent_metrics as formulas
import independent_networks as networks
import independent_statistics as statistics
import numpy as np
from independent_project import Project, Report, Store, clusters_of, pooled

PER_CLIP = {name: getattr(formulas, name) for name in (
    "psnr", "ssim", "ms_ssim", "warp_error", "flicker", "motion_ratio", "sharpness_ratio", "tof", "flow_error")}
SETS = {"frechet": statistics.frechet, "kernel": statistics.kernel_distance, "mmd": statistics.gauss_mmd}
# (absolute, relative). Theirs are of float32 pixels in [-1, 1], ours of whole numbers; JSON keeps 9 digits. Sets: rows are float32 sums.
ARITHMETIC = 1e-9, 1e-6
TOLERANCES = {"psnr": (1e-5, 0), "warp_error": (1e-9, 1e-4), "flow_error": (1e-3, 1e-3), "tof": (1e-5, 1e-5),
              "segmentation": (1e-4, 0), "frechet": (1e-4, 1e-4), "kernel": (1e-3, 1e-4), "mmd": (1e-4, 1e-4)}


def measure(project, label, videos, real_videos, members):
    """A metric of a group's videos, {"value", "per_clip" or "leave_one_out", "drift"}.

    videos, real_videos    the arrays of each clip, whose `fake` is the video; and the same with the real one
    members                see clusters_of
    """
    name, line = project.line(label)
    if name in PER_CLIP:
        values = [PER_CLIP[name](clip["fake"], clip["real"], clip, line) for clip in videos]
        per_clip = [float(np.mean(own)) for own in values]
        halves = [(own[-(len(own) // 2):], own[:len(own) // 2]) for own in values]
        return {"value": float(np.mean(per_clip)), "per_clip": per_clip, "drift": [float(b.mean() - a.mean()) for b, a in halves]}
    if name == "segmentation":
        judge = project.judge(line["judge"])
        counts = [networks.confusion(networks.read_labels(judge, clip["fake"]), clip["label"]) for clip in videos]
        return pooled(lambda keep: networks.mean_iou(sum(own for own, kept in zip(counts, keep) if kept)), members)
    if name in SETS:
        rows = [project.rows(clip["fake"], line["features"]) for clip in videos]
        real = [project.rows(clip["real"], line["features"]) for clip in real_videos]
        owners = np.concatenate([[np.flatnonzero([of[i] for of in members])[0]] * len(own) for i, own in enumerate(rows)])

        def distance(keep):
            chosen = np.repeat(keep, [len(own) for own in rows])
            return SETS[name](np.concatenate(rows)[chosen].astype(float), np.concatenate(real)[chosen].astype(float), owners[chosen], line)
        return pooled(distance, members)
    raise SystemExit(f"metrics.{label}: {name} has a value and is not known to tests/independent.py; write its formula there")


def check_score(report, where, name, theirs, ours):
    """value, per_clip or leave_one_out, and drift of one metric."""
    tolerance = TOLERANCES.get(name, ARITHMETIC)
    report.number(f"{where} value", theirs["value"], ours["value"], tolerance)
    for key in ("per_clip", "leave_one_out", "drift"):
        if theirs.get(key):
            report.word(f"{where} number of {key}", len(theirs[key]), len(ours.get(key, [])))
            for i, (one, other) in enumerate(zip(theirs[key], ours.get(key, []))):
                report.number(f"{where} {key} {i}", one, other, tolerance)


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
                check_score(report, f"{where} real", name, score["real"], measure(project, label, reals, reals, members))
            if "floor" in score:
                prior = networks.commonest_label([store.read(clip)["label"] for clip in store.split("train")])
                counts = [networks.confusion(np.broadcast_to(prior, clip["label"].shape), clip["label"]) for clip in reals]
                floor = pooled(lambda keep: networks.mean_iou(sum(one for one, kept in zip(counts, keep) if kept)), members)
                check_score(report, f"{where} floor", name, score["floor"], floor)


def main(root):
    project, report = Project(root), Report()
    for run in project.params["runs"]:
        check_run(report, project, run)
    compare.check(report, project)
    print(f"{report.n} numbers, {len(report.wrong)} wrong")
    return 1 if report.wrong or not report.n else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
