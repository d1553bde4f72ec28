"""A made-up project for the report: 3 methods on stores of sliding planes, every number from a seeded generator."""

import json
from dataclasses import replace
from pathlib import Path

import nbformat
import numpy as np

from v2vbench import params
from v2vbench.clips.store import Store, facts_of_run, write_store

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
    ("blurred", "blur<red>", "the real video, blurred.", False),
    ("frozen", "frozen", "the first <real> frame, held", True),
    ("carried", "carried along", "The first frame, carried.", True),
)
FOOLED = {"psnr": ["blurred"], "ked": ["frozen", "blurred"]}
FAMILIES = {"primary": "holm", "exploratory": "max-t", "controls": "max-t"}
WORDS = (("worse", 0.0004), ("not distinguishable", 0.31), ("better", 0.02))
LADDERS = (
    ("blur", "σ {} px", "space"),
    ("<jpeg>", "quality {}", "space"),
    ("shuffle", "in blocks of {} frames", "time"),
    ("freeze", "frames", "time"),
    ("flicker", "", "both"),
)
VOTES = ((0.87, 0.8, 0.93), (0.4, 0.3, 0.55), (0.1, 0.02, 0.2))  # share, low, high of each pair


def interval(value, rng):
    return {"value": value, "low": value * (1 - rng.uniform(0.02, 0.06)), "high": value * (1 + rng.uniform(0.02, 0.06))}


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
    text = "\n".join(["step,G/adversarial,D", *rows]) if noise < 20 else ""
    (root / "runs" / run / "curves.csv").write_text(text)


def _row(i, against, value, label, better, n, rng, full):
    """One method's row of a metric: the second is worse than the first, the third cannot be told from it, and so on in turn.

    n    clusters; of one there is no interval, no verdict and no bar
    """
    row = (interval(value, rng) if n > 1 else {"value": value, "low": None, "high": None}) | {
        "best": i == 0,
        "verdict": None,
    }
    equivalent = {
        "text": f"as bad as {ODD} σ {i}.8 px" if better == "higher" else "at most as bad as flicker σ 2",
        "ladder": "blur",
        "level": i + 0.8,
        "low": i + 0.5 if n > 1 else None,
        "high": i + 1.0 if n > 1 else None,
    }
    if i and n > 1 and label not in MUTE | HIDDEN.keys():
        word, p = WORDS[(i - 1) % 3]
        row["verdict"] = {
            "against": against,
            "word": word,
            "p": p,
            "family": "primary" if label in PRIMARY else "exploratory",
            "detectable": None if label == "ked" else value / 70,
            "of": "method" if label == "psnr" and i == 1 else "weights",
        }
    seeds = {"n": 3, "values": [value, 0.9 * value, 1.1 * value], "low": 0.9 * value, "high": 1.1 * value}
    return row | {
        "equivalent": equivalent if label in ("psnr", "warp_error") else None,
        "seeds": seeds if full and not i else None,
        "bar": max(0.0, 0.74 - 0.3 * i) if full and n > 1 and label != "motion" else None,
    }


def _controls(label, scale, against, better, n, rng):
    """A row for each control: as those of methods, but never best nor told in levels of damage."""
    rows = {}
    for i, (key, *_) in enumerate(CONTROLS, 1):
        row = _row(i, against, scale * (1 + 0.3 * i), label, better, n, rng, False)
        rows[key] = row | {
            "equivalent": None,
            "bar": 0.1 * i if n > 1 and label != "motion" else None,
            "verdict": row["verdict"] and row["verdict"] | {"family": "controls"},
        }
    return rows


def _drift(own, value, rng):
    """The first method gets worse, the second better, and of the third nothing is known."""
    rows = [
        {"value": sign * value / 50, "low": sign * value / 50 - value / 80, "high": sign * value / 50 + value / 80}
        for sign in (-1, 1)
    ]
    return dict(
        zip(own, [*rows, {"value": None, "low": None, "high": None}, *(interval(value / 90, rng) for _ in own)])
    )


def _group(store, group, own, metrics, scored, rng, full):
    """One group of compare.json; fills `scored`, what metrics/runs/ holds of it. `full`: with controls, calibration and chances."""
    ids, about, keys = store.split(group), {}, list(own)
    clusters = [f"map {2 * i // len(ids)}" for i in range(len(ids))] if group == "seen" else ids
    n, n_frames = len(set(clusters)), max(store.clips[clip]["n_frames"] for clip in ids)
    for label, (kind, name, unit, better, scale) in metrics.items():
        fixed = {
            "kind": kind,
            "title": name,
            "unit": unit,
            "better": better,
            "protocol": f"{label}/1:made-up",
            "heading": "realism" if label in REALISM else "fidelity",
        }
        absent = ABSENT if scale is None else None
        present = not (absent or kind == "set" and n < 2)
        real = interval(scale * 0.9, rng) if better == "lower" and kind == "clip" and not absent else None
        about[label] = fixed | {
            "rows": {},
            "real": real,
            "absent": absent,
            "floor": {"value": 2 * scale, "low": None, "high": None} if real else None,
            "primary": label in PRIMARY,
            "sees": SEES[len(about) % len(SEES)] if full else None,
            "no_verdict": MUTE.get(label),
            "hidden": HIDDEN.get(label) if full else None,
            "fooled_by": FOOLED.get(label, []) if full else [],
            "controls": _controls(label, scale, keys[0], better, n, rng) if full and present else {},
            "drift": _drift(own, scale, rng)
            if full and n > 1 and kind == "clip" and present and label != "motion"
            else None,
        }
        for i, run in enumerate(own):
            groups = scored[run]["groups"].setdefault(group, {"clips": ids, "clusters": clusters, "metrics": {}})
            held = {
                "clip": {"per_clip": [], "curve": [], "drift": []},
                "pooled": {"leave_one_out": []},
                "set": {"leave_one_out": [], "n": 30, "n_clips": len(ids), "n_clusters": n, "rank": 29},
            }[kind]
            if not present:
                nothing = dict.fromkeys(("value", "low", "high", "verdict", "equivalent", "bar", "seeds")) | {
                    "best": False
                }
                about[label]["rows"][run] = nothing
                groups["metrics"][label] = (
                    fixed | held | {"value": None} | ({"absent": absent} if absent else {"note": "one clip"})
                )
                continue
            value = scale * (1 + 0.08 * i * (-1 if better == "higher" else 1))
            about[label]["rows"][run] = _row(i, keys[0], value, label, better, n, rng, full)
            curve = value * (1 - 0.01 * np.arange(n_frames - 2)) + rng.normal(0, scale / 50, n_frames - 2)
            held |= (
                {"per_clip": rng.uniform(0.5, 2, len(ids)).tolist(), "curve": curve.tolist()}
                if kind == "clip"
                else {"leave_one_out": [value] * n}
            )
            groups["metrics"][label] = fixed | {"value": value} | held
    pairs = [
        {
            "a": keys[i],
            "b": keys[(i + 1) % len(keys)],
            "share": share,
            "low": low,
            "high": high,
            "n_clips": len(ids),
            "n_clusters": n,
        }
        for i, (share, low, high) in enumerate(VOTES[: len(keys) if len(keys) > 2 else len(keys) - 1])
    ]
    voters = {
        "fidelity": {
            "label": "psnr" if "psnr" in metrics else None,
            "passed_over": {"fid": "has no value of <one> clip"},
        },
        "realism": {"label": "warp_error" if "warp_error" in metrics else None, "passed_over": {}},
    }
    reason = "there is one clip only, which says nothing of <others>" if n == 1 else None
    preference = {
        "metrics": [own["label"] for own in voters.values() if own["label"]],
        "voters": voters,
        "reason": reason,
        "pairs": [] if reason else pairs,
        "ranking": None,
        "win": None,
    }
    if full and n > 1:
        preference |= {"ranking": _ranking(keys, rng), "win": _win(pairs)}
    present = {
        label: metrics[label]
        for label, metric in about.items()
        if any(row["value"] is not None for row in metric["rows"].values())
    }
    n_tests = {
        name: sum(
            bool(row["verdict"]) and row["verdict"]["family"] == name
            for metric in about.values()
            for row in [*metric["rows"].values(), *metric["controls"].values()]
        )
        for name in FAMILIES
    }
    return {
        "title": store.facts.groups[group],
        "clips": ids,
        "clusters": clusters,
        "n_clips": len(ids),
        "n_clusters": n,
        "cluster": "map" if group == "seen" else "clip",
        "metrics": about,
        "preference": preference,
        "reference": keys[0],
        "controls": {
            key: {"title": title, "about": what, "feasible": feasible}
            for key, title, what, feasible in CONTROLS
            if full
        },
        "calibration": _ladders(present) if full else None,
        "alpha": 0.05,
        "clusters_needed": 8 if n == 2 else None,
        "families": {name: {"correction": FAMILIES[name], "n_tests": n_tests[name]} for name in FAMILIES},
    }


def _ranking(keys, rng):
    rows = [
        {"run": run, "strength": -20.0 * i, "low": -20.0 * i - 9, "high": -20.0 * i + rng.uniform(5, 9)}
        for i, run in enumerate(keys)
    ]
    return {
        "model": "Bradley-Terry with ties",
        "votes": 27,
        "connected": len(keys) < 4,
        "runs": rows,
        "note": "Ties are <half>.",
    }


def _win(pairs):
    """Chances that a made-up teacher foretells: as the votes, and one clip of each pair about which it says nothing."""
    curve = [
        {"predicted": p, "observed": p * p, "low": p * p - 0.1, "high": min(1, p * p + 0.1), "n": 40}
        for p in (0.1, 0.35, 0.6, 0.9)
    ]
    chances = [
        {key: pair[key] for key in ("a", "b", "low", "high", "n_clips")} | {"p": pair["share"], "n_no_evidence": 1}
        for pair in pairs
    ]
    chances[-1] |= {"p": None, "low": None, "high": None, "n_no_evidence": pairs[-1]["n_clips"]}
    return {
        "learned_from": "damages of known order",
        "accuracy": 0.91,
        "log_loss": 0.23,
        "curve": curve,
        "pairs": chances,
        "note": "of <3> metrics",
    }


def _ladders(metrics):
    """One ladder of each of LADDERS, every second one not monotone; the first says nothing of the warp error."""
    made = {}
    for i, (title, unit, kind) in enumerate(LADDERS):
        own = {
            label: {
                "values": [scale * (1 - 0.1 * level * (-1) ** (i * level)) for level in range(5)],
                "monotone": i % 2 == 0,
            }
            for label, (_, _, _, _, scale) in metrics.items()
            if i or label != "warp_error"
        }
        made[f"ladder{i}"] = {"title": title, "unit": unit, "kind": kind, "levels": [0, 0.5, 1, 2, 4], "metrics": own}
    return {"ladders": made, "n_frames": 7}


def ledger(dataset, groups):
    """Four entries of each group: one found, one found by a stand-in, one whose weights are absent, and one that no run is like."""
    both, told = ["vid2vid", "pix2pixHD"], []
    ours = {
        "vid2vid": {"value": 41.2, "low": 39.0, "high": 43.1},
        "pix2pixHD": {"value": 50.1, "low": 47.7, "high": 53.0},
    }
    for group in groups:
        first = {
            "table": "Table 1",
            "what": "video FID, <I3D>",
            "dataset": dataset,
            "group": group,
            "methods": both,
            "label": "fed",
            "published": dict(zip(both, (4.66, 5.57))),
            "published_ratio": 0.84,
            "ours": ours,
            "absent": None,
            "stand_in": False,
            "ratio": {"value": 0.82, "low": 0.77, "high": 0.88},
            "agrees": "the same one leads",
            "within": True,
            "difference": f"Other <clips>, of {group}: `lite0`.",
        }
        nothing = first | {"ours": None, "agrees": None, "within": None, "ratio": None}
        told += [
            first,
            first
            | {
                "what": "in its place",
                "published": {},
                "published_ratio": None,
                "agrees": None,
                "within": None,
                "stand_in": True,
            },
            nothing | {"label": "fid", "absent": ABSENT},
            nothing
            | {
                "table": "Table 3",
                "methods": ["vid2vid", "PredNet"],
                "published": {"vid2vid": 3.44, "PredNet": 11.18},
                "label": None,
                "absent": "not run in this suite: PredNet",
                "difference": "Never shown.",
            },
        ]
    return told


def project(root, names, methods=METHODS, metrics=METRICS, full=True):
    """Everything that the report reads, beside the stores that are in data/ already; returns the parameters.

    full    with all that compare.json may leave out
    """
    rng = np.random.default_rng(5)
    runs, scored, compare = {}, {}, {"confidence": 0.95, "datasets": {}, "runs": {}, "sentences": []}
    for dataset in names:
        store = Store(root / "data" / f"{dataset}.zip")
        facts, own = store.facts, {f"{dataset}_{i}": title for i, title in enumerate(methods)}
        for run, title in own.items():
            given, noise = methods[title]
            about = {"title": title, "dataset": dataset, "model": "none"}
            runs[run] = about | {
                "schedule": "short",
                "base": "none",
                "first_frames": "real" if given else "none",
                "seeds": [0],
                "kwargs": {},
            }
            compare["runs"][run] = about | {"first_frames": f"{given} real frames" if given else "none"}
            _run(root, store, run, title, given, noise, rng)
            scored[run] = {"groups": {}}
        groups = {group: _group(store, group, own, metrics, scored, rng, full) for group in facts.groups}
        compare["datasets"][dataset] = {
            "title": facts.title,
            "about": facts.about,
            "standing": facts.standing,
            "fps": facts.fps,
            "size": facts.size,
            "groups": groups,
        }
        for group, title in facts.groups.items():
            compare["sentences"] += [
                {"dataset": dataset, "group": group, "text": text, "detail": detail}
                for text, detail in (
                    (f"vid2vid is <better> on {title}.", False),
                    (f"pix2pixHD against it, on {group}: worse.", True),
                )
            ]
    compare["ledger"] = ledger(names[0], compare["datasets"][names[0]]["groups"]) if full else []
    for folder in ("future", "runs"):
        (root / "metrics" / folder).mkdir(parents=True)
    for name, content in {"compare": compare, **{f"runs/{run}": content for run, content in scored.items()}}.items():
        (root / "metrics" / f"{name}.json").write_text(json.dumps(content))
    shipped = params.load(Path(__file__).parents[1] / "params.yaml")
    return replace(
        shipped,
        suite="made-up",
        about="Numbers <made up> by a test.",
        datasets={name: {} for name in names},
        protocol=replace(shipped.protocol, skip_frames=2),
        judges={},
        forecasts={},
        predictions={},
        styles={},
        metrics={label: shipped.metrics[label] for label in ("psnr", "warp_error")},
        schedules={"short": replace(next(iter(shipped.schedules.values())), seed=0)},
        runs={run: params.bind(params.Run, line, "test") for run, line in runs.items()},
        report={"players": 2, "players_by": "psnr", "tile_px": 128, "crf": 14},
    )


def extras(root, dataset, groups, titles, n_steps=8):
    """What may be missing: a prediction, logs and an executed notebook; and a log and a notebook of no run."""
    steps, methods = np.arange(1, n_steps + 1), {}
    for i, title in enumerate(titles):
        curve = 30 - steps * (i + 1) / 2
        low, high = (curve - 1).tolist(), (curve + 1).tolist()
        methods[title] = {"curve": curve.tolist(), "low": low, "high": high, "per_clip": []}
    metric = {"title": "PSNR", "unit": "dB", "better": "higher", "protocol": "psnr/1:made-up", "methods": methods}
    content = {
        "prediction": "ahead",
        "title": "labels forecast, then vid2vid",
        "dataset": dataset,
        "n_past": 4,
        "horizon": n_steps,
        "fps": 10.0,
        "groups": {group: {"clips": ["a", "b"], "metrics": {"psnr": metric}} for group in groups},
    }
    (root / "metrics" / "future" / "ahead.json").write_text(json.dumps(content))
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
