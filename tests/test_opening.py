"""The first screen of the report: the answer, the comparison in step, and the headline table."""

import re
import shutil
from dataclasses import replace
from html import unescape

import av
import numpy as np
import pytest
from conftest import facts, sliding_clip
from made_up import METHODS, METRICS, ODD, project

from v2vbench import report
from v2vbench.clips.store import Store, write_store
from v2vbench.display.palette import colour
from v2vbench.report.answer import answer, rival
from v2vbench.report.charts import Method
from v2vbench.report.headline import bounds, headline_table
from v2vbench.report.inputs import Inputs
from v2vbench.results.metric import Interval


@pytest.fixture(scope="module")
def made(tmp_path_factory, store_path):
    root = tmp_path_factory.mktemp("opening")
    (root / "data").mkdir()
    shutil.copy(store_path, root / "data" / "sliding.zip")
    bound = project(root, ["sliding"])
    report.write(bound, root)
    return root, bound


@pytest.fixture(scope="module")
def inputs(made):
    return Inputs.load(made[1], made[0])


@pytest.fixture(scope="module")
def header(made):
    """The first screen's HTML."""
    return re.search(r"<header.*?</header>", (made[0] / "reports/index.html").read_text(), re.DOTALL)[0]


def with_verdicts(inputs, words, **of_group):
    """The inputs, in which the second run has other verdicts: {label: word} of its primary metrics."""
    dataset = inputs.comparison.datasets["sliding"]
    group = dataset.groups["unseen"]
    metrics = {}
    for label, metric in group.metrics.items():
        rows = dict(metric.rows)
        if rows and (row := rows["sliding_1"]).verdict:
            word = words.get(label)
            rows["sliding_1"] = replace(row, verdict=word and replace(row.verdict, word=word))
        metrics[label] = replace(metric, rows=rows)
    group = replace(group, metrics=metrics, **of_group)
    datasets = {"sliding": replace(dataset, groups=dataset.groups | {"unseen": group})}
    return replace(inputs, comparison=replace(inputs.comparison, datasets=datasets))


WHERE = ("sliding", "unseen", "sliding_1")
A, B, SAME = "worse", "better", "not distinguishable"  # of the second run: the first is better, is worse, or neither
REALISM, FIDELITY = "looks and moves more like real video", "keeps closer to its source"


@pytest.mark.parametrize(
    "psnr, warp_error, ked, claim",
    [
        (A, A, A, f"vid2vid {REALISM} and {FIDELITY} than pix2pixHD"),
        (SAME, A, SAME, f"vid2vid {REALISM} than pix2pixHD"),
        (B, B, B, f"pix2pixHD {REALISM} and {FIDELITY} than vid2vid"),
        (B, A, A, f"vid2vid {REALISM}, but pix2pixHD {FIDELITY}"),
        (A, A, B, f"vid2vid {FIDELITY} than pix2pixHD, while other measures disagree"),
        (SAME, A, B, "Which of vid2vid and pix2pixHD is better depends on the measure"),
        (SAME, SAME, SAME, "vid2vid and pix2pixHD cannot be told apart"),
    ],
)
def test_the_answer_says_what_the_verdicts_say(inputs, psnr, warp_error, ked, claim):
    changed = with_verdicts(inputs, {"psnr": psnr, "warp_error": warp_error, "ked": ked})
    assert answer(changed, "sliding", "unseen", "sliding_1").claim == claim


def test_the_number_is_of_a_metric_that_supports_the_claim(inputs):
    everything = answer(inputs, "sliding", "unseen", "sliding_1")
    assert everything.evidence.startswith("warp error ")  # of realism, and no distance between sets
    assert everything.text.startswith(f"vid2vid {REALISM} and {FIDELITY} than pix2pixHD: warp error ")
    changed = with_verdicts(inputs, {"psnr": A, "warp_error": SAME, "ked": SAME})
    one = answer(changed, "sliding", "unseen", "sliding_1")
    assert re.fullmatch(r"PSNR [\d.]+ dB against [\d.]+ dB on 3 clips, unseen", one.evidence)
    changed = with_verdicts(inputs, {"psnr": SAME, "warp_error": SAME, "ked": A})
    assert answer(changed, "sliding", "unseen", "sliding_1").evidence.startswith("KED-Lite0 <frames> ")


def test_numbers_have_the_order_of_the_sentence(inputs):
    evidence, sure = {}, {}
    for verdict in (A, B):
        one = answer(with_verdicts(inputs, {"psnr": verdict, "warp_error": SAME, "ked": SAME}), *WHERE)
        evidence[verdict], sure[verdict] = re.findall(r"[\d.]+(?= dB)", one.evidence), re.findall(r"[\d.]+", one.sure)
    assert evidence[B] == evidence[A][::-1] and len(set(evidence[A])) == 2
    assert sorted(sure[A]) == sorted(sure[B])  # the same interval, seen from the other side


def test_how_sure_is_the_interval_of_the_paired_difference(inputs):
    """Student's interval of the clips' differences, from scipy on the scores by clip."""
    from scipy import stats

    changed = with_verdicts(inputs, {"psnr": A, "warp_error": SAME, "ked": SAME})
    a, b = (
        np.array(inputs.scores[run].groups["unseen"].scores["psnr"].fake.per_clip) for run in ("sliding_0", "sliding_1")
    )
    low, high = stats.t.interval(0.95, len(a) - 1, loc=(a - b).mean(), scale=stats.sem(a - b))
    sure = answer(changed, "sliding", "unseen", "sliding_1").sure
    ends = [float(end) for end in re.findall(r"[\d.]+", sure)[1:]]
    if low < 0 < high:
        assert re.fullmatch(r"95\s% sure: [\d.]+ lower to [\d.]+ higher", sure)
        low = -low
    else:
        assert sure.endswith("higher" if low > 0 else "lower")
        low, high = sorted((abs(low), abs(high)))
    half_a_digit = 0.5 * 10 ** -len(re.findall(r"\.(\d+)", sure)[0]) if "." in sure else 0.5
    assert ends == pytest.approx([low, high], abs=half_a_digit * 1.01)


def test_too_few_clusters_are_in_the_answer(inputs):
    changed = with_verdicts(inputs, dict.fromkeys(("psnr", "warp_error", "ked"), SAME), clusters_needed=8)
    claim = answer(changed, "sliding", "unseen", "sliding_1").claim
    assert claim == "vid2vid and pix2pixHD cannot be told apart, since 3 clips cannot show a difference"


def test_a_method_alone_and_a_sanity_check_claim_nothing(inputs):
    assert answer(inputs, "sliding", "unseen", None).text == (
        "vid2vid is the only method here, so nothing is compared."
    )
    comparison = inputs.comparison
    sanity = {"sliding": replace(comparison.datasets["sliding"], standing="sanity")}
    changed = replace(inputs, comparison=replace(comparison, datasets=sanity))
    assert "cannot rank methods" in answer(changed, "sliding", "unseen", "sliding_1").text


def test_the_rival_is_of_another_model(inputs):
    runs = inputs.runs_of("sliding")
    assert rival(inputs, runs, "sliding_0") == "sliding_1"
    models = dict(zip(runs, ("vid2vid", "vid2vid", "pix2pixhd")))
    infos = {run: replace(info, model=models[run]) for run, info in inputs.comparison.runs.items()}
    changed = replace(inputs, comparison=replace(inputs.comparison, runs=infos))
    assert rival(changed, runs, "sliding_0") == "sliding_2"
    assert rival(inputs, {"sliding_0": "vid2vid"}, "sliding_0") is None


def test_the_first_screen_is_of_the_group_farthest_from_training(header):
    assert "3 clips, unseen" in header
    assert header.index("<h1>") < header.index("<video") < header.index('<table class="headline">')
    assert "Numbers &lt;made up&gt; by a test." in header
    assert ODD not in header


def test_the_comparison_plays_alone_and_can_be_divided(header):
    (video,) = re.findall(r"<video [^>]*>", header)
    for word in ("autoplay", "loop", "muted", "playsinline", "controls"):
        assert f" {word}" in video
    assert 'aria-label="Clip slide-' in video
    assert "source, real video, vid2vid, pix2pixHD" in video
    (slider,) = re.findall(r'<input type="range"[^>]*>', header)
    assert "aria-label=" in slider
    options = [
        re.findall(r"<option [^>]*>([^<]+)", select) for select in re.findall(r"<select.*?</select>", header, re.DOTALL)
    ]
    assert options == [["source", "real video", "vid2vid", "pix2pixHD"]] * 2
    chosen = re.findall(r"<option [^>]* selected>([^<]+)", header)
    assert chosen == ["vid2vid", "pix2pixHD"]


def test_the_comparison_holds_the_frames_of_the_middle_clip(made, header):
    root, bound = made
    (path,) = (root / "reports/media").glob("sliding-unseen-opening-*.mp4")
    clip = re.search(r'class="id">([^<]+)', header)[1]
    assert "2nd best of 3" in header
    store = Store(root / "data/sliding.zip")
    arrays = store.read(clip)
    fakes = [Store(root / f"runs/sliding_{i}/clips.zip").read(clip)["fake"] for i in (0, 1)]
    with av.open(str(path)) as file:
        frames = [frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)]
    assert len(frames) == 12
    assert frames[0].shape == (2 * 64, 2 * 128, 3)
    corners = (0, 0), (0, 128), (64, 0), (64, 128)
    for (y, x), tile in zip(corners, (colour(arrays, store.facts), arrays["real"], *fakes)):
        for t in (0, 5, 11):
            error = frames[t][y : y + 64, x : x + 128].astype(int) - tile[t].repeat(2, 0).repeat(2, 1)
            assert abs(error @ (0.2126, 0.7152, 0.0722)).mean() < 4  # luma; yuv420p halves the colour's size


def test_the_headline_has_the_primary_metrics_alone(inputs, header):
    (table,) = re.findall(r'<table class="headline">.*?</table>', header, re.DOTALL)
    heads = [
        unescape(re.sub(r"<span.*?</span>", "", head)).strip()
        for head in re.findall(r'<th scope="col" class="num">(.*?)(?:<span|</th>)', table, re.DOTALL)
    ]
    assert sorted(heads) == ["KED-Lite0 <frames>", "PSNR", "warp error"]
    rows = re.findall(r"<tr><th scope=\"row\">.*?</tr>", table, re.DOTALL)
    assert [row.count("<td") for row in rows] == [3] * len(rows)
    assert len(re.findall("<strong>", table)) == 3  # the best by each
    many = inputs.comparison.datasets["sliding"].groups["unseen"]
    many = replace(many, metrics={f"{label}{i}": metric for i in range(3) for label, metric in many.metrics.items()})
    runs = {run: Method(title, i) for i, (run, title) in enumerate(inputs.runs_of("sliding").items())}
    assert len(headline_table(many, inputs.params.protocol.primary, runs, ["sliding_0"], True).metrics) == 5


def test_bars_run_from_floor_to_ceiling(inputs):
    group = inputs.comparison.datasets["sliding"].groups["unseen"]
    metric = group.metrics["warp_error"]
    real = Interval(value=0.001, low=None, high=None)
    guess = Interval(value=0.005, low=None, high=None)
    row = next(iter(metric.rows.values()))

    def table(value, **changes):
        changed = replace(metric, real=real, floor=guess, rows={"sliding_0": replace(row, value=value)}, **changes)
        changed = replace(group, metrics={"warp_error": changed})
        return headline_table(changed, [], {"sliding_0": Method("vid2vid", 0)}, ["sliding_0"], True)

    assert [table(value).rows[0].cells[0].percent for value in (0.001, 0.004, 0.005, 0.009, 0.0001)] == [
        100,
        25,
        0,
        0,
        100,
    ]
    assert table(0.004).metrics[0].bounds.floor_is == "a guess"


def test_a_floor_is_a_control_that_never_saw_the_target_and_fools_no_metric(inputs):
    group = inputs.comparison.datasets["sliding"].groups["unseen"]
    metric = replace(group.metrics["warp_error"], floor=None, real=Interval(value=0.001, low=None, high=None))
    values = {"carried": 0.004, "frozen": 0.003, "blurred": 0.002}  # blurred is made from the target
    rows = {key: replace(metric.controls[key], value=value) for key, value in values.items()}
    metric = replace(metric, controls=rows, fooled_by=[])
    assert bounds(group, "warp_error", metric).floor_is == "frozen"
    assert bounds(group, "warp_error", replace(metric, fooled_by=["frozen"])).floor == 0.004
    assert bounds(group, "warp_error", replace(metric, fooled_by=["frozen", "carried"])) is None
    assert bounds(group, "warp_error", replace(metric, real=Interval(value=0.01, low=None, high=None))) is None
    assert bounds(group, "psnr", replace(metric, better="higher", real=None)) is None  # nothing is a ceiling


def test_one_method_is_compared_with_the_real_video(tmp_path):
    splits = ("t", "train"), ("a", "seen"), ("b", "seen")
    clips = [({"id": name, "split": split}, sliding_clip(i, 6)) for i, (name, split) in enumerate(splits)]
    write_store(tmp_path / "data" / "one.zip", facts(name="one", groups={"seen": "seen"}), clips)
    methods = dict(list(METHODS.items())[:1])
    bound = project(tmp_path, ["one"], methods=methods, metrics={"psnr": METRICS["psnr"]}, full=False)
    page = report.write(bound, tmp_path).read_text()
    assert "vid2vid is the only method here" in page
    assert re.findall(r"<option [^>]* selected>([^<]+)", page) == ["vid2vid", "real video"]
