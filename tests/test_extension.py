"""A thing is added by one file, or one function, and one line: proved on a copy of package, tests and tiny suite."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[1]

FILES = {
    "datasets": '''
        """Planes that slide, as the tests have them."""

        from pathlib import Path

        from conftest import facts, sliding_clip

        from v2vbench.clips.store import write_store
        from v2vbench.params import Count


        def prepare(out: Path, *, name: str, cache: Path, n_frames: Count) -> None:
            """Write the clip store; raises nothing."""
            splits = ["train", "seen", "seen", "unseen"]
            about = [dict(id=f"{split}-{i}", split=split, origin="", licence="none") for i, split in enumerate(splits)]
            write_store(out, facts(name=name), ((clip, sliding_clip(i, n_frames)) for i, clip in enumerate(about)))
        ''',
    "models": '''
        """Each label in a colour that is learnt."""

        import torch
        from torch.nn import functional as F

        from v2vbench.clips.store import Facts
        from v2vbench.models import VideoModel
        from v2vbench.models._blocks import encode
        from v2vbench.params import Count


        class Model(VideoModel):
            """A convolution from one-hot labels to colours.

            size    of its kernel, px
            """

            def __init__(self, facts: Facts, *, size: Count):
                super().__init__()
                self.facts = facts
                self.paint = torch.nn.Conv2d(len(facts.label_names), 3, size, padding="same")

            def parts(self):
                return {"G": list(self.parameters())}

            def generate(self, clip, past, memory):
                return self.paint(encode(clip, self.facts, False)[:, -1]).tanh()

            def losses(self, clip):
                frames = self.paint(encode(clip, self.facts, False).flatten(0, 1)).tanh()
                return {"G": F.l1_loss(frames, clip["real"].flatten(0, 1))}
        ''',
    "metrics": '''
        """Mean absolute difference to the real frame.

        *Cannot see*: what the eye sees.
        """

        import torch

        from v2vbench.params import Weight

        TITLE, UNIT, BETTER, HEADING = "added, x {factor:g}", "", "lower", "fidelity"
        PROTOCOL = "added/1:l1:factor{factor:g}:mean-of-frames"


        def compute(fake: torch.Tensor, real: torch.Tensor, *, factor: Weight) -> torch.Tensor:
            """Of every frame, (T,)."""
            return factor * (fake.double() - real).abs().mean((1, 2, 3))
        ''',
    "extractors": '''
        """The colours of a small picture: no network at all."""

        from typing import Annotated

        from v2vbench import extractors
        from v2vbench.params import Range


        class Extractor(extractors.Extractor):
            """All pixels of a frame, a row of 3 px * px numbers.

            px    side of the square that frames are squashed to
            """

            VERSION = 1
            weights_sha256 = "none"

            def __init__(self, *, px: Annotated[int, Range(1)]):
                self.titles = {"frechet": "FD-added", "kernel": "KD-added"}
                self.ids = {"frechet": "fd-added", "kernel": "kd-added"}
                self.rows, self.resize = f"{px}px", ("torch-bilinear", px)

            def extract(self, images):
                """(n, 3, px, px) to (n, 3 px px)."""
                return images.flatten(1)
        ''',
}
PREDICTOR = '''
    """The last frame, a little darker with every step: a predictor with nothing to train."""

    import torch

    from v2vbench.clips.store import Facts
    from v2vbench.models import Predictor
    from v2vbench.params import Share


    class Model(Predictor):
        """Fades.

        rate    lost of the picture at each step
        """

        def __init__(self, facts: Facts, *, rate: Share):
            super().__init__()
            self.rate = rate

        def parts(self):
            return {}

        def predict(self, past, n_future, noise):
            shares = (1 - self.rate) ** torch.arange(1, n_future + 1).view(1, -1, 1, 1, 1)
            return (past["real"][:, -1:] + 1) * shares - 1
    '''
FUNCTIONS = {
    "damage": '''

        @ladder("darker", "by {} grey levels", "space", neutral=0)
        def added(frames: np.ndarray, level: Grey, rng) -> np.ndarray:
            """Each pixel darker by `level` grey levels."""
            return to_uint8(frames - np.float32(level))
        ''',
    "controls": '''

        @control("added {level:g}", "The first real frame, held and darker.", feasible=True, needs=("real",))
        def added(clip: dict, context: Context, *, level: Annotated[float, Range(0, 255)]) -> np.ndarray:
            """The first real frame, `level` grey levels darker, in place of all others."""
            return np.repeat(to_uint8(clip["real"][:1] - np.float32(level)), len(clip["real"]), 0)
        ''',
}
LINES = {
    "datasets": {"added": {"loader": "added", "n_frames": 6}},
    "runs": {
        "added": {
            "title": "added",
            "dataset": "added",
            "model": "added",
            "schedule": "few",
            "base": "none",
            "first_frames": "none",
            "seeds": [0],
            "kwargs": {"size": 3},
        }
    },
    "predictors": {
        "added_predictor": {
            "title": "fade",
            "dataset": "freedoom",
            "model": "added_predictor",
            "schedule": "none",
            "base": "none",
            "kwargs": {"rate": 0.1},
        }
    },
    "metrics": {
        "added": {"factor": 2},
        "fd_added": {"metric": "frechet", "features": {"extractor": "added", "px": 2}, "divisor": "n-1"},
    },
}
CALIBRATION = {"ladders": {"added": [8, 32]}, "controls": {"added": {"level": 16}}}
STAGES = """
    from pathlib import Path
    from v2vbench import params as parameters
    from v2vbench.runner.check import load_checked
    from v2vbench.stages import calibrate, data, evaluate, synthesize, train

    params, root = load_checked(Path()), Path()
    data.data(params, "added", root)
    train.train(params, "added", root)
    synthesize.synthesize(params, "added", root)
    evaluate.evaluate(params, "added", root)
    calibrate.calibrate(params, "added", root)
"""


TESTS = {
    *(f"test_every_file_keeps_its_contract[{kind}-added]" for kind in FILES),
    "test_every_file_keeps_its_contract[models-added_predictor]",
    "test_nothing_later_is_seen[added_predictor]",
    "test_a_prediction_depends_on_the_draws_where_it_says_so[added_predictor]",
    "test_every_model_and_metric_has_a_line_in_a_suite",
    "test_every_damage_and_control_is_documented_and_in_a_suite",
    "test_the_documented_protocols_are_those_of_the_files",
    "test_contract[added_predictor]",
    "test_contract[added]",  # of models: parts, losses, a frame
    "test_shapes_and_untouched_inputs[added]",  # of metrics
    "test_ladder[added]",
    "test_control[added]",
    "test_a_feasible_control_never_saw_what_it_is_held_against[added]",
}


@pytest.fixture(scope="module")
def extended(tmp_path_factory) -> Path:
    """A copy of what a clone holds, with a file, or a function, and a line of each kind; nothing else is changed."""
    root = tmp_path_factory.mktemp("extended")
    for folder in ("v2vbench", "tests", "suites", "docs", "results"):
        shutil.copytree(ROOT / folder, root / folder, ignore=shutil.ignore_patterns("__pycache__", "fixtures"))
    for file in ("params.yaml", "pyproject.toml"):
        shutil.copy(ROOT / file, root / file)
    for kind, text in FILES.items():
        (root / "v2vbench" / kind / "added.py").write_text(dedent(text).lstrip())
    (root / "v2vbench" / "models" / "added_predictor.py").write_text(dedent(PREDICTOR).lstrip())
    for name, text in FUNCTIONS.items():
        with open(root / "v2vbench" / "clips" / f"{name}.py", "a") as file:
            file.write(dedent(text))
    tiny, yaml = root / "tests" / "tiny.yaml", YAML()
    content = yaml.load(tiny)
    for section, lines in LINES.items():
        content[section].update(lines)
    for section, lines in CALIBRATION.items():
        content["calibration"][section].update(lines)
    yaml.dump(content, tiny)
    run(root, "-m", "v2vbench.metrics")
    return root


def run(root: Path, *command: str, folder: Path | None = None) -> str:
    """The output of Python in the copy; fails the test where it fails."""
    environment = os.environ | {"PYTHONPATH": f"{root}{os.pathsep}{root / 'tests'}", "OMP_NUM_THREADS": "1"}
    result = subprocess.run(
        [sys.executable, *command], cwd=folder or root, env=environment, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    return result.stdout


def test_the_contract_tests_of_the_copy_find_what_is_new(extended):
    assert "### `added` (lower is better, fidelity)" in (extended / "docs" / "protocols.md").read_text()
    files = [f"tests/test_{name}.py" for name in ("contracts", "models", "future", "metrics", "damage", "controls")]
    told = run(extended, "-m", "pytest", "-v", "-k", "added or documented or has_a_line", *files)
    passed = {line.split("::")[1].split()[0] for line in told.splitlines() if " PASSED" in line}
    assert TESTS <= passed


@pytest.mark.slow  # every metric and ladder of the tiny suite on one more data set
def test_check_and_the_stages_of_the_copy_run_what_is_new(extended, tmp_path):
    shutil.copy(extended / "tests" / "tiny.yaml", tmp_path / "params.yaml")
    run(extended, "-c", dedent(STAGES), folder=tmp_path)
    scores, calibration = (
        YAML(typ="safe").load((tmp_path / "metrics" / name).read_text())
        for name in ("runs/added.json", "calibrate/added.json")
    )
    metrics = scores["groups"]["seen"]["scores"]
    assert metrics["added"]["fake"]["value"] > 0
    assert metrics["fd_added"]["fake"]["value"] > 0
    assert "added" in calibration["groups"]["seen"]["ladders"]
    assert "added" in calibration["groups"]["seen"]["controls"]
