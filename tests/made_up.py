"""A made-up project for the report: 3 methods on stores of sliding planes, every number from a seeded generator."""

import json
from dataclasses import replace
from pathlib import Path

import nbformat
import numpy as np

from v2vbench import params
from v2vbench.clips.store import Store, facts_of_run, write_store
from v2vbench.results.calibration import ControlInfo
from v2vbench.results.comparison import (
    Accuracy,
    ComparedDataset,
    ComparedGroup,
    ComparedMetric,
    Comparison,
    CrossValidation,
    DamageCurves,
    Equivalent,
    Family,
    People,
    Preference,
    PublishedEntry,
    Ranking,
    ReliabilityBin,
    Row,
    Seeds,
    Sentence,
    Strength,
    Verdict,
    VotePair,
    Voter,
    VoteShare,
    Win,
    WinModel,
    WinPair,
)
from v2vbench.results.future import Ahead, Entry, FutureScores, HorizonCurve, PredictedGroup, Winner
from v2vbench.results.metric import Interval, MetricInfo, Score
from v2vbench.results.runs import RunInfo, RunScore, RunScores, ScoredGroup, SetSize

ODD = '<b>"copy" & last</b>'
METHODS = {"vid2vid": (2, 2.0), "pix2pixHD": (0, 8.0), ODD: (2, 30.0)}  # title: frames given, grey levels of noise
METRICS = {
    "psnr": ("clip", "PSNR", "dB", "higher", 28.0),
    "warp_error": ("clip", "warp error", "", "lower", 0.0021),
    "motion": ("clip", "motion ratio", "", "one", 0.93),
    "fed": ("set", "FED-Lite0 frames", "", "lower", 41.0),
    "ked": ("set", "KED-Lite0 <frames>", "×10⁻³", "lower", 12.0),
    "miou": ("pooled", "mIoU", "", "higher", 0.27),
    "fid": ("set", "FID", "", "lower", None),
    "lpips": ("clip", "LPIPS <alex>", "", "lower", None),
}  # None: absent weights
REALISM, PRIMARY = ("warp_error", "motion", "fed", "ked", "fid"), ("psnr", "ked", "warp_error")
HIDDEN = {"miou": "the real video is <no> better than a guess"}  # where there is a control to be hidden by
MUTE = {"fed": "biased at this number of <clips>"}
ABSENT = "weights absent: inception2015 (pt_inception.pth, 91 MB): `v2vbench fetch weights` brings <them>"
SEES = ("space", "both", "time", "neither")
CONTROLS = (
    ("blurred", "blur<red>", "The real video, blurred.", False),
    ("frozen", "frozen", "The first <real> frame, held.", True),
    ("carried", "carried along", "The first frame, carried.", True),
)
N_PAST, N_FUTURE, N_SAMPLES = 4, 8, 3  # frames seen and predicted, and futures drawn
PREDICTORS = {  # key: title, model, and grey levels of noise on the real future
    "guess": ("label <forecast>, then vid2vid", "forecast", 6.0),
    "held": ("last frame", "copy_last", 40.0),
    "draws": ("one that draws", "none", 12.0),
    "truth": ("true labels, then vid2vid", "true_labels", 2.0),
}
REFERENCE, CEILING = "guess", "truth"
WAYS = {"": ("one sample", 1), ":best": ("best of n", N_SAMPLES), ":mean": ("mean of n", N_SAMPLES)}  # of "draws"
FORESEEN = METRICS | {"ked+past": ("set", "KED-Lite0 <frames>, with the past", "×10⁻³", "lower", 7.0)}
FOOLED = {"psnr": ["blurred"], "ked": ["frozen", "blurred"]}
FAMILIES = {"primary": "holm", "exploratory": "max-t", "controls": "max-t"}
WORDS = (("worse", 0.0004), ("not distinguishable", 0.31), ("better", 0.02))
LADDERS = (
    ("blur", "σ {} px", "space"),
    ("<jpeg>", "quality {}", "space"),
    ("shuffle", "in blocks of {} frames", "time"),
    ("freeze", "for {} frames", "time"),
    ("flicker", "σ {}", "both"),
)
VOTES = ((0.87, 0.8, 0.93), (0.4, 0.3, 0.55), (0.1, 0.02, 0.2))  # share, low, high of each pair


def interval(value, rng):
    return Interval(value=value, low=value * (1 - rng.uniform(0.02, 0.06)), high=value * (1 + rng.uniform(0.02, 0.06)))


def _run(root, store, run, title, given, noise, rng):
    """The real frames with noise, and learning curves where the noise is little enough to look trained."""
    made = []
    for clip in store.clips.values():
        real = store.read(clip["id"])["real"]
        shown = (real + rng.normal(0, noise, real.shape)).clip(0, 255).astype(np.uint8)
        shown[:given] = real[:given]
        made.append(({"id": clip["id"], "split": clip["split"], "given": given}, {"fake": shown}))
    write_store(root / "runs" / run / "clips.zip", facts_of_run(store.facts, run, title), made)
    steps = np.arange(1, 60)
    losses = np.stack([steps, 40 * np.exp(-steps / 20) + rng.uniform(1, 2, 59), rng.uniform(0, 2, 59)], 1)
    rows = [",".join(f"{value:.6g}" for value in row) for row in losses]
    rows = [f"{row},{1 / step:.6g}" if step > 30 else f"{row}," for step, row in zip(steps, rows)]  # a loss begins late
    text = "\n".join(["step,G/adversarial,D,D_video", *rows]) if noise < 20 else ""
    (root / "runs" / run / "curves.csv").write_text(text)


def _row(i, against, value, label, better, n, rng, full):
    """One method's row of a metric: the second is worse than the first, the third not distinguishable, and so on.

    n    clusters; of one there is no interval, no verdict and no bar
    """
    verdict, several = None, n > 1
    if i and several and label not in MUTE | HIDDEN.keys():
        word, p = WORDS[(i - 1) % 3]
        verdict = Verdict(
            against=against,
            word=word,
            p=p,
            family="primary" if label in PRIMARY else "exploratory",
            detectable=None if label == "ked" else value / 70,
            of="method" if label == "psnr" and i == 1 else "weights",
        )
    kind = "as bad as" if better == "higher" or not several else "at most as bad as"
    what, unit = (ODD, "σ {} px") if better == "higher" else ("flicker", "σ {}")
    equivalent = Equivalent(
        kind=kind,
        ladder="blur",
        what=what,
        unit=unit,
        level=i + 0.8,
        low=i + 0.5 if several else None,
        high=i + 1.0 if several else None,
    )
    estimate = interval(value, rng) if several else Interval(value=value, low=None, high=None)
    return Row(
        **vars(estimate),
        best=i == 0,
        verdict=verdict,
        equivalent=equivalent if label in ("psnr", "warp_error") else None,
        way=max(0.0, 0.74 - 0.3 * i) if full and several and label != "motion" else None,
        seeds=Seeds(values=[value, 0.9 * value, 1.1 * value]) if full and not i else None,
    )


def _controls(label, scale, against, better, n, rng, keys):
    """A row for each control: as those of methods, but never best nor worded as damage."""
    rows = {}
    for i, key in enumerate(keys, 1):
        row = _row(i, against, scale * (1 + 0.3 * i), label, better, n, rng, False)
        rows[key] = replace(
            row,
            equivalent=None,
            way=0.1 * i if n > 1 and label != "motion" else None,
            verdict=row.verdict and replace(row.verdict, family="controls"),
        )
    return rows


def _drift(runs, value, rng):
    """The first method gets worse, the second better, and of the third nothing is known."""
    drifts = [
        Interval(value=sign * value / 50, low=sign * value / 50 - value / 80, high=sign * value / 50 + value / 80)
        for sign in (-1, 1)
    ]
    return dict(zip(runs[:2], drifts)) | {run: interval(value / 90, rng) for run in runs[3:]}


def _info(label, kind, title, unit, better, scale):
    return MetricInfo(
        title=title,
        unit=unit,
        better=better,
        heading="realism" if label in REALISM else "fidelity",
        kind=kind,
        protocol=f"{label}/1:made-up",
        no_verdict=MUTE.get(label),
        absent=ABSENT if scale is None else None,
    )


def _metric(label, info, scale, runs, n, rng, full, controls):
    """One metric of a group on all runs and controls; `scale` None: it has no value."""
    real = interval(scale * 0.9, rng) if scale and info.better == "lower" and info.kind == "clip" else None
    values = [] if scale is None else [_value(scale, info.better, i) for i in range(len(runs))]
    drifts = full and n > 1 and scale and info.kind == "clip" and label != "motion"
    return ComparedMetric(
        **vars(info),
        primary=label in PRIMARY,
        hidden=HIDDEN.get(label) if full else None,
        sees=SEES[list(METRICS).index(label) % len(SEES)] if full and label in METRICS else None,
        fooled_by=FOOLED.get(label, []) if full else [],
        rows={
            run: _row(i, runs[0], value, label, info.better, n, rng, full)
            for i, (run, value) in enumerate(zip(runs, values))
        },
        controls=_controls(label, scale, runs[0], info.better, n, rng, controls) if scale else {},
        real=real,
        floor=Interval(value=2 * scale, low=None, high=None) if real else None,
        drift=_drift(runs, scale, rng) if drifts else None,
    )


def _value(scale, better, i):
    return scale * (1 + 0.08 * i * (-1 if better == "higher" else 1))


def _score(info, scale, i, n_clips, n, n_frames, rng):
    """One metric of run `i` on a group."""
    size = SetSize(n_rows=30, n_clips=n_clips, n_clusters=n, rank=29) if info.kind == "set" else None
    nothing = RunScore(fake=None, real=None, floor=None, curve=None, drift=None, size=size, note=None)
    if scale is None:
        return nothing if info.absent else replace(nothing, note="one clip")
    value, is_clip = _value(scale, info.better, i), info.kind == "clip"
    curve = value * (1 - 0.01 * np.arange(n_frames - 2)) + rng.normal(0, scale / 50, n_frames - 2)
    score = Score(
        value=value,
        per_clip=rng.uniform(0.5, 2, n_clips).tolist() if is_clip else None,
        leave_one_out=None if is_clip else [value] * n,
    )
    return replace(nothing, fake=score, curve=curve.tolist() if is_clip else None)


def _group(store, name, runs, infos, metrics, rng, full, controls=()):
    """One group as metrics/compare.json has it, and as metrics/runs/ has it of each run.

    full        with calibration and chances
    controls    lines like CONTROLS
    """
    clips = store.split(name)
    clusters = [f"map {2 * i // len(clips)}" for i in range(len(clips))] if name == "seen" else clips
    n, n_frames = len(set(clusters)), max(store.clips[clip]["n_frames"] for clip in clips)
    scales = {label: None if infos[label].kind == "set" and n < 2 else line[-1] for label, line in metrics.items()}
    keys = [key for key, *_ in controls]
    compared = {label: _metric(label, infos[label], scales[label], runs, n, rng, full, keys) for label in metrics}
    scored = {
        run: ScoredGroup(
            clips=clips,
            clusters=clusters,
            n_frames=n_frames - 2,
            scores={
                label: _score(infos[label], scale, i, len(clips), n, n_frames, rng) for label, scale in scales.items()
            },
            seeds={},
        )
        for i, run in enumerate(runs)
    }
    verdicts = [
        row.verdict.family
        for metric in compared.values()
        for row in (*metric.rows.values(), *metric.controls.values())
        if row.verdict
    ]
    title = store.facts.groups[name]
    group = ComparedGroup(
        title=title,
        clips=clips,
        clusters=clusters,
        cluster="map" if name == "seen" else "clip",
        reference=runs[0],
        alpha=0.05,
        families={
            family: Family(correction=correction, n_tests=verdicts.count(family))
            for family, correction in FAMILIES.items()
        },
        clusters_needed=8 if name == "seen" else None,
        metrics=compared,
        controls={
            key: ControlInfo(title=words, about=about, feasible=feasible) for key, words, about, feasible in controls
        },
        n_frames=7,
        damage=_ladders({label: scale for label, scale in scales.items() if scale}) if full else {},
        preference=_preference(runs, metrics, len(clips), n, rng, full),
        sentences=[
            Sentence(text=f"vid2vid is <better> on {title}.", detail=False),
            Sentence(text=f"pix2pixHD against it, on {name}: worse.", detail=True),
        ],
    )
    return group, scored


def _preference(runs, metrics, n_clips, n, rng, full):
    passed_over = {"fid": "has no value of <one> clip"}
    voters = {
        "fidelity": Voter(label="psnr" if "psnr" in metrics else None, passed_over=passed_over),
        "realism": Voter(label="warp_error" if "warp_error" in metrics else None, passed_over={}),
    }
    nothing = Preference(voters=voters, reason=None, pairs=[], ranking=None, win=None)
    if n == 1:
        return replace(nothing, reason="there is one clip only, which says nothing of <others>")
    pairs = [
        VotePair(
            a=runs[i],
            b=runs[(i + 1) % len(runs)],
            share=VoteShare(value=value, low=low, high=high, n_votes=n_clips, n_clips=n_clips, n_clusters=n),
        )
        for i, (value, low, high) in enumerate(VOTES[: len(runs) if len(runs) > 2 else len(runs) - 1])
    ]
    more = {"ranking": _ranking(runs, rng), "win": _win(pairs)} if full else {}
    return replace(nothing, pairs=pairs, **more)


def _ranking(runs, rng):
    strengths = [
        Strength(run=run, elo=Interval(value=-20.0 * i, low=-20.0 * i - 9, high=-20.0 * i + rng.uniform(5, 9)))
        for i, run in enumerate(runs)
    ]
    return Ranking(
        model="Bradley-Terry with ties",
        n_votes=27,
        connected=len(runs) < 4,
        strengths=strengths,
        note="ties are <half>",
    )


def _win(pairs):
    """Chances that a made-up teacher predicts: as the votes, and one clip of each pair about which it says nothing."""

    def share(value):
        return VoteShare(value=value, low=value - 0.1, high=min(1, value + 0.1), n_votes=40, n_clips=3, n_clusters=2)

    alone = Accuracy(accuracy=0.8, adjacent=None)
    held_out = CrossValidation(
        n_folds=2,
        n_pairs=160,
        n_no_evidence=0,
        accuracy=share(0.91),
        adjacent=None,
        log_loss=0.23,
        log_loss_of_a_coin=0.693,
        metrics={"psnr": alone},
        majority=alone,
        best_metric="psnr",
        folds={},
    )
    model = WinModel(
        weights={"psnr": 1.0},
        scales={"psnr": 1.0},
        learned_from="damages of known order",
        n_pairs=160,
        n_adjacent=0,
        n_clips=3,
        n_clusters=2,
        better={"psnr": "higher"},
        reach={"psnr": 9.0},
        apart="cluster",
        without={},
        ridges={},
        cross_validation={"cluster": held_out},
        curve=[
            ReliabilityBin(low=p - 0.1, high=p + 0.1, predicted=p, observed=share(p * p)) for p in (0.1, 0.35, 0.6, 0.9)
        ],
    )
    chances = [
        WinPair(
            a=pair.a,
            b=pair.b,
            chance=Interval(value=pair.share.value, low=pair.share.low, high=pair.share.high),
            ridges=(pair.share.low, pair.share.high),
            n_clips=pair.share.n_clips,
            n_no_evidence=1,
        )
        for pair in pairs
    ]
    chances[-1] = replace(chances[-1], chance=None, ridges=None, n_no_evidence=chances[-1].n_clips)
    return Win(model=model, pairs=chances, note="of <3> metrics", passed_over={"people": "no votes of <people>"})


def people(runs, labels, asked="Which looks <real>?", simulated=False):
    """What made-up raters said of each two of the runs; of the last label nothing is known."""

    def share(value, n_votes=180):
        return VoteShare(
            value=value, low=value - 0.1, high=min(1.0, value + 0.1), n_votes=n_votes, n_clips=20, n_clusters=20
        )

    predicted = {label: share(0.72 - 0.06 * i, 160) for i, label in enumerate(labels[:-1])}
    alone = Accuracy(accuracy=0.7, adjacent=None)
    held_out = CrossValidation(
        n_folds=12,
        n_pairs=180,
        n_no_evidence=0,
        accuracy=share(0.74),
        adjacent=None,
        log_loss=0.5,
        log_loss_of_a_coin=0.693,
        metrics={"psnr": alone},
        majority=alone,
        best_metric="psnr",
        folds={"<script>alert(1)</script>": 0.7},
    )
    strengths = [
        Strength(run=run, elo=Interval(value=120.0 - 90 * i, low=60.0 - 90 * i, high=180.0 - 90 * i))
        for i, run in enumerate(runs)
    ]
    return People(
        asked=asked,
        simulated=simulated,
        studies=["0123456789abcdef"],
        n_raters=12,
        excluded={"hurried": 2, "failed a catch": 1},
        refused={"no such <trial>": 3},
        n_votes=180,
        n_ties=20,
        n_clips=20,
        pairs=[
            VotePair(a=a, b=b, share=share(0.71 - 0.15 * i)) for i, (a, b) in enumerate(zip(runs, [*runs[1:], runs[0]]))
        ],
        ranking=Ranking(
            model="Bradley-Terry with ties and sides", n_votes=180, connected=True, strengths=strengths, note=None
        ),
        left=share(0.55, 160),
        side=Interval(value=0.2, low=-0.1, high=0.5),
        alpha=Interval(value=0.31, low=0.2, high=0.42),
        repeats=share(0.81, 36),
        ceiling=share(0.78, 160),
        agreement={**predicted, labels[-1]: None},
        proxy=share(0.69, 160),
        learned={"clip": held_out, "rater": replace(held_out, accuracy=share(0.76))},
        note="7 votes of simulated raters not counted, since <people> answered",
    )


def _ladders(scales):
    """One ladder of each of LADDERS, every second one not monotone; the first says nothing of the warp error."""
    ladders = {}
    for i, (title, unit, kind) in enumerate(LADDERS):
        values = {
            label: [scale * (1 - 0.1 * level * (-1) ** (i * level)) for level in range(5)]
            for label, scale in scales.items()
            if i or label != "warp_error"
        }
        ladders[f"ladder{i}"] = DamageCurves(
            title=title,
            unit=unit,
            kind=kind,
            levels=[0, 0.5, 1, 2, 4],
            values=values,
            monotone=dict.fromkeys(values, i % 2 == 0),
        )
    return ladders


def published(dataset, groups):
    """Three entries of each group: one measured, one by a stand-in, and one without weights."""
    entries = []
    for group in groups:
        first = PublishedEntry(
            table="Table 1",
            what="video FID, <I3D>",
            dataset=dataset,
            group=group,
            methods=["vid2vid", "pix2pixHD"],
            label="fed",
            published={"vid2vid": 4.66, "pix2pixHD": 5.57},
            published_ratio=0.84,
            ours={
                "vid2vid": Interval(value=41.2, low=39.0, high=43.1),
                "pix2pixHD": Interval(value=50.1, low=47.7, high=53.0),
            },
            absent=None,
            stand_in=False,
            ratio=Interval(value=0.82, low=0.77, high=0.88),
            agrees="the same one leads",
            within=True,
            difference=f"Other <clips>, of {group}: `lite0`.",
        )
        nothing = replace(first, ours=None, agrees=None, within=None, ratio=None)
        entries += [
            first,
            replace(
                first, what="in its place", published={}, published_ratio=None, agrees=None, within=None, stand_in=True
            ),
            replace(nothing, label="fid", absent=ABSENT),
        ]
    return entries


def published_predictions(dataset, groups):
    """Two entries of each group: one measured, and one that no predictor is like."""
    entries = []
    for group in groups:
        first = PublishedEntry(
            table="Table 3",
            what="video FID, <I3D>",
            dataset=dataset,
            group=group,
            methods=["vid2vid", "MCNet"],
            label="ked",
            published={"vid2vid": 3.44, "MCNet": 10.0},
            published_ratio=0.344,
            ours={
                "vid2vid": Interval(value=51.3, low=49.0, high=53.6),
                "MCNet": Interval(value=90.2, low=87.7, high=93.0),
            },
            absent=None,
            stand_in=False,
            ratio=Interval(value=0.57, low=0.52, high=0.61),
            agrees="the same one leads",
            within=False,
            difference=f"Other <futures>, of {group}.",
        )
        nothing = replace(first, ours=None, agrees=None, within=None, ratio=None, label=None)
        entries += [
            first,
            replace(
                nothing,
                methods=["vid2vid", "PredNet"],
                published={"vid2vid": 3.44, "PredNet": 11.18},
                absent="not run in this suite: PredNet",
                difference="Never shown.",
            ),
        ]
    return entries


def project(root, names, methods=METHODS, metrics=METRICS, full=True):
    """Everything that the report reads, beside the stores that are in data/ already; returns the parameters.

    full    with all that compare.json may leave out
    """
    rng = np.random.default_rng(5)
    infos = {label: _info(label, *line) for label, line in metrics.items()}
    lines, runs, datasets = {}, {}, {}
    for dataset in names:
        store = Store(root / "data" / f"{dataset}.zip")
        facts, keys = store.facts, [f"{dataset}_{i}" for i in range(len(methods))]
        for run, (title, (n_given, noise)) in zip(keys, methods.items()):
            runs[run] = RunInfo(title=title, dataset=dataset, model="none", n_given=n_given)
            lines[run] = params.Run(
                title=title,
                dataset=dataset,
                model="none",
                schedule="short",
                base="none",
                first_frames="real" if n_given else "none",
                seeds=[0],
                kwargs={},
            )
            _run(root, store, run, title, n_given, noise, rng)
        controls = CONTROLS if full else ()
        groups = {group: _group(store, group, keys, infos, metrics, rng, full, controls) for group in facts.groups}
        for run in keys:
            RunScores(
                **vars(runs[run]),
                run=run,
                skip_frames=2,
                metrics=infos,
                groups={group: scored[run] for group, (_, scored) in groups.items()},
            ).save(RunScores.path(root, run))
        datasets[dataset] = ComparedDataset(
            title=facts.title,
            about=facts.about,
            standing=facts.standing,
            fps=facts.fps,
            size=facts.size,
            groups={group: compared for group, (compared, _) in groups.items()},
        )
    entries = published(names[0], datasets[names[0]].groups) if full else []
    comparison = Comparison(confidence=0.95, runs=runs, datasets=datasets, published=entries)
    comparison.save(Comparison.path(root))
    shipped = params.load(Path(__file__).parents[1] / "params.yaml")
    return replace(
        shipped,
        suite="made-up",
        about="Numbers <made up> by a test.",
        datasets={name: {} for name in names},
        protocol=replace(shipped.protocol, skip_frames=2),
        judges={},
        predictors={},
        futures={},
        styles={},
        metrics={label: shipped.metrics[label] for label in ("psnr", "warp_error")},
        schedules={"short": replace(next(iter(shipped.schedules.values())), seed=0)},
        runs=lines,
        report={"players": 2, "players_by": "psnr", "tile_px": 128, "crf": 14},
    )


def _entries():
    """As stages/future.py names them: those that draw stand there three times."""
    entries = {}
    for key, (title, model, _) in PREDICTORS.items():
        ways = WAYS if key == "draws" else {"": ("deterministic", 1)}
        for end, (sampling, n_samples) in ways.items():
            entries[f"{key}{end}"] = Entry(
                predictor=key, title=title, model=model, sampling=sampling, n_samples=n_samples, ceiling=key == CEILING
            )
    return entries


def _horizon(label, i, n_clips):
    """Entry number i of a metric: worse by a step, by an entry, and by a clip; of label mIoU no values of clips."""
    away, start = np.arange(1, N_FUTURE + 1) * (i + 1) / 2, {"psnr": 30.0, "warp_error": 0.1}.get(label, 1.0)
    per_clip = np.stack([start - (away + clip if start == 30 else -0.01 * away) for clip in range(n_clips)])
    curve = per_clip.mean(0)
    low, high = (curve - 1).tolist(), (curve + 1).tolist()
    rows = None if label == "label_miou" else per_clip.tolist()
    return HorizonCurve(curve=curve.tolist(), low=low, high=high, per_clip=rows)


def _predicted_group(store, group, infos, entries, rng):
    """One group as metrics/future/ has it: "guess" wins at first, and nobody knows what comes later."""
    fixed = [key for key, one in entries.items() if one.sampling == "deterministic" and not one.ceiling]
    ceiling = ((CEILING, PREDICTORS[CEILING][0], "Is given the <true> future.", False),)
    table, _ = _group(store, group, fixed, infos, FORESEEN, rng, False, ceiling)
    curves = {
        label: {entry: _horizon(label, i, len(table.clips)) for i, entry in enumerate(entries)}
        for label in ("psnr", "warp_error")
    }
    curves["label_miou"] = {entry: _horizon("label_miou", i, 1) for i, entry in enumerate(fixed)}

    def value(entry, step, label):
        one = curves[label][entry]
        return Interval(value=one.curve[step - 1], low=one.low[step - 1], high=one.high[step - 1])

    def winner(entry, step, tied):
        return Winner(steps_ahead=step, entry=entry, value=value(entry, step, "psnr"), tied=tied)

    return PredictedGroup(
        table=replace(
            table,
            n_frames=N_FUTURE,
            sentences=[
                Sentence(text=f"label <forecast> wins on {table.title}.", detail=False),
                Sentence(text=f"last frame against it, on {group}: worse.", detail=True),
            ],
        ),
        samples={
            f"draws{end}": {"psnr": Interval(value=20.0 + i, low=19.0 + i, high=21.5 + i)}
            | ({} if end else {"warp_error": Interval(value=0.004, low=None, high=None)})
            for i, end in enumerate(WAYS)
        },
        curves=curves,
        ahead={
            "psnr": {
                "guess": Ahead(first=1, last=5),
                "draws": Ahead(first=None, last=None),
                "truth": Ahead(first=1, last=8),
            },
            "label_miou": {"guess": Ahead(first=2, last=3)},
        },
        notes={},
        winners={"psnr": [winner("guess", 1, []), winner("guess", 2, ["held"]), winner("held", 5, ["guess"])]},
    )


def _predictions(root, store, dataset, groups, rng):
    """futures/<dataset>/<predictor>.zip: the past, then the real future with noise; of "held", the last past frame."""
    for key, (title, _, noise) in PREDICTORS.items():
        made = []
        for clip in (clip for group in groups for clip in store.split(group)):
            real = store.read(clip)["real"][: N_PAST + N_FUTURE]
            for sample in range(N_SAMPLES if key == "draws" else 1):
                fake = (real + rng.normal(0, noise, real.shape)).clip(0, 255).astype(np.uint8)
                if key == "held":
                    fake[:] = real[N_PAST - 1]
                fake[:N_PAST] = real[:N_PAST]
                about = {"id": f"{clip}@{sample}" if sample else clip, "split": store.clips[clip]["split"]}
                made.append((about | {"given": N_PAST, "sample": sample}, {"fake": fake}))
        write_store(root / "futures" / dataset / f"{key}.zip", facts_of_run(store.facts, key, title), made)


def future_scores(store, dataset, groups):
    """What the stage `future` leaves of a data set: FutureScores of PREDICTORS."""
    rng = np.random.default_rng(7)
    infos = {label: _info(label, *line) for label, line in FORESEEN.items()}
    infos = {label: replace(info, protocol=f"{info.protocol}:4-seen:8-ahead") for label, info in infos.items()}
    shown = _info("label_miou", "pooled", "label mIoU", "", "higher", 0.5)
    entries = _entries()
    return FutureScores(
        dataset=dataset,
        title=store.facts.title,
        video="vid2vid",
        n_past=N_PAST,
        n_future=N_FUTURE,
        fps=store.facts.fps,
        confidence=0.95,
        metrics=infos | {"label_miou": shown},
        entries=entries,
        groups={group: _predicted_group(store, group, infos, entries, rng) for group in groups},
        published=published_predictions(dataset, groups),
    )


def extras(root, bound, dataset, groups):
    """What may be missing: a future, logs and an executed notebook; and those of lines that params.yaml lacks.

    returns    the parameters with the lines of the future
    """
    store, rng = Store(root / "data" / f"{dataset}.zip"), np.random.default_rng(7)
    future = future_scores(store, dataset, groups)
    future.save(FutureScores.path(root, dataset))
    replace(future, dataset="gone", title="gone").save(FutureScores.path(root, "gone"))
    _predictions(root, store, dataset, groups, rng)
    lines = {
        key: params.TrainedModel(title=title, dataset=dataset, model=model, schedule="short", base="none", kwargs={})
        for key, (title, model, _) in PREDICTORS.items()
    }
    for key in lines:
        (root / "predictors" / key).mkdir(parents=True)
        (root / "predictors" / key / "curves.csv").write_text("step,G\n1,0.9\n2,0.5\n" if key == "guess" else "")
    line = params.Future(
        video=f"{dataset}_0",
        n_past=N_PAST,
        n_future=N_FUTURE,
        n_samples=N_SAMPLES,
        seed=0,
        primary=["psnr", "warp_error", "ked"],
    )
    (root / "logs").mkdir()
    machine = {
        "started": "2026-01-02T03:04:05+00:00",
        "python": "3.11.9",
        "torch": "2.15.0",
        "device": "cpu",
        "host_cpu": "2 x a processor",
        "revision": "0123abcd",
        "lock_sha256": "feed",
    }
    for stage, key, seconds in (("data", dataset, 61.4), ("train", f"{dataset}_0", 3671.0), ("train", "gone", 9e9)):
        log = machine | {"stage": stage, "key": key, "seconds": seconds, "peak_memory_mb": 512.3 + seconds}
        (root / "logs" / f"{stage}-{key}.json").write_text(json.dumps(log))
    out, png = nbformat.v4.new_output, "iVBORw0KGgo="
    outputs = [
        out("stream", text="<x>\n"),
        out(
            "display_data",
            {"image/png": png, "text/plain": "<Figure size 640x480>"},
            metadata={"image/png": {"alt": "two curves & a <band>"}},
        ),
        out("display_data", {"image/png": png}),
        out("execute_result", {"text/html": "<table><tr><td>1</td></tr></table>", "text/plain": "1"}),
    ]
    cells = [
        nbformat.v4.new_markdown_cell("# Training *vid2vid*\n\nwith `code`", id="0"),
        nbformat.v4.new_code_cell("print('<x>')", id="1", outputs=outputs),
    ]
    folder = root / "reports" / "notebooks"
    folder.mkdir(parents=True, exist_ok=True)
    for stem in (f"train-{dataset}_0", "train-gone"):
        nbformat.write(nbformat.v4.new_notebook(cells=cells), folder / f"{stem}.ipynb")
    return replace(bound, predictors=lines, futures={dataset: line})
