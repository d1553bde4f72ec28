"""Every line of every suite binds; every wrong line is one clear Fault that names it."""

import copy
import importlib
import json
import re
from pathlib import Path

import pytest
from conftest import facts
from ruamel.yaml import YAML
from test_models import SMALL

from v2vbench import find
from v2vbench.models import VideoModel
from v2vbench.params import Fault, Run, Schedule, load
from v2vbench.runner.check import check_references, check_signatures, load_checked
from v2vbench.runner.check_signatures import setting
from v2vbench.runner.suites import load_suite
from v2vbench.stages._published import published_runs

ROOT = Path(__file__).parents[1]
TINY = ROOT / "tests/tiny.yaml"
FILES = [ROOT / "params.yaml", TINY, *sorted((ROOT / "suites").glob("*.yaml"))]


def write(folder: Path, changes: dict) -> Path:
    """tests/tiny.yaml with values set at "dotted.paths"; a value of ... takes the line away."""
    content = copy.deepcopy(YAML(typ="safe").load(TINY))
    for path, value in changes.items():
        *folders, last = path.split(".")
        place = content
        for name in folders:
            place = place.setdefault(name, {})
        if value is ...:
            del place[last]
        else:
            place[last] = value
    (folder / "params.yaml").write_text(json.dumps(content))  # JSON is YAML
    return folder / "params.yaml"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_line_binds(path):
    params = load_suite(path)
    check_references(params, path.name, published_runs(ROOT))
    check_signatures(params, path.name)
    assert params.runs
    assert params.datasets
    assert params.about.endswith(".")
    assert path.parent.name != "suites" or params.suite == path.stem


def test_an_experiment_has_a_name_of_its_own():
    """params.yaml as shipped is the suite mini, byte for byte, so that `v2vbench use mini` brings it back; one that was
    changed is to be called something else, since the report says its name."""
    assert (
        load(ROOT / "params.yaml").suite != "mini"
        or (ROOT / "params.yaml").read_bytes() == (ROOT / "suites/mini.yaml").read_bytes()
    )


def test_what_is_read_is_typed():
    params = load(TINY)
    schedule = params.schedules["few"]
    assert isinstance(schedule, Schedule)
    assert schedule.lr == 2e-4
    assert type(schedule.lr) is float
    assert type(params.schedules["none"].lr) is float  # written as 0
    assert schedule.betas == (0.5, 0.999)
    assert isinstance(params.run("vid2vid"), Run)
    assert not isinstance(params.run("forecast"), Run)
    assert params.run("forecast").model == "forecast"
    assert params.futures["freedoom"].primary == ["psnr", "segmentation", "track_error"]
    folders = {"vid2vid": "runs/vid2vid", "forecast": "predictors/forecast", "reader": "judges/reader"}
    assert {key: params.folder(key).as_posix() for key in folders} == folders


LINE = dict(
    title="x",
    dataset="freedoom",
    model="copy_last",
    schedule="none",
    base="none",
    first_frames="real",
    seeds=[0],
    kwargs={},
)
AHEAD = dict(title="x", dataset="freedoom", model="forecast", schedule="ahead", base="none", kwargs=SMALL["forecast"])
HELD = AHEAD | dict(model="copy_last", schedule="none", kwargs={})
TRUTH = HELD | dict(model="true_labels")
FUTURE = dict(video="none", n_past=3, n_future=5, n_samples=2, seed=0, primary=["psnr", "ssim", "track_error"])
COVST = LINE | dict(model="covst", schedule="few", first_frames="none", kwargs=SMALL["covst"])
JUDGE = dict(title="x", dataset="freedoom", model="segmenter", schedule="ahead", base="none", kwargs=SMALL["segmenter"])
FINDER = JUDGE | dict(model="locator", kwargs=SMALL["locator"])
SINGLE = dict(steps=2, batch_size=1, blur=1, noise=1)
OTHER = YAML(typ="safe").load(TINY)["datasets"]["freedoom"]
FORESEEN = {"datasets.other": {"loader": "freedoom"}, "predictors.other": HELD | dict(dataset="other")}
ELSEWHERE = {"datasets.other": {"loader": "freedoom"}, "runs.other": LINE | dict(dataset="other")}
WRONG = {
    "primary of no metric": ({"protocol.primary": ["psnr", "segmentation", "ked"]}, "protocol.primary[2]: no 'ked'"),
    "too few primaries": (
        {"protocol.primary": ["psnr", "warp_error"]},
        "protocol.primary: ['psnr', 'warp_error'] is not three to five metrics",
    ),
    "a primary twice": (
        {"protocol.primary": ["psnr", "psnr", "warp_error"]},
        "is not three to five metrics, each once",
    ),
    "primaries of one heading": (
        {"protocol.primary": ["psnr", "segmentation", "lpips"]},
        "primary: on no data set are there metrics of both headings, fidelity and realism; there are of fidelity",
    ),
    "a primary without verdicts": (
        {"protocol.primary": ["psnr", "segmentation", "fed"]},
        "protocol.primary: fed has no verdicts",
    ),
    "unknown base": ({"runs.vid2vid.base": "vid2vid_256"}, "runs.vid2vid.base: no 'vid2vid_256'; there are vid2vid,"),
    "base of a word for no run": ({"runs.vid2vid.base": "self"}, "runs.vid2vid.base: no 'self'; there are vid2vid,"),
    "base on another data set": (
        ELSEWHERE | {"runs.vid2vid.base": "other"},
        "runs.vid2vid.base: other is trained on other, not on freedoom",
    ),
    "base of itself": ({"runs.vid2vid.base": "vid2vid"}, "runs.vid2vid.base: vid2vid starts from vid2vid, in a circle"),
    "base of another model": (
        {"runs.vid2vid.base": "styled"},
        "runs.vid2vid.base: vid2vid starts from a run of vid2vid, and styled is one of pix2pixhd",
    ),
    "COVST from vid2vid": (
        {"runs.covst": COVST | dict(base="vid2vid")},
        "runs.covst.base: covst starts from a run of pix2pixhd, and vid2vid is one of vid2vid",
    ),
    "judge from a judge": (
        {"judges.second": JUDGE, "judges.reader.base": "second"},
        "judges.reader.base: a judge is trained from the beginning, so it must be none, not 'second'",
    ),
    "bases in a circle": (
        {"runs.vid2vid.base": "a", "runs.a": LINE | dict(base="b"), "runs.b": LINE | dict(base="a")},
        "runs.vid2vid.base: vid2vid starts from a starts from b starts from a, in a circle",
    ),
    "predictor from a run": (
        {"predictors.forecast.base": "vid2vid"},
        "predictors.forecast.base: no 'vid2vid'; there are forecast, copy_last_frame, true_labels",
    ),
    "predictor from one on another data set": (
        FORESEEN | {"futures.other": FUTURE, "predictors.forecast.base": "other"},
        "predictors.forecast.base: other is trained on other, not on freedoom",
    ),
    "predictor from published weights of no suite": (
        {"predictors.forecast.base": "published/nowhere/forecast"},
        "predictors.forecast.base: no 'published/nowhere/forecast'; there are forecast",
    ),
    "published kwargs of a predictor without such a base": (
        {"predictors.forecast.kwargs": "published"},
        "predictors.forecast.kwargs: published stands for the kwargs of a base published/<suite>/<run>, and base is",
    ),
    "published kwargs of a predictor of no suite": (
        {"predictors.forecast.kwargs": "published", "predictors.forecast.base": "published/nowhere/forecast"},
        "predictors.forecast.base: no suite 'nowhere' in results; there are none",
    ),
    "run from a predictor": ({"runs.vid2vid.base": "forecast"}, "runs.vid2vid.base: no 'forecast'; there are vid2vid,"),
    "predictors in a circle": (
        {"predictors.forecast.base": "a", "predictors.a": AHEAD | dict(base="forecast")},
        "predictors.forecast.base: forecast starts from a starts from forecast, in a circle",
    ),
    "COVST from nothing": ({"runs.covst": COVST}, "runs.covst.base: covst starts from a run of pix2pixhd"),
    "unknown first frames": (
        {"runs.vid2vid.first_frames": "painted"},
        "runs.vid2vid.first_frames: no 'painted'; there are vid2vid,",
    ),
    "first frames of another data set": (
        ELSEWHERE | {"runs.vid2vid.first_frames": "other"},
        "runs.vid2vid.first_frames: other is trained on other, not on freedoom",
    ),
    "first frames of a run with a past": (
        {"runs.vid2vid.first_frames": "copy_last"},
        "runs.vid2vid.first_frames: copy_last needs first frames itself",
    ),
    "first frames of a model that needs real flow": (
        {"runs.covst": COVST | dict(base="styled"), "runs.vid2vid.first_frames": "covst"},
        "runs.vid2vid.first_frames: covst is shown flow and occluded of the real video",
    ),
    "no first frames for a model with a past": (
        {"runs.vid2vid.first_frames": "none"},
        "first_frames: vid2vid starts from 2 frames, so it must be real, or a run whose model needs no past",
    ),
    "first frames of itself": (
        {"runs.vid2vid.first_frames": "self"},
        "first_frames: vid2vid starts from 2 frames, so it must be real, or a run whose model needs no past",
    ),
    "first frames for a model without a past": (
        {"runs.styled.first_frames": "real"},
        "runs.styled.first_frames: pix2pixhd starts from 0 frames, so it must be none, not real",
    ),
    "first frames for the last frame again": (
        {"runs.copy_last.first_frames": "none"},
        "runs.copy_last.first_frames: copy_last starts from 1 frames, so it must be real",
    ),
    "real frames that metrics see": (
        {"protocol.skip_frames": 1},
        "runs.vid2vid.first_frames: 2 real frames are given, and metrics see all but 1 (protocol.skip_frames)",
    ),
    "windows that are all past": (
        {"schedules.few.n_frames": 2},
        "runs.vid2vid.schedule: windows of few of 2 frames leave none to learn from after 2 of the past",
    ),
    "single frames to the end": (
        {"schedules.few.single_frames": SINGLE | {"steps": 3}},
        "runs.vid2vid.schedule: few leaves no window to learn from: 3 of 3 steps are on single frames",
    ),
    "single frames without a past": (
        {"runs.styled.schedule": "ahead", "schedules.ahead.single_frames": SINGLE}
        | {"predictors.forecast.schedule": "none"},
        "runs.styled.schedule: single_frames of ahead follow a past, and pix2pixhd has none",
    ),
    "one title twice": (
        {"runs.copy_last.title": "vid2vid"},
        "runs.copy_last.title: 'vid2vid' is the title of vid2vid as well, on the same data set",
    ),
    **{
        f"a run called {word}": (
            {f"runs.{word}": LINE},
            f"a run cannot be called {word}; base and first_frames use the word",
        )
        for word in ("none", "real", "self")
    },
    "predictor with a warm-up": (
        {"predictors.forecast.schedule": "few"},
        "predictors.forecast.schedule: few: a predictor starts from real frames, so n_warmup must be 0",
    ),
    "predictor on single frames": (
        {"schedules.ahead.single_frames": SINGLE},
        "predictors.forecast.schedule: ahead: a predictor starts from real frames, so n_warmup must be 0",
    ),
    "one title of two predictors": (
        {"predictors.true_labels.title": "copy last frame"},
        "predictors.true_labels.title: 'copy last frame' is the title of copy_last_frame as well, on the same data set",
    ),
    "a predictor called none": (
        {"predictors.none": AHEAD},
        "a run cannot be called none; base and first_frames use the word",
    ),
    "unknown section": ({"runz": {}}, "unknown runz; it takes suite, about, protocol"),
    "missing section": ({"predictors": ...}, "missing predictors"),
    "missing futures": ({"futures": ...}, "missing futures"),
    "a section of old": ({"forecasts": {}}, "unknown forecasts; it takes suite, about, protocol"),
    "section of another type": ({"runs": []}, "params.yaml.runs: [] is not dict"),
    "unknown key": ({"runs.vid2vid.titel": "x"}, "runs.vid2vid: unknown titel; it takes title, dataset"),
    "missing key": ({"schedules.few.steps": ...}, "schedules.few: missing steps"),
    "float for int": ({"schedules.few.steps": 2.5}, "schedules.few.steps: 2.5 is not int"),
    "bool for int": ({"schedules.few.steps": True}, "schedules.few.steps: True is not int"),
    "text for number": ({"schedules.few.lr": "2e-4x"}, "schedules.few.lr: '2e-4x' is not float"),
    "null": ({"schedules.few.seed": None}, "schedules.few.seed: None is not int"),
    "out of range": (
        {"protocol.confidence": 1.5},
        "protocol.confidence: 1.5 is out of range; it goes from 0.5 to 0.999",
    ),
    "not a choice": ({"schedules.few.precision": "fp16"}, "'fp16' is not one of '32-true', 'tf32', 'bf16-mixed'"),
    "short tuple": ({"schedules.few.betas": [0.5]}, "schedules.few.betas: [0.5] is not"),
    "unknown data set": ({"runs.vid2vid.dataset": "fredoom"}, "runs.vid2vid.dataset: no 'fredoom'; there are freedoom"),
    "unknown schedule": (
        {"predictors.forecast.schedule": "many"},
        "predictors.forecast.schedule: no 'many'; there are few, ahead, none",
    ),
    "unknown model": (
        {"runs.vid2vid.model": "vid3vid"},
        "runs.vid2vid.model: no model 'vid3vid' in v2vbench/models; there are copy_last,",
    ),
    "unknown loader": (
        {"datasets.freedoom.loader": "quake"},
        "datasets.freedoom.loader: no dataset 'quake' in v2vbench/datasets",
    ),
    "no loader": ({"datasets.freedoom.loader": ...}, "datasets.freedoom: missing loader"),
    "unknown metric": ({"metrics.fid": {}}, "metrics.fid: no metric 'fid' in v2vbench/metrics; there are dists,"),
    "metric of another type": ({"metrics.psnr": [1]}, "metrics.psnr: expected a mapping, got [1]"),
    "metric's argument": ({"metrics.psnr.floor": 1}, "metrics.psnr: unknown floor; it takes data_range, cap_db"),
    "data set's argument": (
        {"datasets.freedoom.maps": 3},
        "datasets.freedoom: unknown maps; it takes size, train_maps",
    ),
    "data set's range": (
        {"datasets.freedoom.n_frames": 1},
        "datasets.freedoom.n_frames: 1 is out of range; it goes from 2",
    ),
    "nested argument": (
        {"datasets.freedoom.walk.spede": 1},
        "datasets.freedoom.walk: unknown spede; it takes speed, turn",
    ),
    "model's argument": (
        {"runs.vid2vid.kwargs.n_filtres": 4},
        "runs.vid2vid.kwargs: unknown n_filtres; it takes n_past, n_filters",
    ),
    "model's missing": ({"runs.vid2vid.kwargs.n_past": ...}, "runs.vid2vid.kwargs: missing n_past"),
    "model's type": ({"runs.vid2vid.kwargs.n_filters": "4"}, "runs.vid2vid.kwargs.n_filters: '4' is not int"),
    "facts are not a parameter": ({"runs.vid2vid.kwargs.facts": 1}, "runs.vid2vid.kwargs: unknown facts"),
    "predictor among runs": ({"runs.vid2vid.model": "forecast"}, "runs.vid2vid.model: forecast belongs in predictors"),
    "run among predictors": (
        {"predictors.forecast.model": "vid2vid"},
        "predictors.forecast.model: vid2vid belongs in runs",
    ),
    "judge among predictors": (
        {"predictors.forecast.model": "segmenter"},
        "predictors.forecast.model: segmenter belongs in judges",
    ),
    "predictor among judges": (
        {"judges.reader.model": "copy_last"},
        "judges.reader.model: copy_last belongs in runs or predictors",
    ),
    "predictor's argument": (
        {"predictors.copy_last_frame.kwargs": {"n_past": 1}},
        "predictors.copy_last_frame.kwargs: unknown n_past",
    ),
    "predictor with first frames": (
        {"predictors.copy_last_frame.first_frames": "real"},
        "predictors.copy_last_frame: unknown first_frames; it takes title, dataset",
    ),
    "one name twice": ({"predictors.vid2vid": AHEAD}, "vid2vid names two lines of judges, runs, predictors and styles"),
    "a predictor on a data set without a future": (
        {"futures": {}},
        "predictors.forecast.dataset: it has no line in futures, which says what is predicted on freedoom",
    ),
    "a predictor on a data set without a future, beside one that has": (
        FORESEEN,
        "predictors.other.dataset: it has no line in futures, which says what is predicted on other",
    ),
    "a predictor on no data set": (
        {"predictors.forecast.dataset": "fredoom"},
        "predictors.forecast.dataset: no 'fredoom'; there are freedoom",
    ),
    "the future of no data set": ({"futures.fredoom": FUTURE}, "futures: no 'fredoom'; there are freedoom"),
    "the future of a data set without predictors": (
        {"datasets.other": {"loader": "freedoom"}, "futures.other": FUTURE},
        "futures.other: no line of predictors is trained on other",
    ),
    "predicted labels of which no run makes frames": (
        {"futures.freedoom.video": "none"},
        "futures.freedoom.video: forecast predicts labels; name the run that makes frames from them",
    ),
    "frames by a run of another data set": (
        ELSEWHERE | {"futures.freedoom.video": "other"},
        "futures.freedoom.video: other is trained on other, not on freedoom",
    ),
    "frames by a predictor": (
        {"futures.freedoom.video": "forecast"},
        "futures.freedoom.video: no 'forecast'; there are vid2vid,",
    ),
    "future of predictors that are given the truth": (
        {"predictors": {"truth": TRUTH}},
        "futures.freedoom: every predictor draws or is given the truth; there is none to compare with",
    ),
    "future by a metric of no line": (
        {"futures.freedoom.primary": ["psnr", "segmentation", "ked"]},
        "futures.freedoom.primary[2]: no 'ked'; there are psnr,",
    ),
    "future by too few metrics": (
        {"futures.freedoom.primary": ["psnr", "segmentation"]},
        "futures.freedoom.primary: ['psnr', 'segmentation'] is not three to five metrics, each once",
    ),
    "future by too many metrics": (
        {"futures.freedoom.primary": ["psnr", "ssim", "ms_ssim", "tof", "flicker", "lpips"]},
        "is not three to five metrics, each once",
    ),
    "future by a metric twice": (
        {"futures.freedoom.primary": ["psnr", "ssim", "psnr"]},
        "futures.freedoom.primary: ['psnr', 'ssim', 'psnr'] is not three to five metrics, each once",
    ),
    "future by a metric of another data set": (
        {"metrics.ssim.on": ["other"], "datasets.other": OTHER, "futures.freedoom.primary": FUTURE["primary"]},
        "futures.freedoom.primary[1]: ssim is not defined on freedoom",
    ),
    "future by a metric without verdicts": (
        {"futures.freedoom.primary": ["psnr", "segmentation", "fed"]},
        "futures.freedoom.primary[2]: fed has no verdicts; take the kernel distance of its features",
    ),
    "a past without motion": (
        {"futures.freedoom.n_past": 1},
        "futures.freedoom.n_past: 1 is out of range; it goes from 2",
    ),
    **{
        f"no {name}": (
            {f"futures.freedoom.{name}": low - 1},
            f"futures.freedoom.{name}: {low - 1} is out of range; it goes from {low}",
        )
        for name, low in (("n_future", 1), ("n_samples", 1), ("seed", 0))
    },
    "a future shorter than a window": (
        {"futures.freedoom.n_future": 3},
        "futures.freedoom: mmd_windows compares 4 frames at once, and n_future is 3; name the data sets that have more",
    ),
    "a future without samples": ({"futures.freedoom.n_samples": ...}, "futures.freedoom: missing n_samples"),
    "a past too short for the run that makes frames": (
        {"runs.vid2vid.kwargs.n_past": 4, "runs.vid2vid.first_frames": "styled"},
        "futures.freedoom.n_past: vid2vid needs 4 frames, not 3",
    ),
    "frames by a model that needs real flow": (
        {"runs.covst": COVST | dict(base="styled"), "futures.freedoom.video": "covst"},
        "futures.freedoom.video: covst is shown flow and occluded of the real video, which the future has not",
    ),
    "frames by no run": (
        {"futures.freedoom.video": "vid3vid"},
        "futures.freedoom.video: no 'vid3vid'; there are vid2vid,",
    ),
    "styles of no run": ({"styles.styles.video": "vid3vid"}, "styles.styles.video: no 'vid3vid'; there are vid2vid,"),
    "styles of a predictor": (
        {"styles.styles.video": "forecast"},
        "styles.styles.video: no 'forecast'; there are vid2vid,",
    ),
    "styles of a run without": (
        {"styles.styles.video": "vid2vid"},
        "styles.styles.video: vid2vid draws no styles; name a run whose",
    ),
    "styles of a model without": (
        {"styles.styles.video": "copy_last"},
        "styles.styles.video: copy_last draws no styles",
    ),
    "styles on no data set": (
        {"styles.styles.dataset": "fredoom"},
        "styles.styles.dataset: no 'fredoom'; there are freedoom",
    ),
    "styles on another data set": (
        {"styles.styles.dataset": "other", "datasets.other": {"loader": "freedoom"}},
        "styles.styles.video: styled is trained on freedoom, not on other",
    ),
    "styles in a run's name": (
        {"styles.copy_last": dict(title="", dataset="freedoom", video="styled", seeds=[0], swap={}, clip="first")},
        "copy_last names two lines of judges, runs, predictors and styles",
    ),
    "a run of no seed": ({"runs.vid2vid.seeds": []}, "runs.vid2vid.seeds: [] is not one seed or more, each once"),
    "a run of a seed twice": (
        {"runs.vid2vid.seeds": [1, 1]},
        "runs.vid2vid.seeds: [1, 1] is not one seed or more, each once",
    ),
    "styles of no seed": ({"styles.styles.seeds": []}, "styles.styles.seeds: [] is not one seed or more, each once"),
    "styles of a seed twice": (
        {"styles.styles.seeds": [1, 1]},
        "styles.styles.seeds: [1, 1] is not one seed or more, each once",
    ),
    "styles' seed": ({"styles.styles.seeds": [-1]}, "styles.styles.seeds[0]: -1 is out of range; it goes from 0"),
    "swap to no text": ({"styles.styles.swap": {"wall": 3}}, "styles.styles.swap.wall: 3 is not str"),
    "vote of no metric": (
        {"preference.metrics.fidelity": ["psnr", "sim"]},
        "preference.metrics.fidelity[1]: no 'sim'; there are psnr, lpips, warp_error",
    ),
    "votes of no heading": ({"preference.metrics": ["psnr"]}, "preference.metrics: ['psnr'] is not Candidates"),
    "judge of no line": (
        {"metrics.segmentation": {"judge": "critic"}},
        "metrics.segmentation.judge: no 'critic'; there are reader",
    ),
    "metric on no data set": ({"metrics.psnr.on": ["kitti"]}, "metrics.psnr.on: no 'kitti'; there are freedoom"),
    "features of no line": (
        {"metrics.fed.features": "frame"},
        "metrics.fed.features: no 'frame'; there are frames, windows, inception",
    ),
    "judge that makes video": ({"judges.reader.model": "vid2vid"}, "judges.reader.model: vid2vid belongs in runs"),
    "level of a ladder": (
        {"calibration.ladders.blur": [2, 1]},
        "calibration.ladders.blur: [2.0, 1.0] do not lead from mild to worse",
    ),
    "control of no name": ({"calibration.controls.lazy": {}}, "calibration.controls: no 'lazy'"),
    "level that is no number": (
        {"calibration.ladders.warp_space": [1, {}]},
        "calibration.ladders.warp_space[1]: {} is not float",
    ),
    "a number beyond 64 bits": (
        {"schedules.few.seed": 10**19},
        "few.seed: 10000000000000000000 is out of range; whole numbers",
    ),
    "a number beyond floats": ({"schedules.few.lr": 10**400}, "schedules.few.lr: 1000"),
    "key longer than a file name": ({"runs." + "p" * 300: LINE}, "it becomes part of file names"),
    "name that is none": ({"runs.vid2vid.model": "x" * 5000}, "is not the name of a file in v2vbench/models"),
    "vote of a set": (
        {"preference.metrics.realism": ["fed"]},
        "preference.metrics.realism[0]: fed has no value of a single clip; only metrics of single clips vote",
    ),
    "report": ({"report.playres": 1}, "report: unknown playres; it takes players"),
    "players by no metric": ({"report.players_by": "psrn"}, "report.players_by: no 'psrn'; there are psnr, lpips"),
    "players by a distance of sets": (
        {"report.players_by": "fed"},
        "report.players_by: fed has no value of a single clip; name a metric of single clips",
    ),
    "players by a metric with a judge": (
        {"metrics.points": {"metric": "keypoint_error", "judge": "finder", "unit": "px"}, "judges.finder": FINDER}
        | {"report.players_by": "points"},
        "report.players_by: points needs its judge; name a metric that needs none",
    ),
    "players by a metric of another data set": (
        {"metrics.psnr.on": ["other"], "datasets.other": OTHER, "report.players_by": "psnr"}
        | {"preference.metrics.fidelity": ["ssim"]},
        "report.players_by: psnr is not defined on freedoom; name a metric that is defined on every data set",
    ),
    "players by a metric without weights": ({"report.players_by": "lpips"}, "report.players_by: lpips: weights "),
    "a judge of another kind": (
        {"judges.reader": FINDER},
        "metrics.segmentation.judge: reader learns to read keypoints, and the metric compares label or maps",
    ),
    "a data set beside a judge's": (
        {"metrics.segmentation.on": ["other"], "datasets.other": OTHER},
        "metrics.segmentation.on: the data set of its judge, freedoom, decides; leave it out",
    ),
    "a key that is an option": ({"metrics.-psnr": {"metric": "psnr"}}, "metrics: the key '-psnr' is not made of a-z"),
    "key with capitals": (
        {"metrics.PSNR": {"metric": "psnr", "data_range": 2, "cap_db": 9}},
        "metrics: the key 'PSNR' is not made of a-z",
    ),
}


@pytest.mark.parametrize("changes, says", WRONG.values(), ids=WRONG)
def test_a_wrong_line_is_named(tmp_path, changes, says):
    path = write(tmp_path, changes)
    with pytest.raises(Fault, match=re.escape(says)) as fault:
        load_checked(tmp_path)
    assert str(fault.value).startswith(path.name)
    assert "\n" not in str(fault.value)
    assert not (tmp_path / ".cache/checked").exists()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("suite: a\nsuite: b\n", 'params.yaml:2: found duplicate key "suite"'),
        ("suite: [a\n", "params.yaml:2: "),
        ("suite: &x a\nabout: &x b\n", "params.yaml:2: found duplicate anchor 'x'"),
        ("suite: 2026-11-22\nabout: a\n", "params.yaml"),
        ("- a\n", "params.yaml: expected a mapping of sections, got list"),
        ("", "params.yaml: expected a mapping of sections, got NoneType"),
        ("suite: !!python/object:os.system {}\n", "params.yaml:1: could not determine a constructor"),
        ("suite: \x00", "params.yaml: "),
        ("suite: 2026-13-40\n", "params.yaml: month must be in 1..12"),
        (f"suite: {'9' * 5000}\n", "params.yaml: Exceeds the limit"),
        (f"suite: {'[' * 1000}\n", "params.yaml: nested too deep to be read"),
        (f"suite: {'a b ' * 1250}\nsuite: b\n", 'params.yaml:2: found duplicate key "suite"'),
        (f"? {'a' * 5000}\n: 1\n? {'a' * 5000}\n: 1\n", "params.yaml:3: found duplicate key"),
    ],
)
def test_a_file_that_is_none_is_one_line(tmp_path, text, says):
    (tmp_path / "params.yaml").write_text(text)
    with pytest.raises(Fault, match=re.escape(says)) as fault:
        load(tmp_path / "params.yaml")
    assert "\n" not in str(fault.value)
    assert len(str(fault.value)) < 400


@pytest.mark.parametrize(
    ("line", "instead", "says"),
    [
        (
            "about: Nothing is learnt here; every stage runs.",
            "about: 2026-11-22",
            "params.yaml.about: datetime.date(2026, 11, 22) is not str",
        ),
        ("lr: 2e-4\n", "lr: .nan\n", "schedules.few.lr: nan is out of range; it must be a finite number"),
        ("lr: 2e-4\n", "lr: .inf\n", "schedules.few.lr: inf is out of range"),
        ("lr: 2e-4\n", "lr: 2e-4\n    lr: 1e-4\n", 'found duplicate key "lr"'),
    ],
)
def test_what_json_has_no_word_for(tmp_path, line, instead, says):
    assert line in TINY.read_text()
    (tmp_path / "params.yaml").write_text(TINY.read_text().replace(line, instead))
    with pytest.raises(Fault, match=re.escape(says)):
        load(tmp_path / "params.yaml")


def test_what_has_passed_is_not_imported_again(tmp_path, monkeypatch):
    path = write(tmp_path, {})
    load_checked(tmp_path)
    monkeypatch.setattr("v2vbench.runner.check.check_signatures", lambda *_: pytest.fail("held against the code again"))
    load_checked(tmp_path)
    path.write_text(path.read_text() + "\n")
    with pytest.raises(pytest.fail.Exception):
        load_checked(tmp_path)


def test_a_checkpoint_from_elsewhere_is_a_base(tmp_path):
    """Known by what its import has left in runs/; of any data set, under any name but the words for no run."""
    write(tmp_path, {"runs.vid2vid.base": "theirs"})
    with pytest.raises(Fault, match="runs.vid2vid.base: no 'theirs'; there are vid2vid,"):
        load_checked(tmp_path)
    (tmp_path / "runs/theirs").mkdir(parents=True)
    (tmp_path / "runs/theirs/imported.json").write_text("{}")
    assert load_checked(tmp_path).runs["vid2vid"].base == "theirs"
    (tmp_path / "runs/theirs").rename(tmp_path / "runs/real")
    with pytest.raises(Fault, match="a run cannot be called real"):
        load_checked(tmp_path)


def test_a_covst_with_a_base_binds(tmp_path):
    write(tmp_path, {"runs.covst": COVST | dict(base="styled")})
    assert load_checked(tmp_path).runs["covst"].base == "styled"


def test_a_checkpoint_from_elsewhere_is_nothing_else(tmp_path):
    """It has no line, so no first frames can come from it; and a line with its name would write over it."""
    (tmp_path / "runs/theirs").mkdir(parents=True)
    (tmp_path / "runs/theirs/imported.json").write_text("{}")
    for changes, says in (
        ({"runs.vid2vid.first_frames": "theirs"}, "runs.vid2vid.first_frames: no 'theirs'; there are vid2vid,"),
        ({"predictors.forecast.base": "theirs"}, "predictors.forecast.base: no 'theirs'; there are forecast"),
        ({"runs.theirs": LINE}, "theirs: runs/theirs holds an imported checkpoint, which it would overwrite"),
    ):
        write(tmp_path, changes)
        with pytest.raises(Fault, match=says):
            load_checked(tmp_path)


def test_what_a_future_needs_is_what_its_predictors_need(tmp_path, monkeypatch):
    """Frames of predicted labels need a run; frames alone need none. One that draws is no reference."""
    held = {"predictors": {"held": HELD}, "futures.freedoom.video": "none"}
    write(tmp_path, held)
    assert load_checked(tmp_path).futures["freedoom"].video == "none"
    write(tmp_path, held | {"predictors": {"truth": TRUTH, "held": HELD | {"title": "y"}}})
    with pytest.raises(Fault, match="futures.freedoom.video: truth predicts labels"):
        load_checked(tmp_path)
    write(tmp_path, held)
    monkeypatch.setattr(find("models", "copy_last").Model, "STOCHASTIC", True)
    (tmp_path / ".cache/checked").unlink()
    with pytest.raises(Fault, match="futures.freedoom: every predictor draws or is given the truth"):
        load_checked(tmp_path)


def test_one_title_may_be_that_of_a_run_and_of_a_predictor(tmp_path):
    """They never stand in one table; nor do two data sets."""
    write(
        tmp_path,
        {"predictors.forecast.title": "vid2vid"}
        | FORESEEN
        | {
            "datasets.other": OTHER,
            "futures.other": FUTURE,
            "predictors.other": HELD | dict(dataset="other", title="vid2vid"),
        },
    )
    params = load_checked(tmp_path)
    assert params.predictors["forecast"].title == params.predictors["other"].title == params.runs["vid2vid"].title


@pytest.mark.parametrize("name", [name for name in SMALL if issubclass(find("models", name).Model, VideoModel)])
def test_the_past_that_is_checked_is_the_models(name):
    """`check` knows it without the data set's facts, from which the model is built."""
    model = importlib.import_module(f"v2vbench.models.{name}").Model(facts(), **SMALL[name])
    line = Run(**LINE | dict(model=name, kwargs=SMALL[name]))
    assert setting(line, "n_past") == model.n_past
    assert setting(line, "from_nothing") == model.from_nothing
