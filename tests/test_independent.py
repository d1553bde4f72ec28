"""What the pipeline wrote is recomputed by `independent.py`, whose own formulas are held against closed forms first."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import independent
import independent_metrics as formulas
import independent_motion as motion
import independent_networks as networks
import independent_statistics as statistics
import numpy as np
import pytest
import torch
from scipy import stats

SCRIPT = Path(__file__).with_name("independent.py")
# Runs the script where importing the package is an error, and says so if it was loaded all the same.
GUARDED = """
import runpy, sys
class Guard:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "v2vbench":
            raise ImportError(f"{name} must not be imported here")
sys.meta_path.insert(0, Guard())
sys.path.insert(0, sys.argv[1].rpartition("/")[0])
del sys.argv[0]
code = 1
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
except SystemExit as stop:
    code = stop.code
assert not [name for name in sys.modules if name.partition(".")[0] == "v2vbench"]
sys.exit(code)
"""
# Numbers of the unseen clips that must be among those compared: an interval and a verdict of each kind.
KINDS = (
    "psnr copy_last low",
    "ked_windows copy_last low",
    "segmentation copy_last low",
    "psnr copy_last drift high",
    "primary warp_error copy_last p",
    "controls psnr frozen p",
    "warp_error real value",
    "segmentation floor value",
)
FORESEEN = (
    "psnr forecast per_clip 3 +5",
    "segmentation true_labels +2 high",
    "label_miou copy_last_frame +1 low",
    "ked_windows forecast table low",
    "ked_windows+past forecast table value",
    "track_error winner +5 value",
)
RNG = np.random.default_rng(0)
TEXTURE = (RNG.integers(0, 128, (24, 40, 3)) * 2).astype(np.uint8)
SLIDE = np.stack([np.roll(TEXTURE, -t, 1) for t in range(5)])  # to the left, by a pixel a frame
ALL_SEEN = {"flow": np.tile(np.float16([1, 0]), (4, 24, 40, 1)), "occluded": np.zeros((4, 24, 40), np.uint8)}
ALL_SEEN["occluded"][..., -1] = 1  # what slides in from the right was nowhere before


def recompute(*words):
    done = subprocess.run(
        [sys.executable, "-c", GUARDED, SCRIPT, *map(str, words)], capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout, done.stderr


def test_the_tiny_suite_is_what_other_code_computes(tiny_project):
    code, lines, errors = recompute(tiny_project)
    assert code == 0, errors + "".join(line for line in lines.splitlines(True) if not line.startswith("ok"))
    for run in json.loads((tiny_project / "metrics/compare.json").read_text())["runs"]:
        groups = json.loads((tiny_project / f"metrics/runs/{run}.json").read_text())["groups"]
        labels = {label for group in groups.values() for label, score in group["scores"].items() if score["fake"]}
        assert [label for label in labels if f" {label} value: " not in lines] == []
    for kind in KINDS:
        assert re.search(rf"unseen {kind}: -?[0-9]", lines), kind  # and not None, as where all is one cluster
    assert re.search(r"exploratory \S+ copy_last p: [0-9]", lines)
    foreseen = json.loads((tiny_project / "metrics/future/freedoom.json").read_text())
    for group, own in foreseen["groups"].items():
        curves = {(label, entry) for label, entries in own["curves"].items() for entry in entries}
        assert len(curves) > 30
        said = [f"future freedoom {group} {label} {entry} +5 value: " in lines for label, entry in curves]
        assert all(said)
        tables = {label for label, metric in own["table"]["metrics"].items() if metric["rows"]}
        assert [label for label in tables if f" {group} {label} forecast table value: " not in lines] == []
    for kind in FORESEEN:
        assert re.search(rf"future freedoom unseen {re.escape(kind)}: -?[0-9]", lines), kind


def altered(value):
    """A number that is another by a thousandth."""
    return value * 1.001 + 1e-6


@pytest.mark.parametrize("part", ["copy_last", "calibrate", "compare", "future", "future, pooled", "future, a winner"])
def test_an_altered_number_is_found(tiny_project, tmp_path, part, capsys):
    """One number of each sort of results, altered by a thousandth, is called wrong."""
    part, _, what = part.partition(", ")
    for name in ("params.yaml", "data", "runs", "judges", "predictors", "futures"):
        (tmp_path / name).symlink_to(tiny_project / name)
    shutil.copytree(tiny_project / "metrics", tmp_path / "metrics")
    files = {"copy_last": "runs/copy_last.json", "calibrate": "calibrate/freedoom.json", "compare": "compare.json"}
    files["future"] = "future/freedoom.json"
    path = tmp_path / "metrics" / files[part]
    result = json.loads(path.read_text())
    if part == "copy_last":
        values = result["groups"]["unseen"]["scores"]["ked_windows"]["fake"]["leave_one_out"]
        at, wrong = 0, "unseen ked_windows leave_one_out 0"
    elif part == "calibrate":
        seen = result["groups"]["seen"]  # of which a part will do
        seen |= {"controls": {"frozen": seen["controls"]["frozen"]}, "ladders": {"freeze": seen["ladders"]["freeze"]}}
        result["groups"], values = {"seen": seen}, seen["controls"]["frozen"]["scores"]["warp_error"]["per_clip"]
        at, wrong = 1, "seen frozen warp_error per_clip 1"
    elif part == "future":
        result["groups"] = {"unseen": result["groups"]["unseen"]}
        group = result["groups"]["unseen"]
        if not what:
            values, at = group["curves"]["psnr"]["forecast"]["per_clip"][1], 2
            wrong = "freedoom unseen psnr forecast per_clip 1 +3"
        elif what == "pooled":
            values, at = group["curves"]["label_miou"]["forecast"]["high"], 4
            wrong = "freedoom unseen label_miou forecast +5 high"
        else:
            (values,), at = [one for one in group["winners"]["psnr"] if one["steps_ahead"] == 2], "entry"
            values[at] = "forecast"
            wrong = "freedoom unseen psnr winner +2 best"
    else:
        values = result["datasets"]["freedoom"]["groups"]["unseen"]["metrics"]["psnr"]["rows"]["copy_last"]
        at, wrong = "low", "freedoom unseen psnr copy_last low"
    values[at] = altered(values[at]) if isinstance(values[at], float) else values[at]
    path.write_text(json.dumps(result))
    assert independent.main(tmp_path, part) == 1
    assert f"WRONG {part} {wrong}: " in capsys.readouterr().out


def flat(*levels):
    return np.stack([np.full((24, 40, 3), level, np.uint8) for level in levels])


def test_likeness_of_flat_frames():
    """Of flat frames only the luminance term is left: (2 a b + c) / (a^2 + b^2 + c)."""
    a, b = flat(120, 0), flat(135, 0)
    luminance = (2 * 120 * 135 + 2.55**2) / (120**2 + 135**2 + 2.55**2)
    assert formulas.ssim(a, b, {}, {"sigma": 1.5}) == pytest.approx([luminance, 1])
    assert formulas.ms_ssim(a, b, {}, {"sigma": 1.5, "betas": [0.1, 0.3]}) == pytest.approx([luminance**0.75, 1])
    assert formulas.psnr(a, b, {}, {"cap_db": 100}) == pytest.approx([20 * np.log10(17), 100])


def test_one_scale_of_ms_ssim_is_ssim():
    noisy = (SLIDE + RNG.integers(0, 9, SLIDE.shape)).astype(np.uint8)
    ours = formulas.ms_ssim(SLIDE, noisy, {}, {"sigma": 1.5, "betas": [1.0]})
    assert ours == pytest.approx(formulas.ssim(SLIDE, noisy, {}, {"sigma": 1.5}), abs=1e-9) and (ours < 0.999).all()


def test_changes_of_brightness_and_of_size():
    calm, shaken = flat(100, 100, 100, 100), flat(104, 96, 104, 96)
    assert formulas.flicker(shaken, calm, {}, {"block_px": 8}) == pytest.approx([8, 8, 8])
    assert formulas.motion_ratio(SLIDE // 2, SLIDE, {}, {"block_px": 16}).mean() == pytest.approx(0.5)
    assert formulas.sharpness_ratio(SLIDE // 2, SLIDE, {}, {}).mean() == pytest.approx(0.25)
    ramp = np.arange(20.0).reshape(1, 2, 10)
    assert formulas.block_means(ramp, 4)[0] == pytest.approx(np.array([[6.5, 10.5, 13.5]]))


def test_errors_along_the_true_flow():
    """A slide by whole pixels has no warp error, an offset in every other frame its square; frozen misses the flow."""
    assert motion.warp_error(SLIDE, SLIDE, ALL_SEEN, {}) == pytest.approx(0, abs=1e-20)
    offset = (SLIDE // 2 + np.array([0, 51, 0, 51, 0])[:, None, None, None]).astype(np.uint8)
    assert motion.warp_error(offset, SLIDE, ALL_SEEN, {}) == pytest.approx(np.full(4, 0.04))
    frozen = SLIDE[[0] * 5]
    assert motion.flow_error(frozen, SLIDE, ALL_SEEN, {}) == pytest.approx(np.ones(4), abs=1e-6)
    half = motion.sample(np.array([[0.0, 10.0], [20.0, 30.0]]), np.array([0.5, -3.0]), np.array([0.5, 5.0]))
    assert half == pytest.approx([15, 20])


def test_tracks_over_several_frames():
    """Along whole-pixel tracks nothing changes colour; an offset from frame 2 on is seen on all that cross it."""
    line = {"n_frames": 4, "stride_px": 5, "apart_px": 1, "noise": 3}
    found, starts = motion.tracks(ALL_SEEN["flow"].astype(float), line, ALL_SEEN["occluded"])
    assert starts[0] == (2, 2) and len(starts) == 5 * 8 and found[4, 0] == [(3, 2), (4, 2), (5, 2)]
    assert found[3, 7] == [(38, 2), (39, 2)]  # where the next step is hidden
    assert (motion.tracks(-ALL_SEEN["flow"].astype(float), line, ALL_SEEN["occluded"])[0][3, 0]) == [(1, 2), (0, 2)]
    flow = np.tile(np.array([0.5, 0]), (4, 24, 40, 1))
    flow[:, :, 3] = -1, 0
    assert motion.tracks(flow, line)[0][2, 0] == [(2.5, 2), (2.25, 2)]  # half of 0.5 and half of -1

    def kept(beside, own=0):  # of a track, from mean squares
        return np.sqrt((own + 9) / (beside + 9))

    flat_slide = flat(*[100] * 5)
    assert motion.track_error(flat_slide, SLIDE, ALL_SEEN, line) == pytest.approx(np.ones(4))
    single = line | {"stride_px": 40}  # one point, at column and row 20
    x = SLIDE.astype(float)
    four = (1, 0), (-1, 0), (0, 1), (0, -1)  # beside the point of frame t, wherever it is
    beside = [np.mean([(x[t, 20 + dy, 20 + dx] - x[t, 20, 20]) ** 2 for dx, dy in four]) for t in range(5)]
    assert motion.track_error(SLIDE, SLIDE, ALL_SEEN, single) == pytest.approx([kept(own) for own in beside[1:]])
    offset = flat(100, 100, 151, 151, 151)
    shares = np.array([0, 2 / 2, 2 / 3, 1 / 3]) * 51**2  # frames before 2 among those before 1, 2, 3 and 4
    assert motion.track_error(offset, SLIDE, ALL_SEEN, single) == pytest.approx([kept(own, own) for own in shares])
    frozen = motion.track_drift(SLIDE[[0] * 5], SLIDE, ALL_SEEN, single)
    assert frozen == pytest.approx([1, 1.5, 2, 2], abs=1e-6)  # means of 1; 1, 2; 1, 2, 3; 1, 2, 3 px


def smooth_slide(speed):
    """(4, 48, 96, 3): waves that move right by `speed` px a frame."""
    y, x = np.mgrid[:48, :96]
    frames = [
        128 + 50 * np.sin((x - speed * t) / 5) * np.cos(y / 6) + 40 * np.sin((x - speed * t + y) / 9) for t in range(4)
    ]
    return np.repeat(np.stack(frames).round().astype(np.uint8)[..., None], 3, -1)


def test_estimated_motion():
    moving, still = smooth_slide(2), smooth_slide(0)
    assert motion.tof(moving, moving, {}, {}) == pytest.approx(np.zeros(3))
    assert motion.tof(moving, still, {}, {}) == pytest.approx(np.full(3, 2), rel=0.1)
    flow = motion.estimated_flow(moving[0], moving[1])[8:-8, 8:-8]
    assert flow.mean((0, 1)) == pytest.approx([-2, 0], abs=0.1)
    assert motion.doubled(flat(77)[0]).shape == (48, 80, 3) and (motion.doubled(flat(77)[0]) == 77).all()


def test_a_judge_made_by_hand():
    """Its first map is brightness, over the frame's own mean: bright pixels are label 1, dark ones 0."""
    one = torch.zeros(1, 3, 3, 3)
    one[:, :, 1, 1] = 1
    judge = {"net.out.weight": torch.tensor([0.0, 1.0]).view(2, 1, 1, 1), "net.out.bias": torch.tensor([0.2, 0.0])}
    for part, kernel in (("0", one), ("1", one[:, :1])):
        judge |= {
            f"net.down.0.{part}.0.weight": kernel,
            f"net.down.0.{part}.0.bias": torch.zeros(1),
            f"net.down.0.{part}.1.weight": torch.ones(1),
            f"net.down.0.{part}.1.bias": torch.zeros(1),
        }
    frame = np.zeros((1, 16, 32, 3), np.uint8)
    frame[:, :, 16:] = 255
    seen = networks.read_labels(judge, frame)[0]
    assert (seen[:, 17:] == 1).all() and (seen[:, :15] == 0).all()


def test_counts_of_labels():
    truth, seen = np.array([[0, 0, 1, 255]]), np.array([[0, 1, 1, 2]])
    assert networks.mean_iou(networks.confusion(seen, truth)) == pytest.approx(0.5)
    assert networks.mean_iou(networks.confusion(np.full((1, 4), 7), truth)) == 0
    assert networks.commonest_label([np.array([[[3, 0]], [[3, 255]]]), np.array([[[1, 255]]])]).tolist() == [[3, 0]]


def test_resized_pixels():
    """To half the size: 1, 3, 3, 1 eighths of neighbours, the frame's edge without those outside."""
    line = np.repeat(np.array([[0, 0, 80, 80, 0, 0, 0, 0]], np.uint8)[..., None], 3, -1)[None].repeat(8, 1)
    made = networks.resized(line, 4)
    assert made[0, 0, :, 0] == pytest.approx([80 / 7, 60, 10, 0]) and np.ptp(made, 1).max() < 1e-12


def test_distances_of_hand_made_rows():
    line, owners = {"divisor": "n-1", "pairs": "other-clusters", "sigma": 1.0}, np.array([0, 1])
    rows = RNG.standard_normal((50, 3))
    rows -= rows.mean(0)
    assert statistics.frechet(2 * rows + 5, rows, None, line) == pytest.approx(75 + np.cov(rows.T).trace())
    assert statistics.frechet(rows[:, :1].repeat(9, 1), rows[:, :1].repeat(9, 1), None, line) == pytest.approx(
        0, abs=1e-5
    )
    x, y = np.array([[1.0], [2.0]]), np.array([[0.0], [3.0]])
    others = 3**3 + 1 - (4**3 + 1)  # k(1, 2) + k(0, 3) - k(1, 3) - k(2, 0)
    assert statistics.kernel_distance(x, y, owners, line) == pytest.approx(1000 * others)
    crosses = (1 + 4**3 + 1 + 7**3) / 4
    assert statistics.kernel_distance(x, y, owners, line | {"pairs": "all"}) == pytest.approx(
        1000 * (27 + 1 - 2 * crosses)
    )
    right, up = np.array([[3.0, 0], [5, 0]]), np.array([[0, 2.0], [0, 1]])
    assert statistics.gauss_mmd(right, up, owners, line | {"statistic": "u"}) == pytest.approx(2000 * (1 - np.exp(-1)))
    assert statistics.gauss_mmd(right, up, owners, line | {"statistic": "v"}) == pytest.approx(2000 * (1 - np.exp(-1)))
    assert statistics.window_rows(np.array([[0.0], [2], [1], [5]]), 2, 2, 3) == pytest.approx(
        np.array([[1, 6], [3, 12]])
    )
    assert len(statistics.window_rows(np.zeros((7, 1)), 4, 2, 1)) == 3


def means_without(clusters):
    return [np.mean(np.concatenate(clusters[:i] + clusters[i + 1 :])) for i in range(len(clusters))]


def test_intervals_of_means():
    """Of single clips Student's; of unequal clusters the estimate is the mean and a pseudo-value the cluster's mean."""
    values = RNG.standard_normal(9)
    student = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    ours = statistics.interval(values.mean(), means_without([[v] for v in values]), [1] * 9, 0.95)
    assert ours == pytest.approx((values.mean(), student.low, student.high))
    clusters = [[1.0, 2.0], [4.0], [0.0, 0.0, 6.0]]
    estimate, pseudo, variance = statistics.jackknife(np.mean(sum(clusters, [])), means_without(clusters), [2, 1, 3])
    assert estimate == pytest.approx(13 / 6) and pseudo == pytest.approx([1.5, 4, 2])
    assert variance == pytest.approx(((2 / 3) ** 2 / 2 + (11 / 6) ** 2 / 5 + (1 / 6) ** 2) / 3)


def test_ratios_and_shares():
    values, sure = RNG.normal(10, 1, 8), np.ones(8)
    a, b = ((v.mean(), means_without([[x] for x in v])) for v in (values, 4 * sure))
    student = stats.ttest_1samp(values, 0).confidence_interval(0.9)
    assert statistics.fieller(a, b, [1] * 8, 0.9) == pytest.approx(
        (values.mean() / 4, student.low / 4, student.high / 4)
    )
    assert statistics.fieller(a, a, [1] * 8, 0.9) == pytest.approx((1, 1, 1), abs=1e-6)
    alone, pairs = np.eye(8, dtype=bool), np.eye(4, dtype=bool).repeat(2, 1)
    for won in (0, 3, 8):
        exact = stats.binomtest(won, 8).proportion_ci(0.95, method="exact")
        votes = [1] * won + [0] * (8 - won)
        assert statistics.share(votes, alone, 0.95) == pytest.approx((won / 8, *exact))
    few = (stats.t.ppf(0.975, 7) / stats.t.ppf(0.975, 3)) ** 2  # pairs alike: 8 votes are worth 4
    assert statistics.share([1, 1, 0, 0] * 2, pairs, 0.95)[1:] == statistics.clopper_pearson(2 * few, 4 * few, 0.95)


def test_flipped_signs():
    values = RNG.normal(0.5, 1, 8)
    theirs = stats.permutation_test(
        (values, np.zeros(8)), lambda x, y: (x - y).sum(), permutation_type="samples"
    ).pvalue
    assert statistics.flip_p(values) == pytest.approx(theirs) and statistics.flip_p(np.arange(1.0, 6)) == 2 / 32
    assert statistics.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    weak = np.array([1.0, -1, 1, -1, 1, 1])
    assert statistics.max_t([values]) == [statistics.flip_p(values)]
    assert statistics.max_t([values, values, 3 * values]) == [statistics.flip_p(values)] * 3
    first, second = statistics.max_t([weak, np.arange(1.0, 7)])
    assert first == statistics.flip_p(weak) and second > statistics.flip_p(np.arange(1.0, 7))


def test_deltas_of_clusters():
    """Their mean is the difference of the estimates, also of ratios on a log scale and of unequal clusters."""
    sizes, clusters, others = [2, 1], [[1.0, 2.0], [4.0]], [[0.0, 0.0], [1.0]]
    run, reference = ((np.mean(sum(c, [])), means_without(c)) for c in (clusters, others))
    assert statistics.deltas(run, reference, sizes, "lower").mean() == pytest.approx(2)
    assert statistics.deltas(run, reference, sizes, "higher") == pytest.approx([-2, -2])
    constant = (0.5, [0.5, 0.5]), (1.0, [1.0, 1.0])
    assert statistics.deltas(*constant, sizes, "one").mean() == pytest.approx(np.log(2))


def test_the_detectable_effect_has_its_power():
    delta = RNG.standard_normal(9)
    shift = statistics.detectable(delta, 0.05, 0.8)
    draws = RNG.normal(shift, delta.std(ddof=1), (40000, 9))
    assert (stats.ttest_1samp(draws, 0, axis=1).pvalue < 0.05).mean() == pytest.approx(0.8, abs=0.01)
    assert statistics.detectable(delta, None, 0.8) is None
    assert statistics.best_max_t_level([np.ones(3)], 0.05) is None
    assert statistics.best_max_t_level([delta], 0.05) == pytest.approx(0.05, abs=0.02)
