"""What notebooks show: tables and charts have the numbers of the results, strips the frames of the stores."""

import base64
import io
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from made_up import PREDICTORS, future_scores
from made_up_results import calibrated_group, climb, control, fooled_by, ladder, metric_info, response
from PIL import Image

from v2vbench import params
from v2vbench.clips.damage import damaged
from v2vbench.clips.store import Store, facts_of_run, write_store
from v2vbench.display import calibrate, compare, data, evaluate, future, pictures, restyle, start, train, video
from v2vbench.display.table import table
from v2vbench.results.calibration import CalibrationScores, CalibrationSettings
from v2vbench.results.comparison import Comparison
from v2vbench.results.future import FutureScores
from v2vbench.results.runs import RunScores

ROOT = Path(__file__).parents[1]
RUN, GROUP = RunScores.load(RunScores.path(ROOT, "freedoom_vid2vid")), "unseen"
COMPARISON = Comparison.load(Comparison.path(ROOT))
CALIBRATION = CalibrationScores.load(CalibrationScores.path(ROOT, "freedoom"))
COMPARED = json.loads(Comparison.path(ROOT).read_text())["datasets"]["freedoom"]["groups"][GROUP]


def rows(shown) -> list[dict]:
    """The lines of an HTML table by the names above its columns."""
    names = re.findall(r'<th scope="col">(.*?)</th>', shown.data)
    lines = re.findall(r"<tr>(<td>.*?)</tr>", shown.data)
    return [dict(zip(names, re.findall("<td>(.*?)</td>", line), strict=True)) for line in lines]


def pixels(shown) -> np.ndarray:
    return np.array(Image.open(io.BytesIO(shown.data)).convert("RGB"))


def holds(shown, n_columns: int, frame: np.ndarray) -> bool:
    """Whether a frame stands in a strip of some columns, enlarged by the factor that makes it about 1100 px wide."""
    picture, factor = pixels(shown), round(1100 / frame.shape[1] / n_columns)
    large = frame.repeat(factor, 0).repeat(factor, 1)
    height, width = large.shape[:2]
    corners = (picture[: picture.shape[0] - height + 1, : picture.shape[1] - width + 1] == large[0, 0]).all(-1)
    return any((picture[y : y + height, x : x + width] == large).all() for y, x in zip(*np.nonzero(corners)))


def test_a_table_escapes_words_and_shortens_numbers():
    (row,) = rows(table([{"a<": "<b>", "n": 1.23456, "none": None, "whole": 123456}], "of <all>"))
    assert row == {"a&lt;": "&lt;b&gt;", "n": "1.235", "none": "–", "whole": "123456"}


def test_a_strip_holds_the_frames_that_it_names(store):
    key = store.split("seen")[0]
    real = store.read(key)["real"]
    shown = data.clip(store, key, n=3)
    assert all(holds(shown, 3, real[t]) for t in (1, 6, 11))
    assert not holds(shown, 3, real[5])
    assert "Columns: frame 1, frame 6, frame 11" in shown.alt
    assert "Rows: real, source, flow, occluded" in shown.alt


def test_generated_frames_are_below_the_real_ones(store, tmp_path):
    key = store.split("seen")[0]
    fake = 255 - store.read(key)["real"]
    write_store(
        tmp_path / "x.zip", facts_of_run(store.facts, "x", "X"), [({"id": key, "split": "seen"}, {"fake": fake})]
    )
    shown = pictures.beside(store, {"X": Store(tmp_path / "x.zip")}, key, n=2, about=", the worst")
    assert holds(shown, 2, fake[0])
    assert holds(shown, 2, fake[11])
    assert "the worst. Rows: source, real, X. Columns: frame 0, frame 11" in shown.alt


def played(shown) -> np.ndarray:
    """The frames of a player, uint8 (T, H, W, 3)."""
    (content,) = re.findall('src="data:video/mp4;base64,(.*?)"', shown.data)
    with av.open(io.BytesIO(base64.b64decode(content))) as file:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)])


def flat(*colours: tuple[int, int, int]) -> np.ndarray:
    """Frames of 64x128 px of one colour each."""
    return np.stack([np.full((64, 128, 3), rgb, np.uint8) for rgb in colours])


def test_a_player_shows_every_frame_of_every_tile_in_step():
    red, green, blue = (200, 30, 30), (30, 200, 30), (30, 30, 200)
    tiles = [video.Tile("a", flat(red, green, blue)), video.Tile("b <", flat(blue, red, green, red))]
    shown = video.player(tiles, 10, "c & d")
    frames = played(shown)
    assert len(frames) == 3  # those that all tiles have
    width = 128 * 3  # 800 px are nearest to 3 times two tiles
    for t, colours in enumerate(((red, blue), (green, red), (blue, green))):
        for i, rgb in enumerate(colours):
            box = frames[t, video.BAND + 4 : video.BAND + 64 * 3 - 4, i * (width + video.GAP) + 4 :][:, : width - 8]
            assert abs(box.mean((0, 1)) - rgb).max() < 6
    assert "c &amp; d. Side by side: a, b &lt;; 3 frames." in shown.data
    assert "<video controls" in shown.data


def test_frames_that_were_given_are_marked():
    tiles = [video.Tile("a", flat((0, 0, 0), (0, 0, 0)), n_given=1)]
    first, second = played(video.player(tiles, 10, "c"))[:, : video.BAND].astype(int)
    assert abs(first - second).max() > 80
    assert abs(first[:, :200] - second[:, :200]).max() < 20


def test_a_player_keeps_to_its_limit_even_of_noise_and_has_equal_bytes(monkeypatch):
    noise = np.random.default_rng(0).integers(0, 256, (3, 64, 128, 3)).astype(np.uint8)
    best = len(video._encode(list(noise), 10, video.CRF[0]))
    monkeypatch.setattr(video, "LIMIT", best // 2)
    small = video.encode(list(noise), 10)
    assert 0 < len(small) <= best // 2
    assert small == video.encode(list(noise), 10)


def test_equal_input_gives_equal_bytes(store):
    key = store.split("seen")[0]
    assert data.clip(store, key, n=2).data == data.clip(store, key, n=2).data


def test_flow_is_drawn_by_direction_and_length():
    flow = np.zeros((1, 1, 4, 2))
    flow[0, 0, :3] = [[9, 0], [-9, 0], [4.5, 0]]
    right, left, half, still = data.flow_colours(flow)[0, 0].astype(int)
    assert list(still) == [255, 255, 255]
    assert list(right) == [255, 0, 0]  # hue 0
    assert list(left) == [0, 255, 255]  # the hue opposite
    assert half[0] == 255
    assert 100 < half[1] < 150


def test_a_data_set_is_counted(store):
    seconds = {row["split"]: (row["clips"], row["frames"], row["seconds"]) for row in rows(data.facts(store))}
    assert seconds == {"train": ("4", "48", "4.8"), "seen": ("3", "36", "3.6"), "unseen": ("3", "36", "3.6")}


def test_exact_motion_leaves_no_warp_error(store):
    for row in rows(data.movement(store, n_clips=2)):
        assert float(row["warp error"]) < 1e-6
        assert float(row["warp error without the flow"]) > 0.01


class Net(torch.nn.Module):
    """Two modules, of which one is trained."""

    def __init__(self):
        super().__init__()
        self.G, self.fixed = torch.nn.Linear(3, 4), torch.nn.Linear(2, 2)

    def parts(self):
        return {"G": list(self.G.parameters())}


def test_modules_say_what_trains_them():
    assert [(row["module"], row["parameters"], row["trained as"]) for row in rows(train.modules(Net()))] == [
        ("G", "16", "G"),
        ("fixed", "6", "nothing"),
        ("all", "22", ""),
    ]


def test_schedule_and_losses_are_shown(tmp_path):
    schedule = next(iter(params.load(ROOT / "params.yaml").schedules.values()))
    assert {"setting": "steps", "value": str(schedule.steps)} in rows(train.schedule(schedule))
    (tmp_path / "curves.csv").write_text("step,D,G/pixel\n10,1.0,4\n20,0.5,2\n")
    assert (
        train.learning_curves(tmp_path / "curves.csv").alt == "Learning curves, by step. D: 1 to 0.5; G/pixel: 4 to 2."
    )
    (tmp_path / "curves.csv").write_text("step,G,D_video0\n10,4,\n20,3,0.5\n30,2,0.25\n")  # which begins late
    late = train.learning_curves(tmp_path / "curves.csv").alt
    assert late == "Learning curves, by step. G: 4 to 2; D_video0: 0.5 to 0.25."
    (tmp_path / "curves.csv").write_text("")
    assert train.learning_curves(tmp_path / "curves.csv") == "Nothing is trained here."


def test_scores_of_a_run_are_those_of_its_file():
    shown = rows(evaluate.scores(RUN, GROUP))
    content = json.loads(RunScores.path(ROOT, "freedoom_vid2vid").read_text())
    scores = {content["metrics"][label]["title"]: score for label, score in content["groups"][GROUP]["scores"].items()}
    assert len(shown) == len(scores)
    for row in shown:
        for column, side in (("value", "fake"), ("real video", "real")):
            score = scores[row["metric"]][side]
            assert row[column] == (f"{score['value']:.4g}" if score else "–"), row["metric"]


def test_curves_by_frame_end_at_the_last_frame():
    alt = evaluate.by_frame(RUN).alt
    curve = RUN.groups[GROUP].scores["psnr"].curve
    assert f"PSNR, {GROUP}: {curve[0]:.3g} to {curve[-1]:.3g}" in alt
    assert "FED" not in alt  # a set has no frames


def of_one_clip() -> dict:
    score = RUN.groups[GROUP].scores["psnr"]
    return {"psnr": replace(score, fake=replace(score.fake, per_clip=score.fake.per_clip[:1]))}


def test_worst_and_best_are_by_the_first_per_clip_metric():
    per_clip = np.array(RUN.groups[GROUP].scores["psnr"].fake.per_clip)
    clips = RUN.groups[GROUP].clips
    places = evaluate.worst_and_best(RUN, GROUP, ["fed_frames", "psnr", "warp_error"])
    assert places == {
        clips[per_clip.argmin()]: f"the worst of unseen by PSNR, {per_clip.min():.3g} dB",
        clips[per_clip.argmax()]: f"the best of unseen by PSNR, {per_clip.max():.3g} dB",
    }
    per_clip = np.array(RUN.groups[GROUP].scores["warp_error"].fake.per_clip)
    places = evaluate.worst_and_best(RUN, GROUP, ["warp_error"])
    assert list(places) == [clips[per_clip.argmax()], clips[per_clip.argmin()]]
    (words,) = evaluate.worst_and_best(
        replace(RUN, groups={"last": replace(RUN.groups[GROUP], clips=clips[:1], scores=of_one_clip())}),
        "last",
        ["psnr"],
    ).values()
    assert words.startswith("the only clip of last by PSNR")


def test_a_horizon_has_every_method(store, tmp_path):
    future_scores(store, "sliding", ["seen"]).save(tmp_path / "future.json")
    raw = json.loads((tmp_path / "future.json").read_text())
    alt = future.horizon(FutureScores.load(tmp_path / "future.json"), "seen").alt
    titles = {key: one["title"] for key, one in raw["entries"].items() if one["sampling"] in future.GUESS}
    assert len(titles) == 4 < len(raw["entries"])
    for label, entries in raw["groups"]["seen"]["curves"].items():
        for entry in entries.keys() & titles.keys():
            ends = f"{entries[entry]['curve'][0]:.3g} to {entries[entry]['curve'][-1]:.3g}"
            assert f"{raw['metrics'][label]['title']}, {titles[entry]}: {ends}" in alt
    assert "Sliding planes, seen: 4 frames seen" in alt


def test_a_horizon_has_one_guess_a_clip_of_a_predictor_that_draws(store):
    made = future_scores(store, "sliding", ["seen"])
    alt = future.horizon(made, "seen").alt
    draws = {entry: curve.curve for entry, curve in made.groups["seen"].curves["psnr"].items() if "draws" in entry}
    assert len(draws) == 3 and alt.count("PSNR, one that draws: ") == 1
    assert f"PSNR, one that draws: {draws['draws'][0]:.3g} to {draws['draws'][-1]:.3g}" in alt


def test_winners_and_those_that_are_not_told_from_them(store):
    made = future_scores(store, "sliding", ["seen"])
    shown = future.winners(made, "seen")
    guess, held = PREDICTORS["guess"][0], PREDICTORS["held"][0]
    assert shown.loc["PSNR"].to_dict() == {1: f"{guess}, surely", 2: f"{guess} (≈ {held})", 5: f"{held} (≈ {guess})"}
    assert list(shown.index) == ["PSNR"]
    group = made.groups["seen"]
    many = [replace(one, tied=["guess", "held", "draws"]) for one in group.winners["psnr"]]
    made = replace(made, groups={"seen": replace(group, winners={"psnr": many})})
    assert future.winners(made, "seen").loc["PSNR", 1] == f"{guess} (≈ 3 others)"


def test_reach_is_the_last_step_of_a_run_and_its_first(store):
    shown = future.reach(future_scores(store, "sliding", ["seen"]), "seen")
    titles = [PREDICTORS[key][0] for key in ("guess", "draws", "truth")]
    assert shown["PSNR"].to_dict() == dict(zip(titles, ("5 (from 1)", "–", "8 (from 1)")))
    assert shown["label mIoU"].to_dict() == dict(zip(titles, ("3 (from 2)", "", "")))


def test_the_frames_of_a_strip_of_the_future():
    assert future.moments(4, 12) == ([3, 4, 5, 8], ["given", "+1", "+2", "+5"])
    assert future.moments(2, 40) == ([1, 2, 3, 6, 11, 21], ["given", "+1", "+2", "+5", "+10", "+20"])
    assert future.moments(3, 4) == ([2, 3], ["given", "+1"])


@pytest.fixture
def foreseen(store, tmp_path):
    """Two predictions of one clip, of 4 given and 5 predicted frames: the negative, and the last given frame."""
    key, stores = store.split("seen")[0], {}
    real = store.read(key)["real"][:9]
    for name, later in (("negative", 255 - real[4:]), ("held", real[[3] * 5])):
        about = {"id": key, "split": "seen", "given": 4}
        made = [(about, {"fake": np.concatenate([real[:4], later])})]
        write_store(tmp_path / f"{name}.zip", facts_of_run(store.facts, name, name), made)
        stores[f"a {name} <one>"] = Store(tmp_path / f"{name}.zip")
    return key, real, stores


def test_a_film_holds_the_last_given_frame_and_frames_ahead(store, foreseen):
    key, real, stores = foreseen
    shown = future.film(store, stores, key)
    assert all(holds(shown, 4, frame) for frame in (real[3], real[4], real[8], 255 - real[5], 255 - real[8]))
    assert not any(holds(shown, 4, frame) for frame in (real[2], real[6], 255 - real[3], 255 - real[6]))
    assert "Rows: real, a negative <one>, a held <one>. Columns: given, +1, +2, +5" in shown.alt


def test_a_player_of_the_future_has_every_prediction_and_marks_the_past(store, foreseen):
    key, real, stores = foreseen
    shown = future.future_player(store, stores, key)
    assert "Side by side: source, real, a negative &lt;one&gt;, a held &lt;one&gt;; 9 frames" in shown.data
    frames = played(shown).astype(int)
    assert len(frames) == 9
    head = frames[:, 2:16]  # without what noise below it does to it
    assert abs(head[3] - head[0]).max() < 40 < abs(head[4] - head[3]).max()  # the mark is gone with the past
    lines, columns = 32 * 6, 64 * 6  # px of a tile: 800 px are nearest to 6 times two
    places = [(i // 2 * (video.BAND + lines) + video.BAND, i % 2 * (columns + video.GAP)) for i in range(4)]
    tiles = [frames[:, y : y + lines, x : x + columns] for y, x in places]
    luma = np.array((0.2126, 0.7152, 0.0722))
    for tile, truth in ((1, real), (2, stores["a negative <one>"].read(key)["fake"]), (3, real[[0, 1, 2] + [3] * 6])):
        assert abs((tiles[tile] - truth.repeat(6, 1).repeat(6, 2)) @ luma).mean() < 12
    assert abs((tiles[2][4:] - real[4:].repeat(6, 1).repeat(6, 2)) @ luma).mean() > 40


def test_a_player_of_frames_alone_has_no_source(store, foreseen, tmp_path):
    key, real, stores = foreseen
    bare = replace(store.facts, source="none", label_names=(), label_colours=())
    write_store(tmp_path / "bare.zip", bare, [({"id": key, "split": "seen"}, {"real": real})])
    shown = future.future_player(Store(tmp_path / "bare.zip"), stores, key)
    assert "Side by side: real, a negative &lt;one&gt;, a held &lt;one&gt;; 9 frames" in shown.data
    assert len(played(shown)) == 9


def test_a_comparison_has_values_intervals_and_verdicts():
    shown = {row["metric"]: row for row in rows(compare.scores(COMPARISON, "freedoom", GROUP))}
    metric = COMPARED["metrics"]["warp_error"]
    row, signs = shown["warp error"], {"better": "▲", "worse": "▼", "not distinguishable": "≈"}
    for run, cell in metric["rows"].items():
        text = f"{cell['value']:.4g} ({cell['low']:.3g} to {cell['high']:.3g}){' *' * cell['best']}"
        sign = f" {signs[cell['verdict']['word']]}" if cell["verdict"] else ""
        assert row[COMPARISON.runs[run].title] == text + sign
    assert row["real video"] == f"{metric['real']['value']:.4g}"
    assert "carried along the true flow" in row["fooled by"]
    assert [name for name in shown if name.endswith("(primary)")]
    absent = next(metric["title"] for metric in COMPARED["metrics"].values() if metric["absent"])
    assert next(row for name, row in shown.items() if name.startswith(absent))["vid2vid"] == "–"


def test_a_headline_is_the_primary_metrics_alone():
    shown = rows(compare.headline(COMPARISON, "freedoom", GROUP))
    primary = [metric for metric in COMPARED["metrics"].values() if metric["primary"]]
    assert len(shown) == len(primary) >= 2
    by_name, reference = {row["metric"].split(",")[0]: row for row in shown}, COMPARED["reference"]
    for metric in primary:
        cell = metric["rows"][reference]
        text = by_name[metric["title"]][COMPARISON.runs[reference].title]
        assert text == f"{cell['value']:.4g}{' *' * cell['best']}"


def test_conclusions_and_details_have_every_sentence_once():
    main, more = (show(COMPARISON, "freedoom", GROUP).data for show in (compare.conclusions, compare.details))
    for sentence in COMPARED["sentences"]:
        text = sentence["text"].replace("&", "&amp;").replace("<", "&lt;").replace("'", "&#x27;")
        assert (text in main, text in more) == (not sentence["detail"], sentence["detail"])


def test_the_clip_in_the_middle_is_shown(tmp_path):
    (tmp_path / "metrics").mkdir()
    shutil.copytree(ROOT / "metrics/runs", tmp_path / "metrics/runs")
    clip, about = compare._middle(COMPARISON, tmp_path, "freedoom", GROUP)
    label = next(label for label in COMPARED["metrics"] if label in about or label == "flow_error")
    runs = [run for run in COMPARISON.runs if run.startswith("freedoom")]
    scores = [RunScores.load(RunScores.path(ROOT, run)).groups[GROUP].scores[label].fake.per_clip for run in runs]
    mean = dict(zip(COMPARED["clips"], np.mean(scores, 0)))
    n_lower = sum(value < mean[clip] for value in mean.values())
    assert n_lower == len(mean) // 2
    assert about == f", number {n_lower + 1} of {len(mean)} by flow error"


@pytest.fixture
def project(tmp_path):
    """A clone in which nothing is made: its params and its root."""
    shutil.copy(ROOT / "tests/tiny.yaml", tmp_path / "params.yaml")
    return params.load(tmp_path / "params.yaml"), tmp_path


def make(store, root: Path, run: str) -> None:
    key = store.split("unseen")[0]
    clip = {"id": key, "split": "unseen", "given": 1}, {"fake": 255 - store.read(key)["real"]}
    write_store(root / f"runs/{run}/clips.zip", facts_of_run(store.facts, run, run), [clip])


def test_the_start_of_a_fresh_clone_says_in_a_line_what_makes_it(project):
    for shown in (start.data(*project, n=3), start.videos(*project), start.verdicts(*project)):
        assert shown.data.count("<p>") == 1
        assert "make repro" in shown.data
    (row,) = rows(start.suite(*project))
    assert (row["its clips"], row["their videos"]) == ("not made yet", "0 of 3 made")


def test_the_start_shows_what_is_there_and_names_what_is_not(project, store):
    settings, root = project
    (root / "data").mkdir()
    shutil.copy(store.path, root / "data/freedoom.zip")
    assert "clip slide-7" in start.data(settings, root, n=3).alt  # the first of the last group
    make(store, root, "vid2vid")
    shown = start.videos(settings, root)
    assert "Side by side: source, real, vid2vid; 12 frames" in shown.data
    assert "Videos of pix2pixHD, styles, copy last frame are not here yet" in shown.data
    for run in ("styled", "copy_last"):
        make(store, root, run)
    shown = start.videos(settings, root)
    assert "real, vid2vid, pix2pixHD, styles, copy last frame" in shown.data
    assert "not here yet" not in shown.data
    (row,) = rows(start.suite(settings, root))
    assert (row["its clips"], row["their videos"]) == ("here", "3 of 3 made")


def test_the_start_does_not_show_verdicts_on_other_runs(project):
    settings, root = project
    (root / "metrics").mkdir()
    shutil.copy(ROOT / "metrics/compare.json", root / "metrics/compare.json")
    assert "of other runs than params.yaml: <code>make repro" in start.verdicts(settings, root).data


def test_the_start_has_the_verdicts_of_the_suite_as_shipped():
    settings = params.load(ROOT / "params.yaml")
    settings = replace(settings, runs={run: settings.runs.get(run) for run in COMPARISON.runs})
    shown = start.verdicts(settings, ROOT).data
    for sentence in COMPARED["sentences"]:
        assert (sentence["text"] in shown) == (not sentence["detail"])
    assert "Freedoom" in shown


def test_the_start_shows_the_first_run_as_it_is_written(project):
    shown = start.experiment(*project, n=3).data
    lines = (ROOT / "tests/tiny.yaml").read_text().splitlines()
    first = lines.index("runs:") + 1
    assert f"# params.yaml, lines {first + 1} to {lines.index('  styled:')}" in shown
    assert "\n".join([*lines[first : first + 3], "    ..."]) in shown
    assert lines[first + 3] not in shown


def test_scores_are_worded_as_damage():
    shown = {row["metric"]: row for row in rows(compare.equivalents(COMPARISON, "freedoom", GROUP))}
    for metric in COMPARED["metrics"].values():
        worded = [row["equivalent"] for row in metric["rows"].values() if row["equivalent"]]
        assert (metric["title"] in shown) == bool(worded), metric["title"]
    assert re.match("(at most |as bad as |worse than |no worse than )", shown["warp error"]["vid2vid"])


def test_votes_are_shares_of_clips():
    shown = compare.votes(COMPARISON, "freedoom", GROUP)
    pairs = COMPARED["preference"]["pairs"]
    assert [row["share"] for row in rows(shown)] == [f"{pair['share']['value']:.4g}" for pair in pairs]
    labels = [voter["label"] for voter in COMPARED["preference"]["voters"].values() if voter["label"]]
    titles = " and ".join(COMPARED["metrics"][label]["title"] for label in labels)
    assert f"Share of clips on which {titles} {'prefers' if len(labels) == 1 else 'together prefer'} the" in shown.data


def test_groups_without_votes_say_why():
    dataset = COMPARISON.datasets["freedoom"]
    group = dataset.groups[GROUP]
    group = replace(group, preference=replace(group.preference, pairs=[], reason="one clip"))
    silent = replace(COMPARISON, datasets={"freedoom": replace(dataset, groups={GROUP: group})})
    assert compare.votes(silent, "freedoom", GROUP) == "No votes: one clip."


def test_the_papers_entries_are_all_shown():
    assert len(rows(compare.paper(COMPARISON))) == len(COMPARISON.published)
    assert "No benchmark" in compare.paper(replace(COMPARISON, published=[])).data


@pytest.fixture
def calibration(store):
    """A made-up calibration of the store's clips, with one ladder of each of two kinds."""
    clips = store.split("seen")
    scores = {"psnr": climb([[30] * 3, [25] * 3, [20] * 3])}
    odd = {"psnr": climb([[30] * 3, [20] * 3, [25] * 3], monotone=False)}
    group = calibrated_group(
        clips,
        {
            "blur": ladder("space", [0, 0.5, 3], scores, "blur", "σ {} px"),
            "freeze": ladder("time", [0, 2, 4], odd, "freeze", "for {} frames"),
        },
        controls={"frozen": control("frozen", True), "copied": control("copied from another clip", False)},
        fooled={"psnr": [*fooled_by("frozen"), replace(fooled_by("copied")[0], sure=False)]},
        responses={"psnr": response()},
    )
    settings = CalibrationSettings(
        seed=0, ladders={"blur": [0.5, 3], "freeze": [2, 4]}, controls={}, equivalents=["blur"], seen_from=0.1
    )
    metrics = {"psnr": metric_info("psnr", "higher", title="PSNR"), "fid": metric_info("fid", absent="weights absent")}
    return CalibrationScores(
        dataset="sliding", skip_frames=2, settings=settings, metrics=metrics, groups={"seen": group}
    )


def test_damaged_frames_are_shown_at_their_levels(store, calibration):
    key = store.split("seen")[0]
    frames = store.read(key, 2, arrays=["real"])["real"]
    shown = calibrate.damage(store, calibration, key)
    assert "Rows: blur 0.5, 0.5, 3." in shown.alt
    assert holds(shown, 4, frames[5])
    assert holds(shown, 4, damaged(frames, "blur", 3, key, 0)[5])


def test_frames_at_the_wrong_time_are_shown_beside_the_right_ones(store, calibration):
    key = store.split("seen")[0]
    frames = store.read(key, 2, arrays=["real"])["real"]
    shown = calibrate.wrong_times(store, calibration, key, n=4)
    assert "Rows: untouched, freeze 4." in shown.alt
    assert all(holds(shown, 4, frames[t]) for t in range(4))


def test_metrics_along_ladders_of_one_kind(calibration):
    assert calibrate.ladders(calibration, "seen", "space").alt.endswith("PSNR, blur: 30 to 20.")
    assert calibrate.ladders(calibration, "seen", "time").alt.endswith("PSNR, freeze: 30 to 25.")
    assert calibrate.ladders(calibration, "seen", "both") == "No ladder of kind both."


def test_ladders_that_are_not_monotone_are_named(calibration):
    (row,) = rows(calibrate.responses(calibration, "seen"))
    assert (row["metric"], row["sees"], row["monotone"], row["not monotone"]) == ("PSNR", "space", "1 of 2", "freeze")


def test_controls_that_may_fool_by_chance_have_a_question_mark(calibration):
    (row,) = rows(calibrate.controls(calibration, "seen"))
    assert row["fooled by"] == "frozen, copied from another clip (?)"
    assert calibrate.fooled_by(calibration.groups["seen"], "fid") is None


def test_controls_of_a_real_calibration_have_their_scores():
    shown = {row["metric"]: row for row in rows(calibrate.controls(CALIBRATION, GROUP))}
    score = CALIBRATION.groups[GROUP].controls["frozen"].scores["psnr"]
    assert shown["PSNR"]["frozen"] == f"{score.value:.4g}"


def test_variants_of_a_clip_are_rows(store, tmp_path):
    key = store.split("seen")[0]
    arrays = store.read(key)
    first = {"of": key, "run": "x", "split": "seen", "seed": 3, "given": 0}
    variants = [
        (first | {"id": "a", "swap": {}}, {"fake": 255 - arrays["real"]}),
        (
            first | {"id": "b", "swap": {"square": "odd"}, "changed": 0.0396},
            {"fake": arrays["real"] // 2, "label": np.minimum(arrays["label"], 1)},
        ),
    ]
    write_store(tmp_path / "s.zip", facts_of_run(store.facts, "s", "X"), variants)
    shown = restyle.variants(store, Store(tmp_path / "s.zip"), ["a", "b"], n=2)
    assert "square as odd, 4.0% of the pixels" in shown.alt
    assert "Rows: source, real, seed 3, edited source, edited, seed 3." in shown.alt
    assert holds(shown, 2, 255 - arrays["real"][0])
