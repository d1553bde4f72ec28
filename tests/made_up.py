"""A made-up project for the report: 3 methods on stores of sliding planes, every number from a seeded generator."""
import json
from dataclasses import replace
from pathlib import Path

import nbformat
import numpy as np

from v2vbench import clips, params

ODD = '<b>"copy" & last</b>'
METHODS = {"vid2vid": (2, 2.0), "pix2pixHD": (0, 8.0), ODD: (2, 30.0)}    # title: frames given, grey levels of noise
METRICS = {"psnr": ("clip", "PSNR", "dB", "higher", 28.0), "warp_error": ("clip", "warp error", "", "lower", 0.0021),
           "motion": ("clip", "motion ratio", "", "one", 0.93), "fed": ("set", "FED-Lite0 frames", "", "lower", 41.0)}
VOTES = ((0.87, 0.8, 0.93), (0.4, 0.3, 0.55), (0.1, 0.02, 0.2))           # share, low, high of each pair


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
    clips.write(root / "runs" / run / "clips.zip", clips.renamed(store.facts, run, title), made)
    steps = np.arange(1, 60)
    losses = np.stack([steps, 40 * np.exp(-steps / 20) + rng.uniform(1, 2, 59), rng.uniform(0, 2, 59)], 1)
    rows = [",".join(f"{value:.6g}" for value in row) for row in losses]
    text = "\n".join(["step,G/adversarial,D", *rows]) if noise < 20 else ""
    (root / "runs" / run / "curves.csv").write_text(text)


def _group(store, group, own, metrics, scored, rng):
    """One group of compare.json; fills `scored`, what metrics/runs/ holds of it."""
    ids, about, keys = store.split(group), {}, list(own)
    n, n_frames = len(ids), max(store.clips[clip]["n_frames"] for clip in ids)
    for label, (kind, name, unit, better, scale) in metrics.items():
        fixed = {"kind": kind, "title": name, "unit": unit, "better": better, "protocol": f"{label}/1:made-up"}
        real = interval(scale * 0.9, rng) if better == "lower" and kind == "clip" else None
        about[label] = fixed | {"rows": {}, "real": real}
        for i, run in enumerate(own):
            value = scale * (1 + 0.08 * i * (-1 if better == "higher" else 1))
            row = interval(value, rng) if n > 1 else {"value": value, "low": None, "high": None}
            about[label]["rows"][run] = row | {"best": i == 0, "tied": i == 1 and label == "psnr"}
            curve = value * (1 - 0.01 * np.arange(n_frames - 2)) + rng.normal(0, scale / 50, n_frames - 2)
            held = {"per_clip": rng.uniform(0.5, 2, n).tolist(), "curve": curve.tolist()} if kind == "clip" else {
                "leave_one_out": [value] * n, "n": 30, "n_clips": n, "rank": 29}
            groups = scored[run]["groups"].setdefault(group, {"clips": ids, "metrics": {}})
            groups["metrics"][label] = fixed | {"value": value} | held
    pairs = [{"a": keys[i], "b": keys[(i + 1) % len(keys)], "share": share, "low": low, "high": high, "n_clips": n}
             for i, (share, low, high) in enumerate(VOTES[:len(keys) if len(keys) > 2 else len(keys) - 1])]
    preference = {"metrics": [label for label in ("psnr", "warp_error") if label in metrics], "pairs": pairs}
    return {"title": store.facts.groups[group], "clips": ids, "n_clips": n, "metrics": about, "preference": preference}


def project(root, names, methods=METHODS, metrics=METRICS):
    """Everything that the report reads, beside the stores that are in data/ already; returns the parameters."""
    rng = np.random.default_rng(5)
    runs, scored, compare = {}, {}, {"confidence": 0.95, "datasets": {}, "runs": {}, "sentences": []}
    for dataset in names:
        store = clips.Store(root / "data" / f"{dataset}.zip")
        facts, own = store.facts, {f"{dataset}_{i}": title for i, title in enumerate(methods)}
        for run, title in own.items():
            given, noise = methods[title]
            about = {"title": title, "dataset": dataset, "model": "none"}
            runs[run] = about | {"schedule": "short", "base": "none", "first_frames": "real" if given else "none", "kwargs": {}}
            compare["runs"][run] = about | {"first_frames": f"{given} real frames" if given else "none"}
            _run(root, store, run, title, given, noise, rng)
            scored[run] = {"groups": {}}
        groups = {group: _group(store, group, own, metrics, scored, rng) for group in facts.groups}
        compare["datasets"][dataset] = {"title": facts.title, "about": facts.about, "standing": facts.standing,
                                        "fps": facts.fps, "size": facts.size, "groups": groups}
        for group, title in facts.groups.items():
            text = f"{title.capitalize()}, {len(store.split(group))} clips: beware of {group}."
            compare["sentences"].append({"dataset": dataset, "group": group, "text": text})
    for folder in ("future", "runs"):
        (root / "metrics" / folder).mkdir(parents=True)
    for name, content in {"compare": compare, **{f"runs/{run}": content for run, content in scored.items()}}.items():
        (root / "metrics" / f"{name}.json").write_text(json.dumps(content))
    shipped = params.load(Path(__file__).parents[1] / "params.yaml")
    return replace(
        shipped, suite="made-up", about="Numbers <made up> by a test.", datasets={name: {} for name in names},
        protocol=replace(shipped.protocol, skip_frames=2), preference=[], forecasts={}, predictions={}, styles={},
        metrics={label: shipped.metrics[label] for label in ("psnr", "warp_error")},
        schedules={"short": replace(next(iter(shipped.schedules.values())), seed=0)},
        runs={run: params.bind(params.Run, line, "test") for run, line in runs.items()},
        report={"players": 2, "players_by": "psnr", "tile_px": 128, "crf": 14})


def extras(root, dataset, groups, titles, n_steps=8):
    """What may be missing: a prediction, logs and an executed notebook; and a log and a notebook of no run."""
    steps, methods = np.arange(1, n_steps + 1), {}
    for i, title in enumerate(titles):
        curve = 30 - steps * (i + 1) / 2
        low, high = (curve - 1).tolist(), (curve + 1).tolist()
        methods[title] = {"curve": curve.tolist(), "low": low, "high": high, "per_clip": []}
    metric = {"title": "PSNR", "unit": "dB", "better": "higher", "protocol": "psnr/1:made-up", "methods": methods}
    content = {"prediction": "ahead", "title": "labels forecast, then vid2vid", "dataset": dataset, "n_past": 4,
               "horizon": n_steps, "fps": 10.0,
               "groups": {group: {"clips": ["a", "b"], "metrics": {"psnr": metric}} for group in groups}}
    (root / "metrics" / "future" / "ahead.json").write_text(json.dumps(content))
    (root / "logs").mkdir()
    machine = {"started": "2026-01-02T03:04:05+00:00", "python": "3.11.9", "torch": "2.15.0", "device": "cpu",
               "host_cpu": "2 x a processor", "revision": "0123abcd", "lock_sha256": "feed"}
    for stage, key, seconds in (("data", dataset, 61.4), ("train", f"{dataset}_0", 3671.0), ("train", "gone", 9e9)):
        log = machine | {"stage": stage, "key": key, "seconds": seconds, "peak_memory_mb": 512.3 + seconds}
        (root / "logs" / f"{stage}-{key}.json").write_text(json.dumps(log))
    out, png = nbformat.v4.new_output, "iVBORw0KGgo="
    outputs = [out("stream", text="<x>\n"),
               out("display_data", {"image/png": png, "text/plain": "<Figure size 640x480>"},
                   metadata={"image/png": {"alt": "two curves & a <band>"}}),
               out("display_data", {"image/png": png}),
               out("execute_result", {"text/html": "<table><tr><td>1</td></tr></table>", "text/plain": "1"})]
    cells = [nbformat.v4.new_markdown_cell("# Training *vid2vid*\n\nwith `code`", id="0"),
             nbformat.v4.new_code_cell("print('<x>')", id="1", outputs=outputs)]
    folder = root / "reports" / "notebooks"
    folder.mkdir(parents=True, exist_ok=True)
    for stem in (f"train-{dataset}_0", "train-gone"):
        nbformat.write(nbformat.v4.new_notebook(cells=cells), folder / f"{stem}.ipynb")
