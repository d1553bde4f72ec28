"""The report of a made-up project: 3 methods on a benchmark of two groups and on a sanity check."""

import hashlib
import itertools
import json
import re
import shutil
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser

import av
import pytest
from conftest import facts, sliding_clip
from made_up import METRICS, ODD, extras, project

from v2vbench import params, report
from v2vbench.clips.store import Store, write_store
from v2vbench.report import charts, players, tables


class Page(HTMLParser):
    """Tags of a page as (name, attributes), the words of each table's cells by rows, and what each svg says of itself."""

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
        return [rows for own, rows in self.tables if own == kind]


def told(words: str, value: float) -> bool:
    """Whether a cell begins with a value, rounded."""
    printed = re.match(r"[\d.]+", words.strip())[0]
    return abs(float(printed) - value) <= 0.5 * 10 ** -len(printed.partition(".")[2]) + 1e-12


@pytest.fixture(scope="module")
def made(tmp_path_factory, store_path):
    root = tmp_path_factory.mktemp("project")
    (root / "data").mkdir()
    shutil.copy(store_path, root / "data" / "sliding.zip")
    about = facts(name="other", title="Other <planes>", standing="sanity", groups={"last": "the last"})
    ends = [({"id": split, "split": split}, sliding_clip(i, 9)) for i, split in enumerate(("train", "last"))]
    write_store(root / "data" / "other.zip", about, ends)
    bound = project(root, ["sliding", "other"])
    extras(root, "sliding", ["seen"], ["labels forecast, then vid2vid", "vid2vid"])
    report.write(bound, root)
    return root, bound


@pytest.fixture(scope="module")
def html(made):
    return (made[0] / "reports" / "index.html").read_text()


def contents(folder):
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_every_method_metric_and_value_of_compare_is_printed(made, html):
    compare, page = json.loads((made[0] / "metrics" / "compare.json").read_text()), Page(html)
    groups = [group for dataset in compare["datasets"].values() for group in dataset["groups"].values()]
    assert len(page.of("scores")) == len(groups) == 3
    for group, rows in zip(groups, page.of("scores")):
        assert [words.strip().split(" ")[0] for words in rows[1][1:4]] == ["vid2vid", "pix2pixHD", '<b>"copy"']
        for metric in group["metrics"].values():
            values = [row["value"] for row in metric["rows"].values()]
            if values == [None] * 3:
                assert not any(row[0].strip().startswith(metric["title"]) for row in rows)
                continue
            assert metric["protocol"] in html
            if metric["hidden"]:
                assert not any(row[0].strip().startswith(metric["title"]) for row in rows)
                continue
            (row,) = (row for row in rows if row[0].strip().startswith(metric["title"]))
            values.append(metric["real"] and metric["real"]["value"])
            values += [
                metric["controls"][key]["value"] for key in ("frozen", "carried", "blurred")
            ]  # feasible ones come first
            for value, words in zip(values, row[1:], strict=True):
                assert words.strip() == "" if value is None else told(words, value), (metric["title"], words, value)
            if metric["floor"]:
                assert told(row[4].partition("guess ")[2], metric["floor"]["value"])
    assert (
        html.count("<strong>0.87</strong> / 0.13</td>") == 4 and html.count(">0.60 / 0.40</td>") == 4
    )  # votes, and chances
    assert all(text in html for text in ("vid2vid", "pix2pixHD", "2 real frames", "1 h 02 min"))
    assert "gone" not in html


def by_title(part: str) -> dict[str, list]:
    """The rows of the first score table of a part of the page by the first words of their first cell."""
    return {re.split(r"\d? [↑↓→]", row[0])[0].strip(): row for row in Page(part).of("scores")[0]}


def test_two_headings_with_the_primaries_first(html):
    seen = html.split('id="sliding-seen"')[1].split('id="sliding-unseen"')[0]
    assert re.findall(r'<th scope="rowgroup">([^<]+)</th>', seen) == [
        "Fidelity to the source",
        "Realism in space and time",
    ]
    rows, bodies = by_title(seen), seen.split("<tbody>")[1:3]
    names = [re.findall(r'<span class="head">([^<]*)<span class="nowrap">([^<]*)<a', body) for body in bodies]
    assert [["".join(name).strip() for name in own] for own in names] == [
        ["PSNR"],
        ["warp error", "KED-Lite0 &lt;frames&gt;", "FED-Lite0 frames", "motion ratio"],
    ]
    assert [name for name, row in rows.items() if "primary" in row[0]] == ["PSNR", "warp error", "KED-Lite0 <frames>"]
    assert (
        "dB, sees frames" in rows["PSNR"][0] and "sees little of either, of whole sets" in rows["FED-Lite0 frames"][0]
    )
    assert seen.count('<tr class="primary">') == 3 and "named beforehand" in seen


def test_verdicts_equivalents_seeds_and_bars_are_told(html):
    seen, unseen = (html.split(f'id="sliding-{name}"')[1] for name in ("seen", "unseen"))
    rows = by_title(seen)
    psnr, warp, fed, ked, motion = (
        rows[name] for name in ("PSNR", "warp error", "FED-Lite0 frames", "KED-Lite0 <frames>", "motion ratio")
    )
    assert "▼ worse than vid2vid, p < 0.001, primary metrics, over seeds too" in psnr[2] and not set("▲▼≈") & set(
        psnr[1]
    )
    assert "≈ not distinguishable from vid2vid, p 0.310, primary metrics" in psnr[3] and "over seeds" not in psnr[3]
    assert "worse than vid2vid, p < 0.001, exploratory metrics" in motion[2]
    assert psnr[3].endswith("could detect Δ ≥ 0.34") and "could detect" not in psnr[2]
    assert ked[3].endswith("could detect no Δ, however large")
    assert "28.00 best" in psnr[1] and 'as bad as <b>"copy" & last</b> σ 1.8 px' in psnr[2] and "bad as" not in ked[2]
    assert "at most as bad as flicker σ 2" in warp[2] and 'title="at most as bad as flicker σ 2, 1.5 to 2"' in seen
    assert "3 seeds, 25.20 to 30.80" in psnr[1] and "seeds" not in psnr[2].replace("over seeds", "")
    assert "74 % of the way" in psnr[1] and "44 % of the way" in psnr[2] and "of the way" not in motion[1] + motion[-1]
    assert not set("▲▼≈") & set("".join(fed)) and "no verdict" in fed[0] and "no verdict" not in psnr[0]
    assert "No verdict on FED-Lite0 frames: biased at this number of &lt;clips&gt;." in seen
    assert (
        "primary metrics (Holm over 6 tests); exploratory metrics (max-t over 2 tests); controls (max-t over 12 tests)"
        in seen
    )
    assert "one a map (2 maps)" in seen and "one a clip (3 clips)" in unseen and "with a chance of 80 %" in seen
    assert (
        "With 2 maps no verdict of the primary metrics is possible; it takes 8." in seen
        and "is possible; it takes" not in unseen
    )
    assert "3 clips of 2 maps" in seen and "There are only 2 maps:" in seen and "There are only 3 clips:" in unseen


def test_controls_are_columns_with_verdicts(html):
    seen = html.split('id="sliding-seen"')[1].split('id="sliding-unseen"')[0]
    bands, heads = Page(seen).of("scores")[0][:2]
    assert bands[-2:] == ["controls that never saw the target", "controls made from the real video"]
    assert heads[-3:] == ["frozen", "carried along", "blur<red>"]
    psnr, warp = (by_title(seen)[name] for name in ("PSNR", "warp error"))
    assert (
        "▼ worse than vid2vid, p < 0.001, controls" in psnr[-1]
        and "▲ better than vid2vid, p 0.020, controls" in psnr[-2]
    )
    assert (
        "≈ not distinguishable from vid2vid, p 0.310, controls" in psnr[-3]
        and "best" not in psnr[-1]
        and "detect" not in psnr[-3]
    )
    assert (
        "fooled by blur<red>" in psnr[0]
        and "fooled" not in warp[0]
        and "<i>frozen</i>: the first &lt;real&gt; frame, held." in seen
    )
    assert "fooled by frozen; blur<red>" in by_title(seen)["KED-Lite0 <frames>"][0]
    assert not re.search("cheat|unsafe|[Bb]eware|clips to decide", html)


def test_sentences_stand_as_they_are_and_details_unfold(html):
    part = html.split('id="in-short"')[1].split("</section>")[0]
    folded = "".join(re.findall(r"<details>.*?</details>", part, re.DOTALL))
    top = re.sub(r"<details>.*?</details>", "", part, flags=re.DOTALL)
    assert top.count("<dd>vid2vid is &lt;better&gt; on ") == 3 and "pix2pixHD against it" not in top
    assert folded.count("<li>pix2pixHD against it, on ") == folded.count("1 more") == 3 and "better" not in folded


def test_drift_is_told_with_its_sign(html):
    seen, other = (
        html.split('id="sliding-seen"')[1].split('id="sliding-unseen"')[0],
        html.split('<section id="other"')[1],
    )
    (rows,) = Page(seen).of("drift")
    assert rows[0] == ["metric", "vid2vid", "pix2pixHD", ODD] and [
        row[0].split("↑")[0].split("↓")[0].strip() for row in rows[1:]
    ] == ["PSNR", "warp error"]
    assert (
        rows[1][1] == "−0.56 worse towards the end −0.91 to −0.21"
        and rows[1][2] == "+0.56 better towards the end +0.21 to +0.91"
    )
    assert "better towards the end" in rows[2][1] and rows[1][3] == rows[2][3] == "–" and 'class="drift"' not in other


def test_absent_metrics_fold_and_print_no_number(html):
    folds = re.findall(r'<details class="wide missing">(.*?)</details>', html, re.DOTALL)
    assert ["; 2 metrics have no value on these clips" in fold for fold in folds[:3]] == [False, False, True]
    for fold in folds[:3]:
        assert "2 metrics need weights that are not here; 1 metric tells nothing on these clips" in fold
        assert (
            "<dt>mIoU</dt><dd>the real video is &lt;no&gt; better than a guess</dd>" in fold
            and "FID; LPIPS &lt;alex&gt;" in fold
        )
        assert (
            fold.count("weights absent: inception2015") == 1
            and "<code>v2vbench fetch weights</code> brings &lt;them&gt;" in fold
        )
    assert "fid/1:made-up" not in html and "lpips/1:made-up" not in html


def test_calibration_is_a_table_of_curves(html):
    boards = re.findall(r'<details class="wide board">(.*?)</details>', html, re.DOTALL)
    assert len(boards) == 3 and "5 ladders of damage, 6 metrics" in boards[0] and "(7 of the longest clip)" in boards[0]
    (rows,) = Page(boards[0]).of("ladders")
    assert rows[1][1:] == [
        "blur σ 0.5 to 4 px",
        "<jpeg> quality 0.5 to 4",
        "flicker 0.5 to 4",
        "shuffle in blocks of 0.5 to 4 frames",
        "freeze 0.5 to 4 frames",
    ]
    assert [row[0] for row in rows[2:]] == [
        "PSNR",
        "warp error",
        "FED-Lite0 frames",
        "KED-Lite0 <frames>",
        "mIoU",
        "motion ratio",
    ]
    assert rows[3][1] == "–" and boards[0].count('class="rungs odd"') == boards[0].count("not monotone</span>") == 6 * 2
    assert "<dt>Fooled by blur&lt;red&gt;</dt><dd>PSNR; KED-Lite0 &lt;frames&gt;</dd>" in boards[0]
    assert (
        "<dt>Fooled by frozen</dt><dd>KED-Lite0 &lt;frames&gt;</dd>" in boards[0]
        and "Fooled by carried" not in boards[0]
    )
    falls = re.findall(r'<path d="M4 ([\d.]+)L.*?L52 ([\d.]+)"', boards[0])
    assert float(falls[0][0]) < float(falls[0][1])  # PSNR under blur: a lower value stands lower


def test_chances_say_who_taught_them(html):
    assert (
        html.count("<strong>Learned from damage, not from people.</strong>") == 2 and "Ties are &lt;half&gt;." in html
    )
    chances = Page(html.split('id="sliding-seen"')[1]).of("preference")[1]
    votes = Page(html.split('id="sliding-seen"')[1]).of("preference")[0]
    assert votes[1][4].split() == ["3", "2", "maps"] and html.count("<b>realism</b>: warp error votes.") == 2
    assert html.count("<b>fidelity</b>: PSNR votes (passed over: FID, has no value of &lt;one&gt; clip).") == 2
    assert html.count("PSNR and warp error together prefer the first method") == 2
    assert chances[1][1:] == ["0.87 / 0.13", "", "0.80–0.93", "3", "1"] and "not known" in chances[-1][1]
    assert (
        html.count("Accuracy 0.91 (a coin has 0.50), log loss 0.23 (a coin has 0.69)") == 2
        and "Of &lt;3&gt; metrics." in html
    )
    assert (
        html.count("0.60 foretold, 0.36 observed in 40") == 2 and html.count("Bradley-Terry with ties, 27 votes") == 2
    )


def test_one_clip_has_a_reason_instead_of_votes(html):
    sanity = html.split('<section id="other"')[1]
    assert "There is one clip only, which says nothing of &lt;others&gt;." in sanity and not Page(sanity).of(
        "preference"
    )
    assert "metrics voted" in html.split('<section id="other"')[0] and "metrics voted" not in sanity


def test_the_ledger_lays_ours_beside_the_papers(html):
    part = html.split('<section id="ledger"')[1].split('<section id="future"')[0]
    (rows,) = Page(part).of("ledger")
    found, absent, stand_in = (
        rows[2],
        next(row for row in rows if any("weights absent" in words for words in row)),
        rows[-2],
    )
    assert (
        found[1:3] == ["vid2vid", "4.66"]
        and told(found[3], 41.2)
        and found[4] == "0.84"
        and found[5].startswith("0.82 0.77–0.88")
    )
    assert found[6] == "the same one leads; the published one lies in our interval" and rows[3][:2] == [
        "pix2pixHD",
        "5.57",
    ]
    assert "FED-Lite0 frames3 on Sliding planes, seen" in found[0] and absent[3].endswith("brings <them>")
    assert "Sliding planes, seen; Sliding planes, unseen" in absent[0]  # nothing is here of either: told once
    assert (
        stand_in[2] == stand_in[4] == "–"
        and part.count('<tbody class="stand-in">') == 1
        and "in its place" in stand_in[0]
    )
    assert stand_in[6] == "beside it; tests nothing" and "no test of the paper's claim" in unescape(part)
    assert part.count("Other &lt;clips&gt;, of seen: <code>lite0</code>.") == 1 and 'href="#ledger-2"' in part
    assert "1 more comparison of the paper has nothing beside it here" in part and "vid2vid 3.44, PredNet 11.18" in part
    assert '<a href="#ledger">Beside the paper</a>' in html


def test_titles_are_escaped(html):
    assert ODD not in html and "&lt;b&gt;&#34;copy&#34; &amp; last&lt;/b&gt;" in html
    assert "<planes>" not in html and "Numbers &lt;made up&gt; by a test." in html


def test_nothing_is_asked_of_another_host(made, html):
    pages = [html, *(path.read_text() for path in (made[0] / "reports" / "notebooks").glob("*.html"))]
    assert len(pages) == 2 and len(html.encode()) < 400_000
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
    assert names.count("h1") == names.count("main") == 1 and levels[0] == 1
    assert all(b <= a + 1 for a, b in itertools.pairwise(levels)), levels
    assert page.tags[0] == ("html", {"lang": "en"}) and len(ids) == len(set(ids))
    for about, *says in page.svgs:
        assert about.get("aria-hidden") == "true" or (about["role"] == "img" and says == ["title", "desc"])
    assert all(about.get("alt") for tag, about in page.tags if tag == "img")
    assert all(about.get("aria-label") for tag, about in page.tags if tag == "video")
    assert all("scope" in about for tag, about in page.tags if tag == "th")
    assert names.count("caption") == names.count("table")
    assert all(about["href"][1:] in ids for tag, about in page.tags if tag == "a" and about["href"].startswith("#"))


def test_a_sanity_check_has_no_best(html):
    benchmark, sanity = html.split('<section id="ledger"')[0].split('<section id="other"')
    assert all(text in benchmark for text in ('class="num best"', 'class="verdict worse"', "fewer rows than features"))
    assert not re.search(r"<strong>[\d.]|num best|class=.verdict|Bold|Verdicts|no verdict|towards the end", sanity)
    assert all(text in sanity for text in ("There is one clip only", "sanity check", "2 real frames"))


def test_players_hold_the_frames_that_were_made(made):
    root, media = made[0], made[0] / "reports" / "media"
    videos = sorted(media.glob("sliding-seen-*.mp4"))
    assert len(videos) == 2 and len(list(media.glob("*.mp4"))) == len(list(media.glob("*.jpg"))) == 5
    store, fakes = Store(root / "data" / "sliding.zip"), Store(root / "runs" / "sliding_1" / "clips.zip")
    factor, size, corners = players.layout(3, (32, 64), 128)
    for video in videos:
        clip = re.fullmatch(r"sliding-seen-(.+)-[0-9a-f]{8}", video.stem)[1]
        assert hashlib.sha256(video.read_bytes()).hexdigest()[:8] == video.stem[-8:]
        assert video.read_bytes().find(b"moov") < video.read_bytes().find(b"mdat")
        with av.open(str(video)) as file:
            stream = file.streams.video[0]
            assert stream.average_rate == 10 and stream.codec_context.pix_fmt == "yuv420p"
            frames = [frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)]
        assert len(frames) == 12 and frames[0].shape == (*size, 3) and factor == 2
        arrays = store.read(clip)
        tiles = players.colour(arrays, store.facts), arrays["real"], fakes.read(clip)["fake"]
        for (y, x), tile in zip((corners[0], corners[1], corners[3]), tiles):
            for t in (0, 5, 11):
                error = frames[t][y : y + 64, x : x + 128].astype(int) - tile[t].repeat(2, 0).repeat(2, 1)
                assert abs(error @ (0.2126, 0.7152, 0.0722)).mean() < 4  # luma; yuv420p halves the colour's size


def test_clips_are_shown_evenly_from_worst_to_best():
    values = {"a": [3.0, 1.0, 2.0, 5.0, 4.0], "b": [3.0, 1.0, 2.0, 5.0, None]}
    assert players.pick(values, "higher", 3) == [(1, 0), (0, 2), (3, 4)]
    assert players.pick(values, "lower", 2) == [(3, 0), (1, 4)] and players.pick(values, "lower", 0) == []
    assert players.pick({"a": [0.5, 1.1]}, "one", 9) == [(0, 0), (1, 1)]
    assert [players.place_name(p, 4) for p in range(4)] == ["worst of 4", "3rd best of 4", "2nd best of 4", "best of 4"]


@pytest.mark.parametrize("n", range(1, 8))
def test_tiles_do_not_overlap(n):
    factor, (height, width), corners = players.layout(n, (31, 63), 100)
    assert factor == 2 and height % 2 == width % 2 == 0 and len(corners) == n + 2
    assert all(players.BAND <= y and y + 62 <= height and x + 126 <= width for y, x in corners)
    pairs = itertools.combinations(corners, 2)
    assert all(abs(y - v) >= 62 + players.BAND or abs(x - w) >= 126 for (y, x), (v, w) in pairs)


def test_charts_bear_gaps_and_choose_round_numbers():
    none, two = {"value": None, "low": None, "high": None}, {"value": 2.0, "low": None, "high": None}
    assert "not defined" in charts.intervals("m", [("a", 0, none), ("b", 1, two)], None, "one", 2)
    curve = charts.lines("m", [("a", 0, [1.0, None, 2.0, 1.0], None, None)], x=[1, 2, 3, 4], x_label="t", y_label="")
    assert re.search(r'class="line" d="M[\d. ]+M[\d. ]+L[\d. ]+"', curve)
    assert charts.ticks(0, 1, 4) == [0, 0.25, 0.5, 0.75, 1] and charts.ticks(-3, 17, 4) == [0, 5, 10, 15]
    assert tables.digits([{"value": 0.00067, "low": 0.00064, "high": 0.0007}]) == 6
    assert tables.digits([two]) == 2 and tables.digits([none]) == 2 and tables.number(-0.5, 1) == "−0.5"


def test_notebooks_are_pages_of_their_own(made):
    page = (made[0] / "reports" / "notebooks" / "train-sliding_0.html").read_text()
    tags = Page(page).tags
    assert '<html lang="en">' in page and "<title>Training vid2vid · v2vbench</title>" in page and "<script" not in page
    assert [tag for tag, _ in tags].count("h1") == 1 and "&lt;x&gt;" in page and "<td>1</td>" in page
    alts = [about["alt"] for tag, about in tags if tag == "img"]
    assert alts == ["two curves & a <band>", "a figure without a description"]
    assert ("a", {"href": "../index.html"}) in tags


def test_equal_inputs_give_equal_bytes_and_a_failure_leaves_the_old_report(made, monkeypatch):
    root, bound = made
    kept = contents(root / "reports")
    report.write(bound, root)
    assert contents(root / "reports") == kept
    with monkeypatch.context() as patched:
        patched.setattr(players, "encode", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        with pytest.raises(params.Fault, match="No space left on device; the report that was there is as it was"):
            report.write(bound, root)
    curves = root / "runs" / "sliding_2" / "curves.csv"
    curves.rename(root / "hidden")
    with pytest.raises(params.Fault, match="sliding_2/curves.csv: missing"):
        report.write(bound, root)
    (root / "hidden").rename(curves)
    assert {path: path.read_bytes() for path in kept} == kept


def test_one_run_without_extras_says_what_is_missing(tmp_path):
    ends = [
        ({"id": name, "split": split}, sliding_clip(i, 6))
        for i, (name, split) in enumerate((("t", "train"), ("a", "seen"), ("b", "seen")))
    ]
    write_store(tmp_path / "data" / "one.zip", facts(name="one", groups={"seen": "seen"}), ends)
    bound = project(tmp_path, ["one"], methods={"vid2vid": (2, 3.0)}, metrics={"psnr": METRICS["psnr"]}, full=False)
    page = report.write(bound, tmp_path).read_text()
    assert all(text in page for text in ("no logs beside", "No executed notebook", "has no future prediction"))
    absent = (
        'class="wide board',
        "Beside the paper",
        "no method made",
        "fooled by",
        'class="drift"',
        "of the way",
        "Win prob",
        "Ranking by",
    )
    assert not any(text in page for text in absent)
    with pytest.raises(params.Fault, match="warp_error has no value a clip"):
        report.write(replace(bound, report=bound.report | {"players_by": "warp_error"}), tmp_path)
    shutil.rmtree(tmp_path / "runs" / "one_0")
    with pytest.raises(params.Fault, match=r"clips\.zip"):
        report.write(bound, tmp_path)
    (tmp_path / "metrics" / "compare.json").write_text("{")
    with pytest.raises(params.Fault, match=r"compare\.json: not whole"):
        report.write(bound, tmp_path)


def test_many_methods_and_metrics_fold(tmp_path):
    ends = [
        ({"id": name, "split": split}, sliding_clip(i, 6))
        for i, (name, split) in enumerate((("t", "train"), ("a", "seen"), ("b", "seen")))
    ]
    write_store(tmp_path / "data" / "one.zip", facts(name="one", groups={"seen": "seen"}), ends)
    methods = {f"method {i}, whose title is long": (0, 3.0) for i in range(14)} | {ODD: (2, 8.0)}
    more = {
        f"further{i}": (kind, f"metric {i}", "", "lower", 10.0 ** (i - 6)) for i, kind in enumerate(["clip", "set"] * 6)
    }
    page = report.write(project(tmp_path, ["one"], methods=methods, metrics=METRICS | more), tmp_path).read_text()
    (rows,) = Page(page).of("scores")
    assert {len(row) for row in rows[1:]} == {1 + 15 + 2 + 2} and sum(
        row[0].startswith("metric") for row in rows[1:]
    ) == 13
    dots, curves = re.findall(
        r'<figure class="wide">\s*(?:<ul.*?</ul>)?\s*<div class="panels">(.*?)</figure>', page, re.DOTALL
    )
    assert [figure.split("<details>")[0].count("<svg") for figure in (dots, curves)] == [8, 9]
    assert "9 more of the 17 metrics" in dots and dots.count("<svg") == 17 and curves.count("<details>") == 0
    assert "<strong>Not one ranking.</strong>" in page and ODD not in page


@pytest.mark.parametrize(
    "wrong, told",
    [
        ({"players": -1}, "report.players: -1"),
        ({"speed": 2}, "unknown speed"),
        ({"players_by": "fid"}, "no 'fid'"),
        ({"crf": 52}, "report.crf: 52"),
    ],
)
def test_wrong_settings_are_one_line(made, wrong, told):
    root, bound = made
    with pytest.raises(params.Fault, match=told):
        report.write(replace(bound, report=bound.report | wrong), root)
