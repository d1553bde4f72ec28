"""Every metric of params.yaml on one run's clips: a value a clip is kept of each, and no clip is left out."""

from pathlib import Path

from v2vbench.clips.store import Store
from v2vbench.files import write_json
from v2vbench.parallel import side_by_side
from v2vbench.params import Params, choose
from v2vbench.progress import progress
from v2vbench.stages._same_clips import same_clips
from v2vbench.stages._scorer import Scorer

AT_ONCE = 2**28  # bytes of pixels that are scored at once: metrics take some 17 times as much of memory


def evaluate(params: Params, run: str, root: Path) -> dict:
    """Score run `run` on every test clip of its data set, one clip in memory at a time; writes metrics/runs/<run>.json.

    root      the project's folder: data/<dataset>.zip and runs/<run>/clips.zip are read, .cache/features is kept
    raises    Fault naming the clip that is missing, of another length or size, or has no finite value
    """
    line = choose(params.runs, run, "runs")
    scorer, fakes = Scorer(params, line.dataset, root), Store(root / "runs" / run / "clips.zip")
    store, skip = scorer.store, params.protocol.skip_frames
    given, seeds = same_clips(store, fakes, params.protocol)
    ids = [clip for group in store.facts.groups for clip in store.split(group)]
    jobs = [(clip, seed) for seed in (None, *seeds) for clip in ids]
    pixels = 2 * max(clip["n_frames"] for clip in store.clips.values()) * store.facts.size[0] * store.facts.size[1] * 3

    def score(job: tuple) -> dict:
        clip, seed = job
        fake, where = (
            (clip, f"clip {clip} of {run}")
            if seed is None
            else (f"{clip}@{seed}", f"clip {clip} of {run}, seed {seed}")
        )
        return scorer.clip(scorer.read(clip, fakes=fakes, fake=fake), where, real=seed is None)

    found = side_by_side(score, jobs, max(1, AT_ONCE // pixels))
    scores, groups = dict(zip(jobs, progress(found, f"evaluate {run}", unit="clip", total=len(jobs)))), {}
    for group in store.facts.groups:
        own, clusters = store.split(group), scorer.clusters(group)
        summaries = {
            seed: scorer.summary([scores[clip, seed] for clip in own], f"group {group} of {run}", clusters)
            for seed in (None, *seeds)
        }
        groups[group] = {"clips": own, "clusters": clusters, "metrics": summaries.pop(None)}
        if seeds:
            groups[group]["seeds"] = {str(seed): _of_seed(metrics) for seed, metrics in summaries.items()}
    result = {
        "run": run,
        "title": line.title,
        "dataset": line.dataset,
        "model": line.model,
        "groups": groups,
        "first_frames": f"{given} real frame{'s' if given > 1 else ''}" if given else "none",
        "skip_frames": skip,
    }
    write_json(root / "metrics" / "runs" / f"{run}.json", result)
    return result


def _of_seed(metrics: dict) -> dict:
    """What is kept of a further training seed: {label: value and per_clip or leave_one_out}, of metrics that have a value."""
    return {
        label: {key: metric[key] for key in ("value", "per_clip", "leave_one_out") if key in metric}
        for label, metric in metrics.items()
        if metric["value"] is not None
    }
