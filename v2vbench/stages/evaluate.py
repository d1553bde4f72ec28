"""Every metric of params.yaml on one run's clips; per-clip scores are written, and no clip is left out."""

from pathlib import Path

from v2vbench.clips.store import Store
from v2vbench.machine import load_machine
from v2vbench.parallel import side_by_side
from v2vbench.params import Params, choose
from v2vbench.progress import progress
from v2vbench.results.record import write_csv
from v2vbench.results.runs import RunScores, ScoredGroup
from v2vbench.stages._launch import launch
from v2vbench.stages._ranks import ALONE, Ranks
from v2vbench.stages._same_clips import same_clips
from v2vbench.stages._scorer import ClipScores, Scorer
from v2vbench.stages._summaries import summaries

AT_ONCE = 2**28  # bytes of pixels scored at once; metrics need about 17 times as much memory
Job = tuple[str, int | None]  # a clip and one of the run's further training seeds; None: the first


def evaluate(params: Params, run: str, root: Path, ranks: Ranks = ALONE) -> RunScores:
    """Score run `run` on every test clip of its data set, a few clips in memory at a time.

    root      the project's folder; reads data/<dataset>.zip and runs/<run>/clips.zip; features are in .cache/features
    ranks     the processes that share the clips, of which this is one; started here where machine.yaml asks for several
    writes    metrics/runs/<run>.json, all scores, and metrics/frames/<run>.csv, means over clips by frame
    raises    Fault naming the clip that is missing, of another length or size, or has no finite value
    """
    line, machine = choose(params.runs, run, "runs"), load_machine(root)
    n = 1 if machine.devices == "auto" else machine.devices  # threads of one process use all cores of a machine
    if ranks is ALONE and n * machine.nodes > 1:
        launch("evaluate", run, root, n, machine)
        return RunScores.load(RunScores.path(root, run))
    scorer, fakes = Scorer.of_project(params, line.dataset, root), Store(root / "runs" / run / "clips.zip")
    store = scorer.store
    n_given, seeds = same_clips(store, fakes, params.protocol)
    scores = _score_clips(scorer, fakes, run, seeds, ranks)
    groups = {}
    for group in store.facts.groups:
        clips, clusters, where = store.split(group), scorer.clusters(group), f"group {group} of {run}"
        first, *further = (
            summaries(scorer, [scores[clip, seed] for clip in clips], clusters, where) for seed in (None, *seeds)
        )
        groups[group] = ScoredGroup(
            clips=clips,
            clusters=clusters,
            n_frames=scorer.n_frames(group),
            scores=first,
            seeds={
                str(seed): {label: score.fake for label, score in summary.items() if score.fake}
                for seed, summary in zip(seeds, further)
            },
        )
    result = RunScores(
        run=run,
        title=line.title,
        dataset=line.dataset,
        model=line.model,
        n_given=n_given,
        skip_frames=params.protocol.skip_frames,
        metrics=scorer.info,
        groups=groups,
    )
    if ranks.rank == 0:
        result.save(RunScores.path(root, run))
        write_csv(root / "metrics" / "frames" / f"{run}.csv", result.curves())
    return result


def _score_clips(scorer: Scorer, fakes: Store, run: str, seeds: list[int], ranks: Ranks) -> dict[Job, ClipScores]:
    """The per-clip scores of each training seed; clips are scored in parallel, as many at once as memory allows.

    Each process scores its share of the clips and gets the scores of all, so sums over clips are those of one process.
    """
    store = scorer.store
    ids = [clip for group in store.facts.groups for clip in store.split(group)]
    jobs: list[Job] = [(clip, seed) for seed in (None, *seeds) for clip in ids]
    longest = max(store.brief(clip)["n_frames"] for clip in store.clips)
    pixels = 2 * longest * store.facts.size[0] * store.facts.size[1] * 3

    def score(job: Job) -> ClipScores:
        clip, seed = job
        if seed is None:
            return scorer.score(scorer.read(clip, fakes=fakes), f"clip {clip} of {run}")
        arrays = scorer.read(clip, fakes=fakes, fake=f"{clip}@{seed}")
        return scorer.score(arrays, f"clip {clip} of {run}, seed {seed}", real=False)

    mine = jobs[ranks.rank :: ranks.n]
    scored = side_by_side(score, mine, max(1, AT_ONCE // pixels))
    shown = progress(scored, f"evaluate {run}", unit="clip", total=len(mine)) if ranks.rank == 0 else scored
    scores = {}
    for job, clip_scores in zip(mine, shown):
        scores[job] = clip_scores
        ranks.beat(f"has scored {len(scores)} of {len(mine)} clips")
    gathered = {job: clip_scores for part in ranks.gather(scores) for job, clip_scores in part.items()}
    return {job: gathered[job] for job in jobs}
