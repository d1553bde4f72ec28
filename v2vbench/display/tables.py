"""Results for the notebooks: the tables and curves of each stage."""

import csv
from html import escape
from pathlib import Path

import numpy as np
from IPython.display import HTML, Image

from v2vbench.clips.damage import damaged
from v2vbench.clips.store import Store
from v2vbench.clips.tensors import to_tensors
from v2vbench.display.pictures import curves, strip
from v2vbench.metrics.warp_error import compute as warp_error


def table(rows: list[dict], caption: str) -> HTML:
    """Rows with equal keys as an HTML table; floats at 4 significant digits, None as a dash."""

    def text(value):
        return "–" if value is None else f"{value:.4g}" if isinstance(value, float) else escape(str(value))

    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in rows[0])
    body = "".join(f"<tr>{''.join(f'<td>{text(value)}</td>' for value in row.values())}</tr>" for row in rows)
    return HTML(
        f"<table><caption>{escape(caption)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    )


def facts(store: Store) -> HTML:
    """What the data set is, and what each split holds."""
    about = store.facts
    rows = [
        {
            "split": split,
            "what": about.groups.get(split, "training"),
            "clips": len(ids),
            "frames": sum(n),
            "frames a clip": f"{min(n)} to {max(n)}",
            "seconds": round(sum(n) / about.fps, 1),
        }
        for split in ("train", *about.groups)
        if (ids := store.split(split)) and (n := [store.clips[key]["n_frames"] for key in ids])
    ]
    return table(
        rows,
        f"{about.title}. {about.about} {about.size[1]}x{about.size[0]} px at {about.fps:g} frames a second; "
        f"source: {about.source} ({', '.join(about.label_names)}). From {about.origin}; licence {about.licence}.",
    )


def movement(store: Store, n_clips: int) -> HTML:
    """Of the first clips of each split: how much moves, and what is left when the motion is undone along the store's flow."""
    rows = []
    for split in filter(store.split, ("train", *store.facts.groups)):
        seen = [
            to_tensors(store.read(key, arrays=("real", "flow", "occluded"))) for key in store.split(split)[:n_clips]
        ]
        error = [
            [float(warp_error(c["real"], flow, c["occluded"]).nanmean()) for flow in (c["flow"], 0 * c["flow"])]
            for c in seen
        ]
        rows.append(
            {
                "split": split,
                "median motion, px": float(np.median([c["flow"].norm(dim=1).median() for c in seen])),
                "occluded, %": float(np.mean([100 * c["occluded"].mean() for c in seen])),
                "warp error": float(np.mean(error, 0)[0]),
                "the same without the flow": float(np.mean(error, 0)[1]),
            }
        )
    return table(rows, f"Motion of the real frames, up to {n_clips} clips a split")


def parts(model) -> HTML:
    """A model's modules: what they are, how many parameters, and which part's optimiser moves them."""
    owner = {id(p): part for part, parameters in model.parts().items() for p in parameters}
    rows = [
        {
            "module": name,
            "kind": type(module).__name__,
            "parameters": f"{sum(p.numel() for p in module.parameters()):,}",
            "trained as": ", ".join(sorted({owner[id(p)] for p in module.parameters() if id(p) in owner})) or "nothing",
        }
        for name, module in model.named_children()
    ]
    total = sum(p.numel() for p in model.parameters())
    rows.append({"module": "all", "kind": "", "parameters": f"{total:,}", "trained as": ""})
    return table(rows, "The model's modules")


def training(path: Path) -> Image | str:
    """The learning curves of a run, a panel a loss."""
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    if not rows:
        return "This model has nothing to train."
    steps = [int(float(row["step"])) for row in rows]
    losses = {name: {"": (steps, [float(row[name]) for row in rows])} for name in rows[0] if name != "step"}
    return curves(losses, "step", "Learning curves")


def scores(result: dict, group: str) -> HTML:
    """Every metric of a run on one group of clips, beside the same number of the real video."""
    rows = [
        {
            "metric": metric["title"],
            "unit": metric["unit"],
            "better": {"one": "near 1"}.get(metric["better"], metric["better"]),
            "value": metric["value"],
            "real video": metric.get("real", {}).get("value"),
            "protocol": metric["protocol"],
        }
        for metric in result["groups"][group]["metrics"].values()
    ]
    n = len(result["groups"][group]["clips"])
    return table(rows, f"{result['title']} on {group}, {n} clip{'s' * (n > 1)}; first frames: {result['first_frames']}")


def by_frame(result: dict) -> Image:
    """Each per-clip metric along the clips, a line a group."""
    panels = {}
    for group, scored in result["groups"].items():
        for metric in scored["metrics"].values():
            if metric["kind"] == "clip" and metric["value"] is not None:
                start = result["skip_frames"]
                panels.setdefault(metric["title"], {})[group] = (
                    range(start, start + len(metric["curve"])),
                    metric["curve"],
                )
    return curves(panels, "frame", f"{result['title']}: means over clips")


def ranked(result: dict, group: str, labels: list[str]) -> list[str]:
    """The clips of a group from the worst to the best, by the first of the metrics `labels` that scores single clips."""
    metrics = result["groups"][group]["metrics"]
    metric = next(metrics[label] for label in labels if metrics[label]["kind"] == "clip")
    good = {"higher": lambda v: v, "lower": lambda v: -v, "one": lambda v: -abs(np.log(max(v, 1e-12)))}[
        metric["better"]
    ]
    return [key for _, key in sorted(zip(map(good, metric["per_clip"]), result["groups"][group]["clips"]))]


def horizon(result: dict, group: str) -> Image:
    """A prediction's metrics by frames ahead, a line a method, with intervals."""
    panels = {
        metric["title"]: {
            name: (range(1, len(m["curve"]) + 1), m["curve"], *((m["low"], m["high"]) if m["low"] else ()))
            for name, m in metric["methods"].items()
        }
        for metric in result["groups"][group]["metrics"].values()
    }
    return curves(panels, "frames ahead", f"{result['title']} on {group}")


VERDICTS = {"better": "▲", "worse": "▼", "not distinguishable": "≈"}


def comparison(result: dict, dataset: str, group: str) -> HTML:
    """Every metric on one group: value, interval, * the best, and the verdict against the first run, of runs, then of controls."""
    about = result["datasets"][dataset]["groups"][group]
    runs, controls = ({key: own["title"] for key, own in some.items()} for some in (result["runs"], about["controls"]))
    rows = []
    for metric in about["metrics"].values():
        rows.append(
            {
                "metric": f"{metric['title']}{', ' * bool(metric['unit'])}{metric['unit']}{' (primary)' * metric['primary']}",
                "heading": metric["heading"],
                "better": {"one": "near 1"}.get(metric["better"], metric["better"]),
            }
        )
        rows[-1] |= {runs[run]: _scored(value) for run, value in metric["rows"].items()}
        rows[-1]["real video"] = metric["real"] and metric["real"]["value"]
        rows[-1] |= {
            title: _scored(metric["controls"][key]) if key in metric["controls"] else None
            for key, title in controls.items()
        }
        rows[-1]["fooled by"] = ", ".join(controls[key] for key in metric["fooled_by"]) or None
    families = about["families"]
    return table(
        rows,
        f"{result['datasets'][dataset]['title']}, {about['title']}, {about['n_clips']} clips of {about['n_clusters']} "
        f"{about['cluster']}s; against {runs[about['reference']]}: ▲ better, ▼ worse, ≈ not distinguishable, at "
        f"{100 * about['alpha']:.2g} % over the {families['primary']['n_tests']} tests of the primary metrics, and over the "
        f"{families['exploratory']['n_tests']} of the others, which are exploratory",
    )


def _scored(row: dict) -> str | None:
    if row["value"] is None:
        return None
    span = "" if row["low"] is None else f" ({row['low']:.3g} to {row['high']:.3g})"
    sign = f" {VERDICTS[row['verdict']['word']]}" if row["verdict"] else ""
    return f"{row['value']:.4g}{span}{' *' * row['best']}{sign}"


def worth(result: dict, dataset: str, group: str) -> HTML:
    """Each run's scores as levels of damage to the real video."""
    about = result["datasets"][dataset]["groups"][group]
    rows = [
        {"metric": metric["title"], "sees": metric["sees"]}
        | {
            result["runs"][run]["title"]: row["equivalent"] and row["equivalent"]["text"]
            for run, row in metric["rows"].items()
        }
        for metric in about["metrics"].values()
        if any(row["equivalent"] for row in metric["rows"].values())
    ]
    return table(rows, "What the scores are worth") if rows else HTML("<p>No ladder fits any of the metrics.</p>")


def beside_the_paper(result: dict) -> HTML:
    """The paper's comparisons, and what was found of each here."""

    def ratio(row):
        return row["ratio"] and f"{row['ratio']['value']:.3g} ({row['ratio']['low']:.3g} to {row['ratio']['high']:.3g})"

    rows = [
        {
            "table": row["table"],
            "what": row["what"],
            "methods": " / ".join(row["methods"]),
            "published": " / ".join(f"{value:g}" for value in row["published"].values()) or None,
            "published ratio": row["published_ratio"],
            "here": f"{row['dataset']}, {row['group']}",
            "our ratio": ratio(row),
            "the same leads": row["agrees"],
            "absent": row["absent"],
        }
        for row in result["ledger"]
    ]
    return (
        table(rows, "Tables 1 to 3 of the paper, and what was found here")
        if rows
        else HTML("<p>No benchmark data set.</p>")
    )


def preference(result: dict, dataset: str, group: str) -> HTML | str:
    """For each pair of runs, the share of clips on which the voting metrics prefer the first."""
    about = result["datasets"][dataset]["groups"][group]["preference"]
    rows = [
        {
            "run": result["runs"][pair["a"]]["title"],
            "against": result["runs"][pair["b"]]["title"],
            "share": pair["share"],
            "low": pair["low"],
            "high": pair["high"],
            "clips": pair["n_clips"],
        }
        for pair in about["pairs"]
    ]
    if not rows:
        return f"No votes: {about.get('reason') or 'there is one run'}."
    return table(rows, f"Share of clips on which {', '.join(about['metrics'])} prefer the first")


def spoiled(store: Store, result: dict, key: str) -> Image:
    """One frame of a clip at the mildest, a middle and the worst level of each ladder that changes what frames look like."""
    about, seed, rows = result["groups"][store.clips[key]["split"]], result["settings"]["seed"], {}
    frames = store.read(key, result["skip_frames"], arrays=["real"])["real"]
    t = len(frames) // 2
    for name, ladder in about["ladders"].items():
        if ladder["kind"] != "time":
            levels = [0, ladder["levels"][1], ladder["levels"][len(ladder["levels"]) // 2], ladder["levels"][-1]]
            rows[f"{name} {', '.join(f'{level:g}' for level in levels[1:])}"] = np.stack(
                [damaged(frames, name, level, key, seed)[t] for level in levels]
            )
    return strip(rows, ["untouched", "mild", "middle", "worst"], f"{store.facts.title}, clip {key}, frame {t}")


def misplaced(store: Store, result: dict, key: str, n: int) -> Image:
    """The first `n` frames of a clip, and what stands in their place at the worst level of each ladder of whole frames."""
    about, seed = result["groups"][store.clips[key]["split"]], result["settings"]["seed"]
    frames = store.read(key, result["skip_frames"], arrays=["real"])["real"]
    rows = {"untouched": frames[:n]} | {
        f"{name} {ladder['levels'][-1]:g}": damaged(frames, name, ladder["levels"][-1], key, seed)[:n]
        for name, ladder in about["ladders"].items()
        if ladder["kind"] == "time"
    }
    return strip(rows, [f"frame {t}" for t in range(min(n, len(frames)))], f"{store.facts.title}, clip {key}")


def climbs(result: dict, group: str, kind: str) -> Image | str:
    """Each metric along the ladders of one kind, a line a ladder; the rungs are numbered, since their units differ."""
    ladders, panels = result["groups"][group]["ladders"], {}
    for label, about in result["metrics"].items():
        for ladder in ladders.values():
            if ladder["kind"] == kind and label in ladder["metrics"]:
                values = ladder["metrics"][label]["values"]
                panels.setdefault(about["title"], {})[ladder["title"]] = range(len(values)), values
    return (
        curves(panels, "rung, 0 is untouched", f"Real clips of {group}, damaged")
        if panels
        else f"No ladder of kind {kind}."
    )


def senses(result: dict, group: str) -> HTML:
    """What each metric sees, and which ladders it does not climb: where a worse video did not score worse."""
    about, rows = result["groups"][group], []
    for label, sees in about["sees"].items():
        odd = [name for name, ladder in about["ladders"].items() if not ladder["metrics"][label]["monotone"]]
        rows.append(
            {
                "metric": result["metrics"][label]["title"],
                "sees": sees["word"],
                "space": sees["space"],
                "order": sees["order"],
                "shake": sees["shake"],
                "climbs": f"{len(about['ladders']) - len(odd)} of {len(about['ladders'])}",
                "not": ", ".join(odd) or None,
            }
        )
    return table(
        rows,
        f"{group}: the strongest response to a damage of all frames alike (space), to frames in another order, and to "
        "another warp in each frame beyond one and the same, as shares of the strongest response to any ladder",
    )


def controls(result: dict, group: str) -> HTML:
    """What each metric gives to videos that no method made, and which of these fool it."""
    about = result["groups"][group]
    rows = [
        {"metric": own["title"], "better": {"one": "near 1"}.get(own["better"], own["better"])}
        | {
            control["title"]: control["metrics"][label]["value"] if label in control["metrics"] else None
            for control in about["controls"].values()
        }
        | {"fooled by": fools(about, label)}
        for label, own in result["metrics"].items()
        if not own["absent"]
    ]
    told = " ".join(f"{control['title'].capitalize()}: {control['about']}" for control in about["controls"].values())
    return table(
        rows,
        f"{group}. {told} A metric is fooled by a video that costs no more than the worst of three mild damages of the "
        "real one (the mildest blur, noise and warp); where it may be chance, a question mark stands.",
    )


def fools(about: dict, label: str) -> str | None:
    """The controls that fool a metric, with a question mark where the interval does not leave out that they do not."""
    return (
        ", ".join(
            f"{about['controls'][own['control']]['title']}{'' if own['sure'] else ' (?)'}"
            for own in about["fooled"].get(label, ())
        )
        or None
    )
