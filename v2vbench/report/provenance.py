"""How the numbers were made: which stages ran, for how long, and on what machine."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from v2vbench.params import Fault, Params
from v2vbench.report import marks
from v2vbench.stages._published import About, is_published, read_about

STAGES = ("sources", "data", "train", "synthesize", "evaluate", "future", "styles", "calibrate", "compare")
UNKNOWN = "unknown"


@dataclass(frozen=True)
class Log:
    """logs/<stage>-<key>.json: one execution of a stage, as the runner describes it."""

    stage: str
    key: str
    started: str  # ISO 8601, UTC
    seconds: float  # of this execution, and of earlier ones whose training it went on from
    peak_memory_mb: float
    device: str
    host_cpu: str
    python: str
    torch: str
    revision: str | None  # of git
    lock_sha256: str | None  # of requirements.lock

    @property
    def stem(self) -> str:
        return f"{self.stage}-{self.key}"


@dataclass(frozen=True)
class StageRow:
    """A stage that left a log or an executed notebook."""

    stage: str
    key: str
    page: str | None  # address of its notebook
    log: Log | None
    bar: Markup


@dataclass(frozen=True)
class PublishedBase:
    """The published weights that a run starts from."""

    title: str  # of the run
    about: About
    sha256: str  # of the file


@dataclass(frozen=True)
class Provenance:
    """All stages, and what was made elsewhere."""

    logs: list[Log]
    rows: list[StageRow]
    published: list[PublishedBase]

    @property
    def seconds(self) -> float:
        return sum(log.seconds for log in self.logs)

    @property
    def peak_memory_mb(self) -> float:
        return max(log.peak_memory_mb for log in self.logs)

    @property
    def started(self) -> str:
        return min(log.started for log in self.logs)

    @property
    def revisions(self) -> list[str]:
        return sorted({log.revision or UNKNOWN for log in self.logs})

    @property
    def machine(self) -> dict[str, list[str]]:
        """{what: its values over the stages}."""
        values = {
            "git revision": self.revisions,
            "requirements.lock, sha256": [log.lock_sha256 or UNKNOWN for log in self.logs],
            "Python": [log.python for log in self.logs],
            "PyTorch": [log.torch for log in self.logs],
            "device": [log.device for log in self.logs],
            "processor": [log.host_cpu for log in self.logs],
        }
        return {what: sorted(set(values_of_stages)) for what, values_of_stages in values.items()} if self.logs else {}

    @property
    def checkout(self) -> str | None:
        """The revision that makes these numbers again; None where it is not known or there are several."""
        return self.revisions[0] if len(self.revisions) == 1 and self.revisions[0] != UNKNOWN else None


def provenance(params: Params, root: Path, notebooks: list[str]) -> Provenance:
    """The stages of the lines in params.yaml, in the order of the pipeline.

    notebooks    stems of the executed notebooks that have a page
    raises       Fault where a log is broken
    """
    logs = {log.stem: log for log in _logs(params, root)}
    longest = max((log.seconds for log in logs.values()), default=0) or 1

    def position(stem: str) -> tuple[int, str]:
        stage = stem.partition("-")[0]
        return STAGES.index(stage) if stage in STAGES else len(STAGES), stem

    rows = []
    for stem in sorted({*logs, *notebooks}, key=position):
        stage, _, key = stem.partition("-")
        log = logs.get(stem)
        page = f"notebooks/{stem}.html" if stem in notebooks else None
        rows.append(StageRow(stage, key, page, log, marks.bar(log.seconds / longest) if log else Markup("")))
    return Provenance(list(logs.values()), rows, list(_published(params, root)))


def _published(params: Params, root: Path) -> Iterator[PublishedBase]:
    for key, run in (params.runs | params.predictors).items():
        if is_published(run.base):
            path = root / params.folder(key).parent / run.base / "model.safetensors"
            if not path.is_file():
                raise Fault(f"{path}: missing; `dvc repro` makes it")
            content = path.read_bytes()
            yield PublishedBase(run.title, read_about(content, str(path)), hashlib.sha256(content).hexdigest())


def _logs(params: Params, root: Path) -> Iterator[Log]:
    for path in sorted((root / "logs").glob("*.json")):
        if not is_current(params, path.stem):
            continue
        try:
            content = json.loads(path.read_text())
            yield Log(**{name: content[name] for name in Log.__dataclass_fields__})
        except (ValueError, KeyError, TypeError) as error:
            raise Fault(f"{path}: not a whole log ({error!r}); delete it") from None


def is_current(params: Params, stem: str) -> bool:
    """Whether a log or notebook, named <stage>-<key>, is of a line that params.yaml has."""
    sections = (params.datasets, params.judges, params.runs, params.predictors, params.futures, params.styles)
    return stem.partition("-")[2] in {"all", *(key for section in sections for key in section)}
