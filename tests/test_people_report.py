"""What the page and the notebook show of people's votes: people first, simulated raters never without their name."""

import re
import shutil
from dataclasses import replace
from html import unescape

import pytest
from made_up import METRICS, people, project

from v2vbench import report
from v2vbench.display import compare as show
from v2vbench.results.comparison import Comparison

SCRIPT = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def clean(tmp_path_factory, store_path):
    root = tmp_path_factory.mktemp("voted")
    (root / "data").mkdir()
    shutil.copy(store_path, root / "data" / "sliding.zip")
    return root, project(root, ["sliding"])


def with_people(clean, said):
    """The comparison with what `said` of the runs gives, on group seen; and the page's section on people."""
    root, bound = clean
    path = Comparison.path(root)
    before = path.read_bytes()
    result = Comparison.load(path)
    group = result.datasets["sliding"].groups["seen"]
    runs = list(result.runs)
    changed = replace(group, preference=replace(group.preference, people=said(runs)))
    sliding = replace(result.datasets["sliding"], groups=result.datasets["sliding"].groups | {"seen": changed})
    result = replace(result, datasets={"sliding": sliding})
    try:
        result.save(path)
        report.write(bound, root)
    finally:
        path.write_bytes(before)
    html = (root / "reports" / "index.html").read_text()
    return result, html.split('<section id="people"')[1].split('<section id="paper"')[0].split("<footer")[0]


def words(part):
    cells = part.replace("</t", " </t")  # with a space after each cell
    return " ".join(unescape(re.sub(r"<[^>]*>", "", cells)).replace("\u2060", "").split())


def labels():
    return [label for label, line in METRICS.items() if line[0] == "clip"]


def test_people_stand_before_metrics(clean):
    _, part = with_people(clean, lambda runs: {"look": people(runs, labels())})
    text = words(part)
    assert part.index("What looks real") < part.index("Preference proxy") < part.index("Win probability")
    assert "“Which looks <real>?”" in text
    assert "What people said stands first." in text
    assert "No vote of a person counts" not in text.split("Sliding planes: unseen")[0]
    assert "imulated raters, no" not in text
    assert re.search(r"vid2vid / pix2pixHD</span>.*?0\.71</strong> / 0\.29", part, re.DOTALL)
    assert "0.61–0.81" in text and "180 20 clips" in text
    assert "raters left out 3 by rules fixed beforehand: 2 hurried; 1 failed a catch" in text
    assert "answers not counted 3 3 no such <trial>" in text
    assert "raters agree 0.31 (0.20 to 0.42)" in text
    assert "same answer again 0.81" in text
    assert "left side chosen 0.55" in text
    assert "what the left side adds 0.20 (−0.10 to 0.50)" in text
    assert "Ranking by these votes: Bradley-Terry with ties and sides" in text
    assert "Who agrees with people" in text
    assert "Band: how often most of the other raters predict" in text
    assert "the voting metrics 0.69" in text and "model, new raters 0.76" in text
    assert "Without a value here: LPIPS <alex>." in text
    assert "metrics voted; people are not counted here" in text


def test_simulated_raters_are_called_so_everywhere(clean):
    _, part = with_people(clean, lambda runs: {"look": people(runs, labels(), simulated=True)})
    head = part.split("Preference proxy")[0]
    captions = re.findall(r"<(caption|figcaption)[ >](.*?)</\1>", head, re.DOTALL)
    assert len(captions) == 4
    assert all("Simulated raters, no person answered." in words(caption) for _, caption in captions)
    assert "What people said" not in head
    assert "people prefer" not in words(head)
    assert "A rehearsal." in head
    assert re.search(r"<strong>0\.", head) is None  # nothing is decided
    assert "metrics voted; no person was asked" in words(part)


def test_the_papers_question_comes_first(clean):
    _, part = with_people(clean, lambda runs: {name: people(runs, labels()) for name in ("fit", "look", "motion")})
    places = [part.index(words) for words in ("What looks real", "What moves naturally", "What shows the source")]
    assert places == sorted(places)


def test_a_picture_alone_says_simulated(clean):
    _, part = with_people(clean, lambda runs: {"look": people(runs, labels(), simulated=True)})
    drawn = re.findall(r"<svg class=\"panel\".*?</svg>", part.split("Preference proxy")[0], re.DOTALL)
    assert len(drawn) == 2
    assert all("simulated: " in one for one in drawn)


def test_nobody_asked_is_as_it_was(clean):
    _, part = with_people(clean, lambda runs: {})
    assert "No vote of a person counts on this page. Metrics vote in their place, by rule." in words(part)
    assert "study-facts" not in part


def test_a_script_in_any_field_is_inert(clean):
    def spoilt(runs):
        said = people(runs, labels(), asked=SCRIPT)
        said = replace(said, excluded={SCRIPT: 1}, refused={SCRIPT: 2}, studies=[SCRIPT], note=SCRIPT)
        return {"look": replace(said, ranking=replace(said.ranking, note=SCRIPT, model=SCRIPT))}

    result, part = with_people(clean, spoilt)
    assert "<script" not in part
    assert part.count("&lt;script&gt;alert(1)") >= 5
    assert "<script" not in show.votes(result, "sliding", "seen").data


def test_without_a_ceiling_none_is_drawn(clean):
    _, part = with_people(clean, lambda runs: {"fit": replace(people(runs, labels()), ceiling=None, ranking=None)})
    assert "Band:" not in part
    assert "No two raters saw the same pair" in part
    assert "What shows the source" in part


def test_the_notebook_shows_people_first(clean):
    result, _ = with_people(clean, lambda runs: {"look": people(runs, labels(), simulated=True)})
    data = show.votes(result, "sliding", "seen").data
    assert data.index("Simulated raters, no person answered") < data.index("Share of clips on which")
    assert "People" not in data
    result, _ = with_people(clean, lambda runs: {"look": people(runs, labels())})
    data = show.votes(result, "sliding", "seen").data
    assert data.index("People asked") < data.index("Share of clips on which")
    assert "imulated" not in data
