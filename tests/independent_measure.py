"""A metric of a group of clips by the formulas written anew, and its comparison with theirs."""

import independent_metrics as formulas
import independent_motion as motion
import independent_networks as networks
import independent_statistics as statistics
import numpy as np

PER_CLIP = {
    "psnr": formulas.psnr,
    "ssim": formulas.ssim,
    "ms_ssim": formulas.ms_ssim,
    "flicker": formulas.flicker,
    "motion_ratio": formulas.motion_ratio,
    "sharpness_ratio": formulas.sharpness_ratio,
    "tof": motion.tof,
    "warp_error": motion.warp_error,
    "flow_error": motion.flow_error,
    "track_error": motion.track_error,
    "track_drift": motion.track_drift,
}
SETS = {"frechet": statistics.frechet, "kernel": statistics.kernel_distance, "mmd": statistics.gauss_mmd}
# (absolute, relative). Theirs are of float32 pixels in [-1, 1], ours of whole numbers; JSON keeps 9 digits.
# Rows of features are float32 sums in another order; the flow estimator is given frames resized by other code.
ARITHMETIC = 1e-9, 1e-6
TOLERANCES = {
    "psnr": (1e-5, 0),
    "warp_error": (1e-9, 1e-4),
    "flow_error": (1e-3, 1e-3),
    "track_drift": (1e-3, 1e-3),
    "tof": (1e-5, 1e-5),
    "segmentation": (1e-4, 0),
    "frechet": (1e-4, 1e-4),
    "kernel": (1e-3, 1e-4),
    "mmd": (1e-4, 1e-4),
}


def measure(project, label, videos, real_videos, members):
    """A metric of a group's videos, {"value", "per_clip" or "leave_one_out", "drift"}.

    videos, real_videos    the arrays of each clip, whose `fake` is the video; and the same with the real one
    members                see clusters_of
    """
    name, line = project.line(label)
    if name in PER_CLIP:
        values = [PER_CLIP[name](clip["fake"], clip["real"], clip, line) for clip in videos]
        per_clip = [float(np.mean(clip)) for clip in values]
        halves = [(clip[-(len(clip) // 2) :], clip[: len(clip) // 2]) for clip in values]
        return {
            "value": float(np.mean(per_clip)),
            "per_clip": per_clip,
            "drift": [float(b.mean() - a.mean()) for b, a in halves],
        }
    if name == "segmentation":
        judge = project.judge(line["judge"])
        counts = [networks.confusion(networks.read_labels(judge, clip["fake"]), clip["label"]) for clip in videos]
        return pooled_iou(counts, members)
    if name in SETS:
        rows = [project.rows(clip["fake"], line["features"]) for clip in videos]
        real = [project.rows(clip["real"], line["features"]) for clip in real_videos]
        owners = np.concatenate(
            [[np.flatnonzero([of[i] for of in members])[0]] * len(own) for i, own in enumerate(rows)]
        )

        def distance(keep):
            chosen = np.repeat(keep, [len(own) for own in rows])
            return SETS[name](
                np.concatenate(rows)[chosen].astype(float),
                np.concatenate(real)[chosen].astype(float),
                owners[chosen],
                line,
            )

        return pooled(distance, members)
    raise SystemExit(
        f"metrics.{label}: {name} has a value and is not known to tests/independent.py; write its formula there"
    )


def pooled_iou(counts, members):
    """Mean IoU of the summed confusion matrices of clips."""
    return pooled(lambda keep: networks.mean_iou(sum(own for own, kept in zip(counts, keep) if kept)), members)


def pooled(function, members):
    """A number of all clips, and without each cluster if all leave enough; `function` takes which clips to keep."""
    without = [function(~of) for of in members] if len(members) > 1 else []
    return {
        "value": float(function(np.ones(len(members[0]), bool))),
        "leave_one_out": [] if None in without else [float(value) for value in without],
    }


def check_score(report, where, name, theirs, ours, half_levels=False):
    """value, per_clip or leave_one_out, and drift; `half_levels`: pixels of the video may be a level apart."""
    tolerance = TOLERANCES.get(name, ARITHMETIC)
    if half_levels:
        tolerance = 10 * tolerance[0], 2e-2 if name in SETS else 5e-3
    report.number(f"{where} value", theirs["value"], ours["value"], tolerance)
    for key in ("per_clip", "leave_one_out", "drift"):
        if theirs.get(key) is not None:
            report.word(f"{where} number of {key}", len(theirs[key]), len(ours.get(key, [])))
            for i, (one, other) in enumerate(zip(theirs[key], ours.get(key, []))):
                report.number(
                    f"{where} {key} {i}", one, other, (tolerance[0] + tolerance[1] * abs(theirs["value"]), tolerance[1])
                )
