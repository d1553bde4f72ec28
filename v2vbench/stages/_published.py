"""Published weights, results/<suite>/weights/<run>.safetensors: what they are, and whether they may be used here."""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from v2vbench.params import PUBLISHED, Fault, Run, TrainedModel, bind, brief, shorten

if TYPE_CHECKING:
    from v2vbench.clips.store import Store

ABOUT = "v2vbench"  # the entry of the file's metadata; one, since safetensors writes several in any order
LONGEST_HEADER = 100_000_000  # bytes, as in safetensors


@dataclass(frozen=True, kw_only=True)
class About:
    """What the metadata of a file of published weights say of it."""

    suite: Annotated[str, "that the run is of"]
    run: Annotated[str, "its key in the suite's params.yaml"]
    title: Annotated[str, "the method's name in tables"]
    model: Annotated[str, "a file of v2vbench/models"]
    kwargs: Annotated[dict, "of the model"]
    dataset: Annotated[str, "key of the data set that it is trained on"]
    source: Annotated[str, "labels or maps"]
    label_names: Annotated[list[str], "of the labels, or of the channels of the maps"]
    size: Annotated[list[int], "H, W in pixels"]
    train_clips: Annotated[list[str], "sha256 of the training clips"]
    train_clusters: Annotated[list[str], "clusters of the training clips: maps, drives, persons"]
    steps: Annotated[int, "of the training"]
    revision: Annotated[str | None, "of the code that trained it; null where it is not known"]
    torch: Annotated[str, "version that trained it"]
    sha256: Annotated[str, "of the run's model.safetensors, with discriminators and in full precision"]
    licence: Annotated[str, "of the weights"]


def metadata(about: About) -> dict[str, str]:
    """What `about` is as metadata of a safetensors file; equal content gives equal bytes."""
    return {ABOUT: json.dumps(asdict(about), sort_keys=True, ensure_ascii=False)}


def read_about(content: bytes, where: str) -> About:
    """The metadata of a file of published weights; raises Fault if it has none."""
    try:
        n = int.from_bytes(content[:8], "little")
        if n > LONGEST_HEADER:
            raise ValueError("no safetensors file")
        return bind(About, json.loads(json.loads(content[8 : 8 + n])["__metadata__"][ABOUT]), "metadata")
    except (ValueError, KeyError, TypeError) as error:  # a Fault of bind is a ValueError
        raise Fault(f"{where}: no published weights ({shorten(error)}); `v2vbench publish` writes such files") from None


def published_runs(root: Path) -> set[str]:
    """All that `base` can name in results/: published/<suite>/<run>."""
    paths = root.glob("results/*/weights/*.safetensors")
    names = {f"published/{path.parents[1].name}/{path.stem}" for path in paths}
    return {name for name in names if PUBLISHED.fullmatch(name)}


def read_published(base: str, root: Path) -> bytes:
    """The bytes of the weights that `base` names; raises Fault unless they are those of the suite's manifest.json."""
    _, suite, run = base.split("/")
    folder, name = root / "results" / suite, f"weights/{run}.safetensors"
    path, manifest = folder / name, folder / "manifest.json"
    if not path.is_file():
        there = ", ".join(sorted(published_runs(root))) or "none"
        raise Fault(f"results/{suite}/{name}: no such published weights; there are {shorten(there, 200)}")
    try:
        expected = json.loads(manifest.read_text(encoding="utf-8"))["files"][name]["sha256"]
    except (OSError, ValueError, KeyError, TypeError):
        raise Fault(f"results/{suite}/manifest.json: says nothing of {name}; `git checkout` it") from None
    content = path.read_bytes()
    if (actual := hashlib.sha256(content).hexdigest()) != expected:
        cause = f"{len(content)} bytes of sha256 {actual[:12]}…, not {expected[:12]}… as in manifest.json"
        raise Fault(f"results/{suite}/{name}: {cause}; it is damaged: `git checkout` it")
    return content


def needs_base(model: type) -> str:
    """NEEDS_BASE of a model; predictors have none."""
    return getattr(model, "NEEDS_BASE", "")


def check_run(about: About, run: TrainedModel, needs_base: str, steps: int, where: str) -> None:
    """A run or predictor can start from published weights: its model, and with zero steps its kwargs and seeds too.

    needs_base    NEEDS_BASE of the run's model
    steps         of the run's schedule; 0: the run is the published one
    where         path of the run's line
    raises        Fault
    """
    models = {run.model} if not steps else {run.model, needs_base or run.model}
    if about.model not in models:
        more = "" if steps else ", without a step of training"
        raise Fault(f"{where}.base: {run.base} is a {about.model}, and {run.model} cannot start from it{more}")
    if steps:
        return
    for name in sorted(about.kwargs.keys() & run.kwargs.keys()):
        if about.kwargs[name] != run.kwargs[name]:
            values = f"{brief(run.kwargs[name])}, but {brief(about.kwargs[name])} in {run.base}"
            raise Fault(f"{where}.kwargs.{name}: {values}; write kwargs: published")
    if isinstance(run, Run) and len(run.seeds) > 1:
        raise Fault(f"{where}.seeds: {brief(run.seeds)}; published weights are of one training, so write one seed")


def check_line(about: About, line: dict, where: str) -> None:
    """The size of a line of `datasets` is that of the published run's data; raises Fault."""
    if "size" in line and list(line["size"]) != about.size:
        published = f"trained at {about.size} on {about.dataset}"
        raise Fault(f"{where}.base: published/{about.suite}/{about.run} is {published}, not at {brief(line['size'])}")


def check_data(about: About, store: "Store", where: str) -> None:
    """Published weights fit a data set: the same labels and size, and none of its test clips was trained on.

    raises    Fault
    """
    name = f"{where}.base: published/{about.suite}/{about.run}"
    facts = store.facts
    for what, here, there in (
        ("source", facts.source, about.source),
        ("labels", list(facts.label_names), about.label_names),
        ("size", list(facts.size), about.size),
    ):
        if here != there:
            raise Fault(f"{name} is trained with {what} {brief(there)}, and {facts.name} has {brief(here)}")
    train = {store.clips[clip]["cluster"] for clip in store.split("train")}
    for group in facts.groups:
        clips = [store.clips[clip] for clip in store.split(group)]
        if leaked := [clip["id"] for clip in clips if clip["sha256"] in about.train_clips]:
            raise Fault(f"{name} was trained on {leaked[0]}, a test clip of {facts.name}")
        clusters = {clip["cluster"] for clip in clips}
        if facts.cluster != "clip" and not clusters & train and (leaked := clusters & set(about.train_clusters)):
            cause = f"was trained on {facts.cluster} {sorted(leaked)[0]}, which no run of {facts.name} may have seen"
            raise Fault(f"{name} {cause} ({group})")


def is_published(base: str) -> bool:
    """Whether `base` names published weights."""
    return PUBLISHED.fullmatch(base) is not None
