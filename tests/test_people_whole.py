"""From finished runs to a report with people in it: a study is made, answered in a browser, read, and compared."""

import shutil
from pathlib import Path

import pytest
from study_page import Rater, browser, checked  # noqa: F401 - a fixture
from test_pipeline import clone, edit, repro  # noqa: F401 - a fixture

from v2vbench.display import people as show
from v2vbench.params import load
from v2vbench.people.command import run
from v2vbench.people.records import Study
from v2vbench.people.rehearse import choices, rehearse
from v2vbench.report import write as report
from v2vbench.results.comparison import Comparison
from v2vbench.runner.arguments import parser
from v2vbench.stages.compare import compare

N_RATERS = 12
HABITS = dict(tie=0.3, side=0.4, lapse=0.0, clip_effect=0.3, rater_effect=0.3, careless={"03"}, seed=4)
VOTES = "votes/<dataset>.jsonl"


STRENGTH = 1.5  # log odds between one run and the next, in the order of params.yaml


def study(root: Path, monkeypatch, *words: str) -> None:
    """`v2vbench study …` in a project."""
    monkeypatch.chdir(root)
    run(parser().parse_args(["study", *words]))


def made(root: Path, monkeypatch) -> tuple[Study, dict[str, float]]:
    """A study of three runs for simulated raters, and {run: log odds} that these go by."""
    words = ["--dataset", "freedoom", "--group", "unseen", "--raters", str(N_RATERS), "--seed", "3", "--simulated"]
    runs = [key for key, line in load(root / "params.yaml").runs.items() if line.dataset == "freedoom"][:3]
    study(root, monkeypatch, "make", *words, "--question", "look", "--out", "study", "--runs", *runs)
    (key,) = (root / "studies").glob("*.json")
    return Study.load(key), {run: -STRENGTH * i for i, run in enumerate(runs)}


def believed(root: Path, runs: list[str]) -> None:
    """The comparison has the simulated raters, best first, without the careless one, and says what they are."""
    group = Comparison.load(Comparison.path(root)).datasets["freedoom"].groups["unseen"]
    people = group.preference.people["look"]
    assert people.simulated and people.excluded == {"a catch failed": 1} and people.n_raters == N_RATERS - 1
    assert [strength.run for strength in people.ranking.strengths if strength.elo] == runs
    assert all(pair.share.value > 0.5 for pair in people.pairs if runs.index(pair.a) < runs.index(pair.b))
    page = (root / "reports/index.html").read_text()
    section = page.split('<section id="people"')[1].split('<section id="paper"')[0]
    assert "imulated raters" in section and "Nobody was asked" not in section
    assert section.index("imulated raters") < section.index("Preference proxy")


@pytest.fixture
def project(tiny_project, tmp_path) -> Path:
    """A copy of the tiny project, which may be changed."""
    return Path(shutil.copytree(tiny_project, tmp_path / "project"))


def test_simulated_raters_reach_the_report(project, monkeypatch, capsys):
    key, strengths = made(project, monkeypatch)
    (project / "answers").mkdir()
    for number, text in rehearse(key, strengths, **HABITS).items():
        (project / f"answers/{number}.jsonl").write_text(text)
    study(project, monkeypatch, "read", *map(str, sorted((project / "answers").glob("*.jsonl"))))
    assert f"preference.votes: {VOTES}" in capsys.readouterr().out
    edit(project / "params.yaml", "votes: none", f"votes: {VOTES}")
    compare(load(project / "params.yaml"), project)
    report(load(project / "params.yaml"), project)
    believed(project, list(strengths))


@pytest.mark.slow
def test_twelve_raters_at_the_page_reach_the_report(browser, clone, monkeypatch):  # noqa: F811
    """By the commands of docs/people.md, half of the raters on a phone; DVC then re-runs what the votes change."""
    key, strengths = made(clone, monkeypatch)
    (clone / "answers").mkdir()
    for i, (number, own) in enumerate(choices(key, strengths, **HABITS).items()):
        rater = Rater(browser, clone / "study", ((400, 800), (1400, 900))[i % 2])
        rater.open(f"#{number}")
        rater.consent()
        rater.page.click("#start")
        rater.at(0)
        rater.finish(own)
        assert [line["answer"] for line in checked(rater.text())] == own
        assert not rater.errors and all(address.startswith("file:") for address in rater.requests)
        (clone / f"answers/{number}.jsonl").write_text(rater.text())
        rater.context.close()
    study(clone, monkeypatch, "read", *map(str, sorted((clone / "answers").glob("*.jsonl"))))
    edit(clone / "params.yaml", "votes: none", f"votes: {VOTES}")
    ran = repro(clone)
    assert {"inputs_compare", "compare", "inputs_report", "report"} <= set(ran)
    assert not {stage for stage in ran if stage.startswith(("data", "train", "synthesize", "evaluate", "calibrate"))}
    believed(clone, list(strengths))


def test_the_tour_says_everywhere_that_nobody_answered(project, capsys):
    params = load(project / "params.yaml")
    shown = [show.power(raters=[2, 3], studies=3)]
    made = show.rehearsal(params, project, "freedoom", question="motion", n_methods=3, n_raters=12, seed=1)
    assert "rehearsal with simulated raters" in made.said and str(project) not in made.said
    shown += [show.first_trial(made, n=3), show.trials(made, n=4)]
    assert "SIMULATED raters" in show.answered(made, careless=["03"], seed=0)
    group = show.judged(made)
    shown += [show.shares(made, group), show.care(group), show.agreement(group)]
    words = [getattr(one, "alt", None) or one.data for one in shown]
    assert all(show.SIMULATED in one for one in words)
    assert not (project / "votes").exists() and not (project / "studies").exists()
    assert load(project / "params.yaml") == params
