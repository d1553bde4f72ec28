"""The report of a made-up project: 3 methods on a benchmark of two groups and on a sanity check."""

import hashlib
import itertools
import re
import shutil
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser

import av
import numpy as np
import pytest
from conftest import facts, sliding_clip
from made_up import FORESEEN, METRICS, N_FUTURE, N_PAST, ODD, PREDICTORS, extras, project
from PIL import Image

from v2vbench import params, report
from v2vbench.clips.store import Store, write_store
from v2vbench.display import palette
from v2vbench.display.palette import colour
from v2vbench.params import bind
from v2vbench.report import charts, format, opening, players, svg, videos
from v2vbench.report.charts import Curve, Method
from v2vbench.report.inputs import Inputs
from v2vbench.report.players import Pick
from v2vbench.report.settings import Settings
from v2vbench.results.comparison import Comparison
from v2vbench.results.future import FutureScores
from v2vbench.results.metric import Interval

BOARD = re.compile(r'<section class="grid wide board"(.*?)</section>', re.DOTALL)  # the calibration of a group


class Page(HTMLParser):
    """Tags of a page as (name, attributes), the cells of each table by rows, and what each svg says of itself."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.svgs, self.tables, self.inside = [], [], [], False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag == "svg":
            self.svgs.append([dict(attrs)])
        elif tag in ("title", "desc") and self.svgs:
            self.svgs[-1].append(tag)
        elif tag == "table":
            self.tables.append((dict(attrs).get("class"), []))
        elif tag == "tr":
            self.tables[-1][1].append([])
        elif tag in ("th", "td"):
            self.tables[-1][1][-1].append("")
            self.inside = True

    def handle_endtag(self, tag):
        self.inside = self.inside and tag not in ("th", "td")

    def handle_data(self, data):
        if self.inside:
            self.tables[-1][1][-1][-1] += data

    def of(self, kind: str) -> list[list]:
        """The rows of each table of a class."""
        return [[[plain(cell) for cell in row] for row in rows] for name, rows in self.tables if name == kind]


def plain(text: str) -> str:
    """Without word joiners, and with single spaces."""
    return " ".join(text.replace("\u2060", "").split())


def starts_with(words: str, value: float) -> bool:
    """Whether a cell starts with a value, rounded."""
    printed = re.match(r"[\d.]+", words)
    return bool(printed) and abs(float(printed[0]) - value) <= 0.5 * 10 ** -len(printed[0].partition(".")[2]) + 1e-12


@pytest.fixture(scope="module")
def made(tmp_path_factory, store_path):
    root = tmp_path_factory.mktemp("project")
    (root / "data").mkdir()
    shutil.copy(store_path, root / "data" / "sliding.zip")
    about = facts(name="other", title="Other <planes>", standing="sanity", groups={"last": "the last"})
    ends = [({"id": split, "split": split}, sliding_clip(i, 9)) for i, split in enumerate(("train", "last"))]
    write_store(root / "data" / "other.zip", about, ends)
    bound = project(root, ["sliding", "other"])
    bound = extras(root, bound, "sliding", ["seen"])
    report.write(bound, root)
    return root, bound


@pytest.fixture(scope="module")
def html(made):
    return (made[0] / "reports" / "index.html").read_text()


@pytest.fixture(scope="module")
def text(html):
    """The page's words without tags, single-spaced."""
    return plain(unescape(re.sub(r"<[^>]*>", "", re.sub(r"<(style|script)>.*?</\1>", "", html, flags=re.DOTALL))))


def parts(html: str, group: str) -> str:
    """All that the page has of one test group: its videos, curves, metrics, calibration and votes."""
    found = re.findall(rf'<(section|div) [^>]*data-group="{group}"(.*?)(?=<[^>]* data-group=|<h2)', html, re.DOTALL)
    return "\n".join(part for _, part in found)


@pytest.fixture(scope="module")
def seen(html):
    """What there is of the first group."""
    return parts(html, "sliding-seen")


@pytest.fixture(scope="module")
def sanity(html):
    """What there is of the sanity check."""
    return parts(html, "other-last")


def contents(folder):
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def by_title(part: str) -> dict[str, list]:
    """The rows of the first score table of a part of the page by the first words of their first cell."""
    return {re.split(r"\d* [↑↓→]", row[0])[0]: row for row in Page(part).of("scores")[0]}


def test_every_metric_and_value_of_compare_is_printed(made, html):
    comparison, page = Comparison.load(Comparison.path(made[0])), Page(html)
    groups = [group for name in made[1].datasets for group in comparison.datasets[name].groups.values()]
    assert len(page.of("scores")) == len(groups) + 1 == 4  # with that of the future
    for group, rows in zip(groups, page.of("scores")):
        assert [words.split(" ")[0] for words in rows[1][1:4]] == ["vid2vid", "pix2pixHD", '<b>"copy"']
        for metric in group.metrics.values():
            matching = [row for row in rows if row[0].startswith(metric.title)]
            if metric.hidden or not metric.rows:
                assert not matching
                continue
            assert metric.protocol in html
            (row,) = matching
            order = "carried", "frozen", "blurred"  # feasible ones come first
            values = [*metric.rows.values(), metric.real, *(metric.controls[key] for key in order)]
            for value, words in zip(values, row[1:], strict=True):
                assert words == "" if value is None else starts_with(words, value.value), (metric.title, words, value)
            if metric.floor:
                assert starts_with(row[4].partition("guess ")[2], metric.floor.value)


def test_votes_and_chances_are_printed(html):
    assert html.count("<strong>0.87</strong> / 0.13</td>") == 4
    assert html.count(">0.60 / 0.40</td>") == 4


@pytest.mark.parametrize("words", ["vid2vid", "pix2pixHD", "2 real frames", "1 h 02 min", "4 clips, 48 frames"])
def test_methods_times_and_counts_are_printed(text, words):
    assert words in text


def test_what_params_no_longer_has_is_not_shown(html):
    assert "gone" not in html


def test_two_headings_with_the_primaries_first(seen):
    scores = re.search(r'<table class="scores">.*?</table>', seen, re.DOTALL)[0]
    assert re.findall(r'<th scope="rowgroup">([^<]+)</th>', seen) == [
        "Fidelity to the source",
        "Realism in space and time",
    ]
    names = [
        re.findall(r'<span class="head">([^<&]*(?:&lt;[^&]*&gt;)?)&#8288;<a', body) for body in scores.split("<tbody>")
    ]
    assert names[1] == ["PSNR"]
    assert names[2] == ["warp error", "KED-Lite0 &lt;frames&gt;", "FED-Lite0 frames", "motion ratio"]
    rows = by_title(seen)
    assert [name for name, row in rows.items() if "primary" in row[0]] == ["PSNR", "warp error", "KED-Lite0 <frames>"]
    assert seen.count('<tr class="primary">') == 3
    assert "named in advance" in seen


def test_rows_say_what_a_metric_responds_to(seen):
    rows = by_title(seen)
    assert "dB, responds to frames" in rows["PSNR"][0]
    assert "hardly responds to damage, distance between sets" in rows["FED-Lite0 frames"][0]


def test_verdicts_have_a_sign_and_words(seen):
    rows = by_title(seen)
    psnr, motion = rows["PSNR"], rows["motion ratio"]
    assert "▼ worse than vid2vid, p < 0.001, primary metrics, over seeds too" in psnr[2]
    assert not set("▲▼≈") & set(psnr[1])
    assert "≈ not distinguishable from vid2vid, p 0.310, primary metrics" in psnr[3]
    assert "over seeds" not in psnr[3]
    assert "worse than vid2vid, p < 0.001, exploratory metrics" in motion[2]


def test_what_is_not_distinguishable_says_what_could_be_detected(seen):
    rows = by_title(seen)
    assert rows["PSNR"][3].endswith("detectable: Δ ≥ 0.34")
    assert "detectable" not in rows["PSNR"][2]
    assert rows["KED-Lite0 <frames>"][3].endswith("no Δ detectable")


def test_scores_are_worded_as_damage(seen):
    rows = by_title(seen)
    assert 'as bad as <b>"copy" & last</b> σ 1.8 px' in rows["PSNR"][2]
    assert "at most as bad as flicker σ 2" in rows["warp error"][2]
    assert '<span class="unseen">as bad as </span>&lt;b&gt;' in seen
    assert 'title="at most as bad as flicker σ 2, 1.5 to 2"' in seen
    assert "bad as" not in rows["KED-Lite0 <frames>"][2]


def test_best_seeds_and_bars_are_marked(seen):
    rows = by_title(seen)
    psnr, motion = rows["PSNR"], rows["motion ratio"]
    assert "28.0 best" in psnr[1]
    assert "3 seeds, 25.2 to 30.8" in psnr[1]
    assert "seeds" not in psnr[2].replace("over seeds", "")
    assert ["74 % of the way" in psnr[1], "44 % of the way" in psnr[2]] == [True, True]
    assert "of the way" not in motion[1] + motion[-1]


def test_metrics_without_verdicts_say_why(seen):
    rows = by_title(seen)
    assert not set("▲▼≈") & set("".join(rows["FED-Lite0 frames"]))
    assert "no verdict" in rows["FED-Lite0 frames"][0]
    assert "no verdict" not in rows["PSNR"][0]
    assert "No verdict by FED-Lite0 frames: biased at this number of &lt;clips&gt;." in seen


def test_tests_and_their_corrections_are_counted(seen):
    families = "primary metrics (Holm, 6 tests); exploratory metrics (max-t, 2 tests); controls (max-t, 12 tests)"
    assert families in plain(seen)
    assert "sign-flip permutation tests over 2 maps" in plain(seen)
    assert "with a probability of 80 %" in plain(seen)


def test_few_clusters_are_warned_of(html, seen):
    unseen = parts(html, "sliding-unseen")
    needed = "With 2 maps, verdicts by the primary metrics are not possible: at least 8 are needed."
    assert needed in plain(seen)
    assert "at least" not in plain(unseen)
    assert "3 clips of 2 maps" in plain(seen)
    assert "There are only 2 maps," in seen
    assert "There are only 3 clips," in unseen


def test_controls_are_columns_with_verdicts(seen):
    bands, heads = Page(seen).of("scores")[0][:2]
    assert bands[-2:] == ["controls that never saw the target", "controls made from the real video"]
    assert heads[-3:] == ["carried along", "frozen", "blur<red>"]
    psnr = by_title(seen)["PSNR"]
    assert "▼ worse than vid2vid, p < 0.001, controls" in psnr[-1]
    assert "▲ better than vid2vid, p 0.020, controls" in psnr[-3]
    assert "≈ not distinguishable from vid2vid, p 0.310, controls" in psnr[-2]
    assert not re.search("best|detect", psnr[-1] + psnr[-2])


def test_metrics_name_the_controls_that_fool_them(seen):
    rows = by_title(seen)
    assert "fooled by blur<red>" in rows["PSNR"][0]
    assert "fooled" not in rows["warp error"][0]
    assert "fooled by frozen; blur<red>" in rows["KED-Lite0 <frames>"][0]
    assert "<i>frozen</i>: The first &lt;real&gt; frame, held." in seen


def test_sentences_stand_as_they_are_and_details_unfold(html):
    part = html.split('id="in-short"')[1].split("</header>")[0]
    folded = "".join(re.findall(r"<details>.*?</details>", part, re.DOTALL))
    top = re.sub(r"<details>.*?</details>", "", part, flags=re.DOTALL)
    assert top.count("<dd>vid2vid is &lt;better&gt; on ") == 3
    assert "pix2pixHD against it" not in top
    assert folded.count("<li>pix2pixHD against it, on ") == folded.count("1 more") == 3
    assert "better" not in folded


def test_drift_has_a_sign_and_says_which_way_is_better(seen, sanity):
    (rows,) = Page(seen).of("drift")
    assert rows[0] == ["metric", "vid2vid", "pix2pixHD", ODD]
    assert [row[0].split("↑")[0].split("↓")[0].strip() for row in rows[1:]] == ["PSNR", "warp error"]
    assert rows[1][1] == "−0.56 worse towards the end −0.91 to −0.21"
    assert rows[1][2] == "+0.56 better towards the end +0.21 to +0.91"
    assert "better towards the end" in rows[2][1]
    assert rows[1][3] == rows[2][3] == "–"
    assert 'class="drift"' not in sanity


def test_absent_metrics_fold_and_print_no_number(html):
    folds = [plain(fold) for fold in re.findall(r'<details class="wide missing">(.*?)</details>', html, re.DOTALL)][:3]
    assert ["; 2 metrics have no value on these clips" in fold for fold in folds] == [False, False, True]
    for fold in folds:
        assert "2 metrics need weights that are not here; 1 metric says nothing on these clips" in fold
        assert "<dt>mIoU</dt><dd>the real video is &lt;no&gt; better than a guess</dd>" in fold
        assert "FID; LPIPS &lt;alex&gt;" in fold
        assert fold.count("weights absent: inception2015") == 1
        assert "<code>v2vbench fetch weights</code> brings &lt;them&gt;" in fold
    assert not re.search("fid/1:made-up|lpips/1:made-up", html)


def test_calibration_is_a_table_of_curves(html):
    boards = BOARD.findall(html)
    assert len(boards) == 3
    assert "5 ladders of damage, 6 metrics" in boards[0]
    assert "(7 of the longest clip)" in plain(boards[0])
    (rows,) = Page(boards[0]).of("ladders")
    assert rows[0][1:] == [
        "all frames damaged alike",
        "each frame damaged in its own way",
        "whole frames at the wrong time",
    ]
    assert rows[1][1:] == [
        "blur σ 0.5 to 4 px",
        "<jpeg> quality 0.5 to 4",
        "flicker σ 0.5 to 4",
        "shuffle in blocks of 0.5 to 4 frames",
        "freeze for 0.5 to 4 frames",
    ]
    titles = ["PSNR", "warp error", "FED-Lite0 frames", "KED-Lite0 <frames>", "mIoU", "motion ratio"]
    assert [row[0] for row in rows[2:]] == titles
    assert rows[3][1] == "–"
    assert boards[0].count('class="damage odd"') == boards[0].count("not monotone</span>") == 6 * 2


def test_calibration_names_what_fools_a_metric(html):
    (board, *_) = BOARD.findall(html)
    assert "<dt>Fooled by blur&lt;red&gt;</dt><dd>PSNR; KED-Lite0 &lt;frames&gt;</dd>" in board
    assert "<dt>Fooled by frozen</dt><dd>KED-Lite0 &lt;frames&gt;</dd>" in board
    assert "Fooled by carried" not in board


def test_a_damage_curve_falls_where_the_score_gets_worse(html):
    (board, *_) = BOARD.findall(html)
    start, end = re.findall(r'<path d="M4 ([\d.]+)L.*?L52 ([\d.]+)"', board)[0]
    assert float(start) < float(end)  # PSNR under blur: a lower value is drawn lower, and y grows downwards


def test_votes_name_their_voters(html, seen, text):
    votes = Page(seen).of("preference")[0]
    assert votes[1][4].split() == ["3", "2", "maps"]
    assert html.count("<b>realism</b>: warp error votes.") == 2
    assert text.count("fidelity: PSNR votes (not allowed to vote: FID, has no value of <one> clip).") == 2
    assert text.count("PSNR and warp error together prefer the first method") == 2
    assert text.count("Bradley-Terry with ties, 27 votes") == 2
    assert "Note: ties are <half>." in text


def test_chances_say_what_they_were_learned_from(seen, text):
    chances = Page(seen).of("preference")[1]
    assert text.count("Learned from damage, not from people.") == 2
    assert chances[1][1:] == ["0.87 / 0.13", "", "0.80–0.93", "3", "1"]
    assert "not known" in chances[-1][1]
    assert text.count("Accuracy 0.91 (a coin has 0.50), log loss 0.23 (a coin has 0.69).") == 2
    assert "Note: of <3> metrics." in text
    assert seen.count("0.60 predicted, 0.36 observed in 40") == 1


def test_one_clip_has_a_reason_instead_of_votes(html, sanity):
    assert "there is one clip only, which says nothing of &lt;others&gt;." in sanity
    assert not Page(sanity).of("preference")
    assert "metrics voted" not in sanity
    assert "metrics voted" in parts(html, "sliding-seen")


@pytest.fixture(scope="module")
def paper(html):
    """The section beside the paper."""
    return html.split('<section id="paper"')[1].split('<section id="future"')[0]


@pytest.fixture(scope="module")
def ahead(html):
    """The section of future prediction."""
    return html.split('<section id="future"')[1].split('<section id="training"')[0]


def test_ours_is_beside_the_papers(paper):
    (rows,) = Page(paper).of("paper")
    measured, absent = rows[2], next(row for row in rows if any("weights absent" in words for words in row))
    assert measured[1:3] == ["vid2vid", "4.66"]
    assert starts_with(measured[3], 41.2)
    assert measured[4] == "0.84"
    assert measured[5].startswith("0.82 0.77–0.88")
    assert measured[6] == "the same one leads; the published ratio lies in our interval"
    assert rows[3][:2] == ["pix2pixHD", "5.57"]
    assert "FED-Lite0 frames5 on Sliding planes, seen" in measured[0]
    assert absent[3].endswith("brings <them>")
    assert "Sliding planes, seen; Sliding planes, unseen" in absent[0]  # neither has one: said once


def test_stand_ins_never_agree(paper):
    (rows,) = Page(paper).of("paper")
    stand_in = rows[-2]
    assert stand_in[2] == stand_in[4] == "–"
    assert "in its place" in stand_in[0]
    assert stand_in[6] == "not comparable"
    assert paper.count('<tbody class="stand-in">') == 1
    assert "cannot confirm or refute the paper" in paper


def test_notes_and_comparisons_without_a_counterpart_fold(html, paper):
    assert paper.count("Other &lt;clips&gt;, of seen: <code>lite0</code>.") == 1
    assert 'href="#paper-2"' in paper
    assert "1 more comparison of the paper has no counterpart here" in plain(paper)
    assert "vid2vid 3.44, PredNet 11.18" in paper
    assert "Never shown." not in paper
    assert '<a href="#paper">Beside the paper</a>' in html


def test_predictions_are_beside_the_papers(html, paper):
    """Rows of Table 3 come from the future, and where there is none that is said."""
    (rows,) = Page(paper).of("paper")
    place = next(i for i, row in enumerate(rows) if row[0].startswith("Table 3"))
    assert rows[place][1:4] == ["vid2vid", "3.44", "51.3 49.0–53.6"]
    assert rows[place][4] == "0.34"
    assert rows[place][6] == "the same one leads; the published ratio lies outside our interval"
    assert "KED-Lite0 <frames>" in rows[place][0] and "on Sliding planes, seen" in rows[place][0]
    assert rows[place + 1][:3] == ["MCNet", "10", "90.2 87.7–93.0"]
    assert paper.count("Other &lt;futures&gt;, of seen.") == 1
    assert "predicts no future" not in html


def test_who_wins_how_far_ahead(ahead):
    (rows,) = Page(ahead).of("winners")
    guess, held = PREDICTORS["guess"][0], PREDICTORS["held"][0]
    assert rows[0] == ["frames ahead", "1", "2", "5"]
    (psnr,) = rows[1:]
    assert psnr[0].startswith("PSNR") and psnr[0].endswith("dB")
    # curves of entry 0 and 1: 30 - 0.5 (1 + ...) - the mean of clips 0, 1 and 2
    assert psnr[1] == f"{guess} 28.5 surely"
    assert psnr[2] == f"{guess} 28.0 ≈ {held}"
    assert psnr[3] == f"{held} 24.0 ≈ {guess}"


def test_how_far_ahead_the_held_last_frame_is_beaten(ahead):
    (rows,) = Page(ahead).of("reach")
    assert rows[0] == ["predictor", "PSNR", "label mIoU"]
    assert rows[1:] == [
        [PREDICTORS["guess"][0], "5 from 1", "3 from 2"],
        [PREDICTORS["draws"][0], "–", "–"],
        [PREDICTORS["truth"][0], "8 from 1", "–"],
    ]


def test_scores_of_predictors_have_one_guess_a_clip_and_the_truth_beside_them(made, html, ahead):
    future = FutureScores.load(FutureScores.path(made[0], "sliding"))
    (rows,) = Page(ahead).of("scores")
    table, title = future.groups["seen"].table, {key: line[0] for key, line in PREDICTORS.items()}
    heads = [words.removesuffix(" 4 real frames") for words in rows[1][1:]]
    assert heads == [title["guess"], title["held"], "real video scored like a method", title["truth"]]
    assert "one that draws" not in " ".join(sum(rows, []))
    for label, (_, name, *_) in FORESEEN.items():
        cells = [row for row in rows if re.split(r"\d* [↑↓→]", row[0])[0] == name]
        assert len(cells) == (1 if table.metrics[label].rows else 0), name
        for (row,) in [cells] if cells else []:
            values = [table.metrics[label].rows[key].value for key in ("guess", "held")]
            assert starts_with(row[1], values[0]) and starts_with(row[2], values[1])
            assert starts_with(row[-1], table.metrics[label].controls["truth"].value)
            assert future.metrics[label].protocol in html
    assert "Is given the &lt;true&gt; future." in ahead
    assert "all 8 predicted frames" in plain(ahead)


def test_predictors_that_draw_are_tables_of_their_own(ahead):
    tables = Page(ahead).of("samples")
    shown = re.findall(r"<summary>Predictors that draw: ([^<]*)</summary>", ahead)
    assert shown == ["one sample", "best of 3", "mean of 3"]
    values = [rows[1][1] for rows in tables]
    assert values == ["20.0 19.0–21.5", "21.0 20.0–22.5", "22.0 21.0–23.5"]
    assert [[row[0].split("↑")[0].split("↓")[0].rstrip("0123456789 ") for row in rows[1:]] for rows in tables] == [
        ["PSNR", "warp error"],
        ["PSNR"],
        ["PSNR"],
    ]
    assert all(rows[0] == ["metric", "one that draws"] for rows in tables)
    assert ahead.count("which takes the true future to") == 1


def test_curves_by_frames_ahead_are_of_one_guess_a_clip(ahead):
    (figure,) = re.findall(r'<figure class="wide">(.*?)</figure>', ahead, re.DOTALL)
    words = [re.sub("<[^>]*>", "", text) for text in re.findall(r"<desc.*?</desc>", figure, re.DOTALL)]
    assert len(words) == figure.count('<svg class="panel') == 3
    psnr, warp, shown = (unescape(text) for text in words)
    assert all(f"{title}" in psnr and title in warp for title, *_ in PREDICTORS.values())
    assert PREDICTORS["truth"][0] not in shown and PREDICTORS["guess"][0] in shown
    assert psnr.count("one that draws") == 1  # and not three times
    assert "by frames ahead" in plain(figure)
    assert "8 predicted" in plain(ahead) and "0.8 s ahead" in plain(ahead) and "4 frames seen" in plain(ahead)


def test_a_video_and_a_strip_hold_what_was_predicted(made, ahead):
    """Of one clip, the one in the middle by the first primary metric, since half of report.players is one."""
    root, media = made[0], made[0] / "reports" / "media"
    (file,) = media.glob("sliding-seen-*-future-*.mp4")
    (picture,) = media.glob("sliding-seen-*-future-*.png")
    clip = re.fullmatch(r"sliding-seen-(.+)-future-[0-9a-f]{8}", file.stem)[1]
    assert clip == "slide-5"  # PSNR is lower by 1 dB a clip
    assert "slide-5</span>, 2nd best of 3 by PSNR" in plain(ahead)
    store = Store(root / "data/sliding.zip")
    arrays = store.read(clip)
    fakes = [Store(root / f"futures/sliding/{key}.zip").read(clip)["fake"] for key in PREDICTORS]
    tiles = [colour(arrays, store.facts), arrays["real"], *fakes]
    layout = videos.layout(4, (32, 64), 128)
    with av.open(str(file)) as container:
        frames = [frame.to_ndarray(format="rgb24").astype(int) for frame in container.decode(video=0)]
    assert len(frames) == N_PAST + N_FUTURE
    assert frames[0].shape == (layout.height, layout.width, 3)
    for (y, x), tile in zip(layout.corners, tiles, strict=True):
        for t in (0, N_PAST, 11):
            error = frames[t][y : y + 64, x : x + 128] - tile[t].repeat(2, 0).repeat(2, 1)
            assert abs(error @ (0.2126, 0.7152, 0.0722)).mean() < 5
        line = [frames[t][y + 4 : y + 60, x - 3 : x - 1].mean((0, 1)) for t in (N_PAST - 1, N_PAST)]
        assert abs(line[0] - videos.PAST).max() < 40 < abs(line[1] - videos.PAST).max()
    pixels = np.array(Image.open(picture).convert("RGB"))
    left = pixels.shape[1] - 4 * (64 + videos.GAP)  # +10 and +20 lie beyond the future
    for i, tile in enumerate(tiles):
        y = videos.BAND + i * (32 + videos.GAP)
        for j, t in enumerate((3, 4, 5, 8)):
            x = left + j * (64 + videos.GAP)
            assert np.array_equal(pixels[y : y + 32, x : x + 64], tile[t])
            assert (tuple(pixels[y + 9, x - 2]) == videos.PAST) == (t == 3)
    (alt,) = (about["alt"] for tag, about in Page(ahead).tags if tag == "img")
    names = ["source", "real", *(title + ", a sample" * (key == "draws") for key, (title, *_) in PREDICTORS.items())]
    assert alt == f"Rows: {', '.join(names)}. Columns: given, +1, +2, +5 frames ahead."


def test_without_a_line_the_future_is_not_shown(made, tmp_path):
    """Whatever an earlier suite has left in metrics/future."""
    root, bound = made
    for name in ("data", "runs", "metrics", "predictors"):
        (tmp_path / name).symlink_to(root / name)
    page = report.write(replace(bound, futures={}, predictors={}), tmp_path).read_text()
    assert "has no future prediction" in page
    assert "this suite predicts no future" in page
    assert "4 frames seen" not in plain(page)
    (tmp_path / "reports/index.html").unlink()
    with pytest.raises(params.Fault, match=r"futures/sliding/\w+\.zip: no such clip store"):
        report.write(bound, tmp_path)


def test_titles_are_escaped(html):
    assert ODD not in html
    assert "&lt;b&gt;&#34;copy&#34; &amp; last&lt;/b&gt;" in html
    assert "<planes>" not in html
    assert "Numbers &lt;made up&gt; by a test." in html


def test_nothing_is_loaded_from_another_host(made, html):
    pages = [html, *(path.read_text() for path in (made[0] / "reports" / "notebooks").glob("*.html"))]
    assert len(pages) == 2
    assert len(html.encode()) < 400_000
    for page in pages:
        assert not re.search(r"""(src|href|poster|srcset|action)\s*=\s*["']?\s*(https?:)?//""", page)
        assert not re.search(r"url\(|@import|<link|<iframe|<script[^>]*src", page)
        (policy,) = (about["content"] for tag, about in Page(page).tags if "http-equiv" in about)
        assert policy.startswith("default-src 'none'; img-src")
    for _, about in Page(html).tags:
        target = about.get("src") or about.get("poster") or about.get("href", "#")
        assert target.startswith("#") or (made[0] / "reports" / target).is_file(), target


def test_the_page_can_be_heard(html):
    page = Page(html)
    names, ids = [tag for tag, _ in page.tags], [about["id"] for _, about in page.tags if "id" in about]
    levels = [int(tag[1]) for tag in names if re.fullmatch("h[1-6]", tag)]
    assert names.count("h1") == names.count("main") == 1
    assert levels[0] == 1
    assert all(b <= a + 1 for a, b in itertools.pairwise(levels)), levels
    assert page.tags[0] == ("html", {"lang": "en"})
    assert len(ids) == len(set(ids))
    for about, *says in page.svgs:
        assert about.get("aria-hidden") == "true" or (about["role"] == "img" and says == ["title", "desc"])
    assert all(about.get("alt") for tag, about in page.tags if tag == "img")
    assert all(about.get("aria-label") for tag, about in page.tags if tag == "video")
    assert all("scope" in about for tag, about in page.tags if tag == "th")
    assert names.count("caption") == names.count("table")
    assert all(about["href"][1:] in ids for tag, about in page.tags if tag == "a" and about["href"].startswith("#"))


def test_a_benchmark_has_bests_and_verdicts(seen):
    for words in ('class="num best"', 'class="verdict worse"', "fewer rows than features"):
        assert words in seen


def test_a_sanity_check_has_neither(html, sanity):
    assert not re.search(r"<strong>[\d.]|num best|class=.verdict|Bold|Verdicts|no verdict<|towards the end", sanity)
    for words in ("There is only one clip", "2 real frames"):
        assert words in sanity
    about = re.search(r'<section class="grid wide" id="other".*?</p>', html, re.DOTALL)[0]
    assert '<span class="tag">sanity check</span>' in about
    assert "ranks nothing" in about


def test_the_parts_have_one_order(html):
    """The answer first, then what can be looked at, then numbers, then how they were made."""
    order = ("videos", "frames", "metrics", "worth", "people", "paper", "future", "training", "provenance", "protocols")
    places = [html.index("<header"), *(html.index(f'<section id="{part}"') for part in order)]
    assert places == sorted(places)
    assert re.findall(r'<li><a href="#(\w+)">', html.split('<nav class="contents"')[1].split("</nav>")[0]) == [
        *order[:9],
        "reproduce",
        "protocols",
    ]


def test_the_statistics_unfold(html, seen):
    """What is read at first has no test, correction or level in it."""
    assert "sign-flip permutation" in seen
    opened = re.sub(
        r"<details.*?</details>", "", re.sub(r"<table.*?</table>", "", html, flags=re.DOTALL), flags=re.DOTALL
    )
    assert not re.search("permutation|Holm|max-t|jackknife", opened.split('<section id="future"')[0])


def test_players_hold_the_frames_that_were_made(made):
    root, media = made[0], made[0] / "reports" / "media"
    files = sorted(file for file in media.glob("sliding-seen-slide-*.mp4") if "-future-" not in file.stem)
    assert len(files) == 2
    # with the first screen's, and one of the future
    assert len(list(media.glob("*.mp4"))) == len(list(media.glob("*.jpg"))) == 7
    store, fakes = Store(root / "data" / "sliding.zip"), Store(root / "runs" / "sliding_1" / "clips.zip")
    layout = videos.layout(3, (32, 64), 128, has_maps=True, n_further=4)
    assert layout.factor == 2
    for file in files:
        clip = re.fullmatch(r"sliding-seen-(.+)-[0-9a-f]{8}", file.stem)[1]
        assert hashlib.sha256(file.read_bytes()).hexdigest()[:8] == file.stem[-8:]
        assert file.read_bytes().find(b"moov") < file.read_bytes().find(b"mdat")
        with av.open(str(file)) as container:
            stream = container.streams.video[0]
            assert stream.average_rate == 10
            assert stream.codec_context.pix_fmt == "yuv420p"
            frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
        assert len(frames) == 12
        assert frames[0].shape == (layout.height, layout.width, 3)
        arrays = store.read(clip)
        tiles = colour(arrays, store.facts), arrays["real"], fakes.read(clip)["fake"]
        for (y, x), tile in zip((layout.corners[0], layout.corners[1], layout.corners[3]), tiles):
            for t in (0, 5, 11):
                error = frames[t][y : y + 64, x : x + 128].astype(int) - tile[t].repeat(2, 0).repeat(2, 1)
                assert abs(error @ (0.2126, 0.7152, 0.0722)).mean() < 4  # luma; yuv420p halves the colour's size
        y, x = layout.corners[3]
        difference = np.abs(tiles[2].astype(float) - tiles[1]).mean(-1)
        shown = frames[5][y + 64 + videos.GAP :, x : x + 128][:64].mean(-1)[::2, ::2]
        assert np.corrcoef(shown.ravel(), difference[5].ravel())[0, 1] > 0.9
        y, x = layout.further[0]  # of a background that slides evenly, below the foot
        assert y > layout.first
        assert frames[0][y : y + 64, x : x + 128].min() > 240  # of the first frame nothing is known
        assert np.ptp(frames[5][y + 2 : y + 10, x + 2 : x + 126].mean((0, 1))) > 40


def test_motion_is_shown_on_request(html):
    shown = html.split('<section id="future"')[0]  # where motion is not known
    players = re.findall(r'<figure class="player".*?</figure>', shown, re.DOTALL)
    assert len(players) == 5
    for player in players:
        width, height = map(int, re.search(r'width="(\d+)" height="(\d+)"', player).groups())
        first = re.search(r'data-first="(\d+) / (\d+)"', player)
        assert int(first[1]) == width
        assert int(first[2]) < height - 2 * 64
        assert 'data-do="motion" aria-pressed="false"' in player


def test_errors_and_motion_have_colours_of_their_own():
    real = np.full((1, 1, 3, 3), 100, np.uint8)
    fake = real + np.array([0, 48, 150], np.uint8)[:, None]
    shown = palette.error_colours(fake, real)[0, 0]
    assert shown[0].tolist() == list(palette.ERRORS[0])
    assert shown[1].tolist() == list(palette.ERRORS[2])
    assert shown[2].tolist() == list(palette.ERRORS[-1])
    flow = np.array([[0, 0], [3, 0], [-3, 0], [0, 3], [-1.5, 0]])[None, None]
    assert palette.flow_colours(flow, 3)[0, 0].tolist() == [
        [255, 255, 255],
        [255, 0, 0],
        [0, 255, 255],
        [128, 255, 0],
        [128, 255, 255],
    ]


def test_clips_are_shown_evenly_from_best_to_worst():
    values = {"a": [3.0, 1.0, 2.0, 5.0, 4.0], "b": [3.0, 1.0, 2.0, 5.0, 4.0]}
    assert players.pick(values, "higher", 3) == [Pick(3, 4), Pick(0, 2), Pick(1, 0)]
    assert players.pick(values, "lower", 2) == [Pick(1, 4), Pick(3, 0)]
    assert players.pick(values, "lower", 0) == []
    assert players.pick({"a": [0.5, 1.1]}, "one", 9) == [Pick(1, 1), Pick(0, 0)]
    assert players.pick({"a": [2.0, 1.0, 2.0]}, "lower", 3) == [Pick(1, 2), Pick(2, 1), Pick(0, 0)]
    assert [players.place_name(p, 4) for p in range(4)] == ["worst of 4", "3rd best of 4", "2nd best of 4", "best of 4"]


@pytest.mark.parametrize("n", range(1, 8))
def test_tiles_do_not_overlap(n):
    layout = videos.layout(n, (31, 63), 100)
    assert layout.factor == 2
    assert layout.height % 2 == layout.width % 2 == 0
    assert len(layout.corners) == n + 2
    assert all(videos.BAND <= y and y + 62 <= layout.height and x + 126 <= layout.width for y, x in layout.corners)
    pairs = itertools.combinations(layout.corners, 2)
    assert all(abs(y - v) >= 62 + videos.BAND or abs(x - w) >= 126 for (y, x), (v, w) in pairs)


@pytest.mark.parametrize("n", range(1, 8))
def test_maps_lie_below_their_tiles_and_motion_below_all(n):
    layout = videos.layout(n, (31, 63), 100, has_maps=True, n_further=n + 1)
    heights = [62, 62] + [124 + videos.GAP] * n
    boxes = [(y, x, height) for (y, x), height in zip(layout.corners, heights)]
    boxes += [(y, x, 62) for y, x in layout.further]
    assert len(boxes) == 2 * n + 3
    assert layout.height % 2 == layout.width % 2 == 0
    for (y, x, height), (v, w, other) in itertools.combinations(boxes, 2):
        assert y + height + videos.BAND <= v or v + other + videos.BAND <= y or abs(x - w) >= 126
    assert all(y + height <= layout.first - videos.BAND for y, x, height in boxes[: n + 2])
    assert all(layout.first <= y and y + 62 <= layout.height for y, _ in layout.further)


@pytest.mark.parametrize("width", [20, 60, 128, 1000])
def test_words_in_videos_are_cut_to_their_tile(width):
    words = videos._fitting("pix2pixHD, styles", videos.NORMAL, width)
    assert words == "p…" or videos.NORMAL.getlength(words) < width
    assert words == "pix2pixHD, styles" or words.endswith("…")


def test_charts_have_gaps_and_round_numbers():
    a, b = Method("a", 0), Method("b", 1)
    two = Interval(value=2.0, low=None, high=None)
    assert "not defined" in charts.intervals("m", [(a, None), (b, two)], None, "one", 2)
    chart = charts.curves("m", [Curve(a, [1.0, None, 2.0, 1.0])], x=[1, 2, 3, 4], x_label="t", y_label="")
    assert re.search(r'class="line" d="M[\d. ]+M[\d. ]+L[\d. ]+"', chart)
    assert svg.ticks(0, 1, 4) == [0, 0.25, 0.5, 0.75, 1]
    assert svg.ticks(-3, 17, 4) == [0, 5, 10, 15]


def test_numbers_have_as_many_digits_as_their_intervals_carry():
    assert format.decimals([Interval(value=0.00067, low=0.00064, high=0.0007)]) == 6
    assert format.decimals([Interval(value=2.0, low=None, high=None)]) == 2
    assert format.decimals([]) == 2


@pytest.mark.parametrize(
    "printed, words",
    [
        (format.number(-0.5, 1), "−0.5"),
        (format.number(None, 1), "–"),
        (format.number(float("nan"), 1), "–"),
        (format.signed(0.5, 1), "+0.5"),
        (format.brief(14.321), "14.3"),
        (format.two_digits(0.0314), "0.031"),
        (format.two_digits(-314.15), "−314"),
        (format.percent(0.95), "95\N{NO-BREAK SPACE}%"),
        (format.duration(61.4), "1 min 01 s"),
        (format.memory(1500), "1.5 GB"),
        (format.counted(1, "clip"), "1 clip"),
        (format.counted(12345, "clip"), "12\u202f345 clips"),
        (format.code_spans("<a> `b`"), "&lt;a&gt; <code>b</code>"),
        (format.code_spans("odd ` quote"), "odd ` quote"),
    ],
)
def test_formats(printed, words):
    assert printed == words


def test_notebooks_are_pages_of_their_own(made):
    page = (made[0] / "reports" / "notebooks" / "train-sliding_0.html").read_text()
    tags = Page(page).tags
    assert '<html lang="en">' in page
    assert "<title>Training vid2vid · v2vbench</title>" in page
    assert "<script" not in page
    assert [tag for tag, _ in tags].count("h1") == 1
    assert "&lt;x&gt;" in page
    assert "<td>1</td>" in page
    alts = [about["alt"] for tag, about in tags if tag == "img"]
    assert alts == ["two curves & a <band>", "a figure without a description"]
    assert ("a", {"href": "../index.html"}) in tags


def test_equal_inputs_give_equal_bytes_and_a_failure_leaves_the_old_report(made, monkeypatch):
    root, bound = made
    kept = contents(root / "reports")
    report.write(bound, root)
    assert contents(root / "reports") == kept
    with monkeypatch.context() as patched:
        patched.setattr(videos, "encode", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        with pytest.raises(params.Fault, match="No space left on device; the report that was there is as it was"):
            report.write(bound, root)
    curves = root / "runs" / "sliding_2" / "curves.csv"
    curves.rename(root / "hidden")
    with pytest.raises(params.Fault, match="sliding_2/curves.csv: missing"):
        report.write(bound, root)
    (root / "hidden").rename(curves)
    assert {path: path.read_bytes() for path in kept} == kept


def one_run(root):
    """A project of one run, on two clips, with nothing that may be missing."""
    splits = ("t", "train"), ("a", "seen"), ("b", "seen")
    clips = [({"id": name, "split": split}, sliding_clip(i, 6)) for i, (name, split) in enumerate(splits)]
    write_store(root / "data" / "one.zip", facts(name="one", groups={"seen": "seen"}), clips)
    return project(root, ["one"], methods={"vid2vid": (2, 3.0)}, metrics={"psnr": METRICS["psnr"]}, full=False)


def test_one_run_without_extras_says_what_is_missing(tmp_path):
    page = report.write(one_run(tmp_path), tmp_path).read_text()
    for words in ("no logs beside", "No executed notebook", "has no future prediction"):
        assert words in page
    absent = 'wide board|Beside the paper|no method made|fooled by|class="drift"|of the way|Win prob|Ranking by'
    assert not re.search(absent, page)


def test_files_that_are_missing_or_broken_are_one_line(tmp_path):
    bound = one_run(tmp_path)
    with pytest.raises(params.Fault, match="warp_error has no per-clip scores of every run"):
        report.write(replace(bound, report=bound.report | {"players_by": "warp_error"}), tmp_path)
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "train-one_0.json").write_text('{"stage": "train"}')
    with pytest.raises(params.Fault, match=r"train-one_0\.json: not a whole log"):
        report.write(bound, tmp_path)
    shutil.rmtree(tmp_path / "runs" / "one_0")
    with pytest.raises(params.Fault, match=r"clips\.zip"):
        report.write(bound, tmp_path)
    Comparison.path(tmp_path).write_text("{")
    with pytest.raises(params.Fault, match=r"compare\.json: not whole"):
        report.write(bound, tmp_path)


def test_many_methods_and_metrics_fold(tmp_path):
    splits = ("t", "train"), ("a", "seen"), ("b", "seen")
    clips = [({"id": name, "split": split}, sliding_clip(i, 6)) for i, (name, split) in enumerate(splits)]
    write_store(tmp_path / "data" / "one.zip", facts(name="one", groups={"seen": "seen"}), clips)
    methods = {f"method {i}, whose title is long": (0, 3.0) for i in range(14)} | {ODD: (2, 8.0)}
    more = {
        f"further{i}": (kind, f"metric {i}", "", "lower", 10.0 ** (i - 6)) for i, kind in enumerate(["clip", "set"] * 6)
    }
    page = report.write(project(tmp_path, ["one"], methods=methods, metrics=METRICS | more), tmp_path).read_text()
    (rows,) = Page(page).of("scores")
    assert {len(row) for row in rows[1:]} == {1 + 15 + 2 + 2}
    assert sum(row[0].startswith("metric") for row in rows[1:]) == 13
    figures = r'<figure class="{}">\s*(?:<ul.*?</ul>)?\s*<div class="panels">(.*?)</figure>'
    intervals, curves = (re.search(figures.format(kind), page, re.DOTALL)[1] for kind in ("intervals", "curves"))
    assert [figure.split("<details>")[0].count("<svg") for figure in (intervals, curves)] == [8, 4]
    assert "9 more of the 17 metrics" in intervals
    assert intervals.count("<svg") == 17
    assert curves.count("<details>") == 1
    (headline,) = Page(page).of("headline")
    assert len(headline) == 1 + 8 + 2
    assert "7 more methods</a> in the table of all metrics" in plain(page)
    assert "<strong>Not one ranking.</strong>" in page
    assert ODD not in page


@pytest.mark.parametrize(
    "wrong, says",
    [
        ({"players": -1}, "report.players: -1"),
        ({"speed": 2}, "unknown speed"),
        ({"players_by": "fid"}, "no 'fid'"),
        ({"crf": 52}, "report.crf: 52"),
    ],
)
def test_wrong_settings_are_one_line(made, wrong, says):
    root, bound = made
    with pytest.raises(params.Fault, match=says):
        report.write(replace(bound, report=bound.report | wrong), root)


def test_where_only_predictors_are_compared_the_page_opens_with_them(made, tmp_path, monkeypatch):
    monkeypatch.setattr(opening, "rival", lambda *args: None)
    root, bound = made
    inputs, settings = Inputs.load(bound, root), bind(Settings, bound.report, "report")
    media = tmp_path / "media"
    media.mkdir()
    first = opening.opening(inputs, settings, media)
    (future,) = inputs.futures
    group = future.groups["seen"]
    fixed = [key for key in bound.predictors if key in group.table.metrics["psnr"].rows]
    assert (first.dataset, first.group) == ("sliding", "seen")
    assert first.answer.text == group.table.sentences[0].text
    assert [row.method.title for row in first.table.rows] == [future.entries[key].title for key in fixed]
    wanted = [group.table.metrics[label].title for label in bound.futures["sliding"].primary]
    assert [column.metric.title for column in first.table.metrics] == wanted
    reference = group.table.reference
    other = next(key for key in fixed if key != reference)
    assert [tile if isinstance(tile, str) else tile.title for tile in first.comparison.tiles] == [
        "source",
        "real video",
        *(future.entries[key].title for key in (reference, other)),
    ]
    with av.open(str(tmp_path / first.comparison.video.address)) as container:
        frames = [frame.to_ndarray(format="rgb24").astype(int) for frame in container.decode(video=0)]
    assert len(frames) == N_PAST + N_FUTURE
    clip = first.comparison.video.clip
    fake = Store(root / f"futures/sliding/{other}.zip").read(clip)["fake"]
    height, width = frames[0].shape[0] // 2, frames[0].shape[1] // 2
    last = fake[-1].repeat(height // 32, 0).repeat(width // 64, 1)
    assert abs((frames[-1][height:, width:] - last) @ (0.2126, 0.7152, 0.0722)).mean() < 6


def test_the_first_screen_says_who_wins_half_of_the_way_ahead(text):
    """8 frames are predicted: of the winners at 1, 2 and 5, those at 2."""
    assert "2 frames into the future, best by PSNR: label <forecast>, then vid2vid (≈ last frame)." in text
