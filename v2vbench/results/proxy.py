"""votes/learned/<name>.json: what published votes taught, to be passed on where the votes themselves may not be."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Self

from v2vbench.params import Fault
from v2vbench.results.comparison import WinModel
from v2vbench.results.record import Record


@dataclass(frozen=True, kw_only=True)
class Proxy(Record):
    """votes/learned/<name>.json: win models learned from a published set of votes, and all that they rest on."""

    SCHEMA: ClassVar[str] = "v2vbench/proxy/1"
    PATH: ClassVar[str] = "votes/learned/{}.json"

    name: Annotated[str, "of the set, a file in v2vbench/people/published"]
    title: Annotated[str, "of the set"]
    licence: Annotated[str, "of the set"]
    citation: Annotated[str, "of the set"]
    split: Annotated[str, "what is held out in turn, and what the set does not tell"]
    source: Annotated[str, "where it was read: URLs, or `folder`"]
    archives: Annotated[
        dict[str, str], "by URL: sha256 of the archive that was read; none is published to compare with"
    ]
    inputs_sha256: Annotated[str, "of the names and sha256 of all videos or pictures, and of the votes on them"]
    subsets: Annotated[dict[str, int], "by subset: pairs"]
    limit: Annotated[int | None, "pairs, at most: a quick try, which teaches no suite; null: all"]
    n_pairs: Annotated[int, "pairs that were learned from"]
    n_votes: Annotated[float, "votes on them"]
    n_sources: Annotated[int, "sources, or blocks of files where sources are not named"]
    algorithms: Annotated[list[str], "whose results were voted on, as far as the set names them"]
    n_unscored: Annotated[int, "pairs that were left out, since a metric has no value on them"]
    sizes: Annotated[dict[str, int], "by height x width in px, as scored: pairs"]
    n_frames: Annotated[dict[str, int], "by size: scored at once; a longer video's value is the mean over such parts"]
    protocols: Annotated[dict[str, str], "by label: the protocol id of each metric; the weights are of these alone"]
    left_out: Annotated[dict[str, str], "by label: why a metric of single clips was not learned from"]
    weights_sha256: Annotated[dict[str, str], "by name: of the pretrained weights that the metrics use"]
    version: Annotated[str, "of v2vbench"]
    models: Annotated[list[WinModel], "what was learned: of all metrics first, then of fewer, each fitted apart"]

    @classmethod
    def load(cls, path: Path) -> Self:
        """The file's content, every field checked; raises Fault naming the file, the field and what to do."""
        try:
            return super().load(path)
        except Fault as fault:
            again = str(fault).replace("run `dvc repro`", f"run `v2vbench study learn {Path(path).stem}` again")
            raise Fault(again.replace("`dvc repro` makes it", "`v2vbench study learn` makes it")) from None
