"""What changed between two comparisons, beyond the intervals or not."""

import re
import shutil
import subprocess
from dataclasses import replace
from html import unescape

import pytest
from made_up import project

from v2vbench.params import Fault
from v2vbench.report.diff import compare, in_words, load, write
from v2vbench.results.comparison import Comparison


@pytest.fixture(scope="module")
def made(tmp_path_factory, store_path):
    """A folder with a comparison."""
    root = tmp_path_factory.mktemp("diff")
    (root / "data").mkdir()
    shutil.copy(store_path, root / "data" / "sliding.zip")
    project(root, ["sliding"])
    return root


@pytest.fixture(scope="module")
def before(made):
    return Comparison.load(Comparison.path(made))


def changed(comparison, label, run="sliding_0", group="seen", of_metric=None, **row):
    """The comparison with another row of one metric."""
    dataset = comparison.datasets["sliding"]
    metric = dataset.groups[group].metrics[label]
    rows = metric.rows | {run: replace(metric.rows[run], **row)}
    metric = replace(metric, rows=rows, **(of_metric or {}))
    metrics = dataset.groups[group].metrics | {label: metric}
    groups = dataset.groups | {group: replace(dataset.groups[group], metrics=metrics)}
    return replace(comparison, datasets={"sliding": replace(dataset, groups=groups)})


def kinds(a, b):
    """{(method, metric): kind} of what is not the same."""
    return {
        (change.method, change.metric.title): change.kind
        for group in compare(a, b, ("a", "b")).groups
        for change in group.changes
        if change.kind != "same"
    }


def test_equal_comparisons_have_no_change(before):
    diff = compare(before, before, ("a", "b"))
    assert set(diff.counts) == {"same"}
    assert re.fullmatch(r"None of \d+ numbers changed beyond its interval\.", diff.sentence)
    assert not diff.only
    assert not diff.protocols
    assert not diff.clips


@pytest.mark.parametrize(
    "value, low, high, kind",
    [
        (29.0, 28.0, 30.0, "better"),  # half-widths 1 and 1: beyond the root of 2
        (26.3, 25.3, 27.3, "within"),
        (24.0, 23.0, 25.0, "worse"),
        (40.0, None, None, "no interval"),
    ],
)
def test_a_change_is_weighed_against_both_intervals(before, value, low, high, kind):
    a = changed(before, "psnr", value=25.5, low=24.5, high=26.5)
    b = changed(before, "psnr", value=value, low=low, high=high)
    assert kinds(a, b) == {("vid2vid", "PSNR"): kind}


def test_the_metric_says_which_way_is_better(before):
    a = changed(before, "warp_error", value=2.0, low=1.9, high=2.1)
    b = changed(before, "warp_error", value=1.0, low=0.9, high=1.1)
    assert kinds(a, b) == {("vid2vid", "warp error"): "better"}
    assert kinds(b, a) == {("vid2vid", "warp error"): "worse"}
    a = changed(before, "motion", value=0.5, low=0.49, high=0.51)
    b = changed(before, "motion", value=2.0, low=1.9, high=2.1)
    assert kinds(a, b) == {("vid2vid", "motion ratio"): "moved"}  # as far from 1 as before


@pytest.mark.parametrize("change", ["ids", "real video"])
def test_other_clips_are_not_compared(before, change):
    """Of another name, or of the same name where the real video itself scores otherwise."""
    dataset = before.datasets["sliding"]
    group = dataset.groups["seen"]
    if change == "ids":
        group = replace(group, clips=[*group.clips[:-1], "another"])
    else:
        label = next(label for label, metric in group.metrics.items() if metric.real and metric.real.value)
        real = replace(group.metrics[label].real, value=1.01 * group.metrics[label].real.value)
        group = replace(group, metrics=group.metrics | {label: replace(group.metrics[label], real=real)})
    other = replace(before, datasets={"sliding": replace(dataset, groups=dataset.groups | {"seen": group})})
    diff = compare(before, other, ("a", "b"))
    assert diff.clips == ["Sliding planes, seen"] and len(diff.groups) == len(dataset.groups) - 1
    assert "of other test clips, so not compared: Sliding planes, seen" in in_words(diff)


def test_other_protocols_are_not_compared(before):
    b = changed(before, "psnr", of_metric={"protocol": "psnr/2"}, value=1.0)
    diff = compare(before, b, ("a", "b"))
    assert not any(change.metric.title == "PSNR" for change in diff.groups[0].changes)
    assert diff.protocols == ["Sliding planes, seen: PSNR"]


def test_methods_are_matched_by_title(before):
    runs = {f"x{run}": info for run, info in before.runs.items()}
    dataset = before.datasets["sliding"]
    groups = {
        name: replace(
            group,
            metrics={
                label: replace(metric, rows={f"x{run}": row for run, row in metric.rows.items()})
                for label, metric in group.metrics.items()
            },
        )
        for name, group in dataset.groups.items()
    }
    renamed = replace(before, runs=runs, datasets={"sliding": replace(dataset, groups=groups)})
    diff = compare(before, renamed, ("a", "b"))
    assert diff.counts == compare(before, before, ("a", "b")).counts
    assert not diff.only


def test_what_only_one_has_is_named(before):
    fewer = replace(before, runs={run: info for run, info in before.runs.items() if run != "sliding_1"})
    assert compare(before, fewer, ("a", "b")).only == {"a": ["Sliding planes: pix2pixHD"]}


def test_verdicts_that_change_are_shown_though_the_value_did_not(before):
    verdict = before.datasets["sliding"].groups["seen"].metrics["psnr"].rows["sliding_1"].verdict
    b = changed(before, "psnr", run="sliding_1", verdict=replace(verdict, word="not distinguishable"))
    diff = compare(before, b, ("a", "b"))
    assert "1 verdict changed" in diff.sentence
    (change,) = diff.groups[0].beyond
    assert change.verdicts == ("worse", "not distinguishable")
    assert "same; verdict worse -> not distinguishable" in in_words(diff)


def git(root, *words):
    name = ("-c", "user.name=a", "-c", "user.email=a@b")
    subprocess.run(["git", "-C", str(root), *name, *words], check=True, capture_output=True)


def test_names_are_suites_files_folders_and_revisions(made, before, tmp_path):
    shutil.copytree(made / "metrics", tmp_path / "metrics")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", "metrics")
    git(tmp_path, "commit", "-qm", "a")
    other = changed(before, "psnr", value=99.0, low=98.0, high=100.0)
    other.save(Comparison.path(tmp_path))
    other.save(tmp_path / "results/evening/compare.json")
    for name in (".", "metrics", "metrics/compare.json", "evening", "results/evening", str(tmp_path)):
        assert load(name, tmp_path) == load(".", tmp_path)
        assert kinds(before, load(name, tmp_path)) == {("vid2vid", "PSNR"): "better"}
    assert load("HEAD", tmp_path) == load("HEAD:metrics/compare.json", tmp_path) == before
    with pytest.raises(Fault, match="nowhere: no file, no folder"):
        load("nowhere", tmp_path)
    Comparison.path(tmp_path).write_text('{"schema": "v2vbench/comparison/0"}')
    git(tmp_path, "commit", "-qam", "b")
    with pytest.raises(Fault, match="^HEAD: of schema"):
        load("HEAD", tmp_path)


def test_the_page_has_all_numbers_and_loads_nothing(made, before, tmp_path):
    before.save(tmp_path / "one/compare.json")
    changed(before, "psnr", value=99.0, low=98.0, high=100.0).save(tmp_path / "two/compare.json")
    path, words = write("one", "two", tmp_path)
    assert path == tmp_path / "reports/diff.html"
    page = path.read_text()
    diff = compare(before, load("two", tmp_path), ("one", "two"))
    assert f"<h1>{diff.sentence}</h1>" in page
    assert diff.sentence.startswith("1 of ")
    assert ": 1 better." in diff.sentence
    assert page.count('<tr><th scope="row">') == sum(diff.counts.values())
    assert "&lt;b&gt;&#34;copy&#34;" in page
    assert '<b>"copy"' not in page
    assert not re.search(r"<script|https?://|<link|@import", page)
    assert "script-src 'none'" in unescape(page)
    assert re.search(r"vid2vid +PSNR +[\d.]+ -> 99\.00? +better", words)
