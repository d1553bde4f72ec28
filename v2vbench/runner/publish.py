"""Writes results/<suite>/: figures, provenance, weights and report of a suite that was run in this folder."""

import hashlib
import json
import re
import shutil
from collections.abc import Collection
from pathlib import Path

import torch
from safetensors.torch import load, save

from v2vbench import __version__
from v2vbench.clips.store import Store
from v2vbench.files import write_json, write_whole
from v2vbench.models import Trainable, is_discriminator
from v2vbench.params import SLUG, Fault, Params, choose
from v2vbench.report.provenance import Log, provenance
from v2vbench.stages._published import About, is_published, metadata
from v2vbench.stages._weights import build_model, of_seed

MB = 1_000_000
WEIGHTS_MB, REPORT_MB = 40, 25  # at most: they are kept in git
LICENCE = "Apache-2.0"  # of what the project makes
NOTEBOOK_LINK = re.compile(r'<a\b[^>]*href="notebooks/[^"]*"[^>]*>(.*?)</a>', re.DOTALL)


def publish(suite: str, params: Params, root: Path, runs: Collection[str] = ()) -> Path:
    """Write results/<suite>/ whole, in place of what was there; returns the folder.

    params.yaml                    as it was run
    compare.json, runs/, calibrate/, future/    the files of metrics/ of the same names
    provenance.json                revisions, machine, versions, seconds of every stage, data sets with licence
    weights/<run>.safetensors      what synthesis needs of the first training of a run, see `of_generator`
    report/                        index.html and media/; executed notebooks stay behind, and so do links to them
    manifest.json                  sha256 and bytes of every other file

    runs      whose weights are published; none: all that were trained here
    raises    Fault where params.yaml is another suite, a stage has not run, or the weights or the report are too large
    """
    if not re.fullmatch(SLUG, suite):
        raise Fault(f"publish: {suite!r} is not made of a-z, 0-9, _ and - (not as the first)")
    if suite != params.suite:
        raise Fault(f"publish: params.yaml is the suite {params.suite}, not {suite}; `v2vbench use {suite}` first")
    files = figures(params, root) | report(root) | weights(params, root, runs)
    files["provenance.json"] = (json.dumps(made(params, root), indent=1, sort_keys=True) + "\n").encode()
    out = root / "results" / suite
    partial = out.with_name(f"{suite}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        for name, content in files.items():
            write_whole(partial / name, content)
        listed = {
            name: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
            for name, content in files.items()
        }
        write_json(partial / "manifest.json", {"files": listed})
        shutil.rmtree(out, ignore_errors=True)
        partial.rename(out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return out


def figures(params: Params, root: Path) -> dict[str, bytes]:
    """params.yaml and the JSON files of metrics/ that it names, {path: content}; raises Fault where one is missing."""
    names = ["compare.json", *(f"runs/{key}.json" for key in params.runs)]
    names += [f"calibrate/{key}.json" for key in params.datasets if any(r.dataset == key for r in params.runs.values())]
    names += [f"future/{key}.json" for key in params.futures]
    return {"params.yaml": _read(root / "params.yaml")} | {name: _read(root / "metrics" / name) for name in names}


def report(root: Path) -> dict[str, bytes]:
    """reports/index.html and its media, {path: content}; raises Fault where they are missing or too large."""
    page = NOTEBOOK_LINK.sub(r"\1", _read(root / "reports/index.html").decode())
    media = {f"report/media/{path.name}": _read(path) for path in sorted((root / "reports/media").iterdir())}
    files = {"report/index.html": page.encode()} | media
    if (n := sum(map(len, files.values()))) > REPORT_MB * MB:
        cause = f"{n / MB:.1f} MB, and {REPORT_MB} are published at most; lower report.players or report.tile_px"
        raise Fault(f"publish: reports/index.html and media have {cause}, or raise report.crf, and run `dvc repro`")
    return files


def weights(params: Params, root: Path, runs: Collection[str]) -> dict[str, bytes]:
    """The published weights of some runs, or of all that were trained here, {path: content}.

    raises    Fault where a run has none, or all are too large together
    """
    trained = {key: line for key, line in (params.runs | params.predictors).items() if not is_published(line.base)}
    logs, files = {log.stem: log for log in provenance(params, root, []).logs}, {}
    for key in runs or trained:
        run = choose(trained, key, "publish: --runs")
        content = _read(root / params.folder(key) / "model.safetensors")
        store = Store(root / "data" / f"{run.dataset}.zip")
        model = build_model(params, key, store.facts)
        first = of_seed(load(content))
        try:
            model.load_state_dict(first)
        except RuntimeError as error:
            cause = str(error).splitlines()[0]
            raise Fault(f"{params.folder(key)}/model.safetensors: does not fit ({cause}); run `dvc repro`") from None
        if tensors := of_generator(model, first):
            about = _about(params, key, store, hashlib.sha256(content).hexdigest(), logs.get(f"train-{key}"))
            files[f"weights/{key}.safetensors"] = save(tensors, metadata(about))
        elif runs:
            raise Fault(f"publish: --runs: {key} has no weights")
    sizes = {Path(name).stem: len(content) / MB for name, content in files.items()}
    if sum(sizes.values()) > WEIGHTS_MB:
        each = ", ".join(f"{key} {size:.1f}" for key, size in sizes.items())
        cause = f"{sum(sizes.values()):.1f} MB, and {WEIGHTS_MB} are published at most"
        raise Fault(f"publish: the weights have {cause}; name runs by --runs ({each})")
    return files


def of_generator(model: Trainable, weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """What synthesis needs of a model's weights: parameters in float16, buffers as they are, no discriminators.

    float16 has 11 significant bits, bfloat16 8; a parameter that float16 cannot hold stays float32. Buffers are the
    mixtures of styles.
    """
    buffers = {name for name, _ in model.named_buffers()}
    tensors = {}
    for name, value in weights.items():
        if is_discriminator(name):
            continue
        half = value.half()
        tensors[name] = half if name not in buffers and half.isfinite().all() else value
    return tensors


def made(params: Params, root: Path) -> dict:
    """How the figures were made, from logs/ and the clip stores."""
    logs = provenance(params, root, []).logs
    if not logs:
        raise Fault("publish: logs/ holds no log of a stage of params.yaml; `make repro` writes them")

    def all_of(name: str) -> list:
        return sorted({getattr(log, name) for log in logs} - {None})

    data = {}
    for key in params.datasets:
        path = root / "data" / f"{key}.zip"
        facts = Store(path).facts
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        data[key] = {"title": facts.title, "origin": facts.origin, "licence": facts.licence, "sha256": sha256}
    return {
        "suite": params.suite,
        "v2vbench": __version__,
        "started": min(log.started for log in logs),
        "revisions": all_of("revision"),
        "lock_sha256": all_of("lock_sha256"),
        "python": all_of("python"),
        "torch": all_of("torch"),
        "device": all_of("device"),
        "host_cpu": all_of("host_cpu"),
        "params_sha256": hashlib.sha256(_read(root / "params.yaml")).hexdigest(),
        "seconds": {log.stem: log.seconds for log in logs},
        "peak_memory_mb": {log.stem: log.peak_memory_mb for log in logs},
        "data": data,
        "licence": LICENCE,
    }


def _about(params: Params, key: str, store: Store, sha256: str, log: Log | None) -> About:
    run, facts = params.run(key), store.facts
    train = [store.clips[clip] for clip in store.split("train")]
    return About(
        suite=params.suite,
        run=key,
        title=run.title,
        model=run.model,
        kwargs=run.kwargs,
        dataset=run.dataset,
        source=facts.source,
        label_names=list(facts.label_names),
        size=list(facts.size),
        train_clips=[clip["sha256"] for clip in train],
        train_clusters=sorted({clip["cluster"] for clip in train}),
        steps=params.schedules[run.schedule].steps,
        revision=log and log.revision,
        torch=log.torch if log else torch.__version__,
        sha256=sha256,
        licence=f"{LICENCE}; trained on {facts.title}, licence {facts.licence}",
    )


def _read(path: Path) -> bytes:
    """The bytes of a file; raises Fault where it is missing."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise Fault(f"publish: {path}: missing; `make repro` makes it") from None
