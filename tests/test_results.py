"""Files of results: read back as they were, refused in one line where they are wrong, and their published schema."""

import json
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest
from made_up import future_scores

from v2vbench.params import Fault
from v2vbench.results.calibration import CalibrationScores
from v2vbench.results.comparison import Comparison
from v2vbench.results.future import FutureScores
from v2vbench.results.record import write_csv
from v2vbench.results.runs import RunScores
from v2vbench.results.schema import FILES, schema

ROOT = Path(__file__).parents[1]
SHIPPED = [
    *((RunScores, path) for path in sorted(ROOT.glob("metrics/runs/*.json"))),
    *((CalibrationScores, path) for path in sorted(ROOT.glob("metrics/calibrate/*.json"))),
    *((FutureScores, path) for path in sorted(ROOT.glob("metrics/future/*.json"))),
    (Comparison, ROOT / "metrics/compare.json"),
]
PUBLISHED = [
    *((Comparison, path) for path in sorted(ROOT.glob("results/*/compare.json"))),
    *((FutureScores, path) for path in sorted(ROOT.glob("results/*/future/*.json"))),
]
RUN = ROOT / "metrics/runs/freedoom_vid2vid.json"


def edited(folder, change) -> Path:
    """A copy of one run's file whose content was changed."""
    content = json.loads(RUN.read_text())
    change(content)
    (folder / "run.json").write_text(json.dumps(content))
    return folder / "run.json"


def fault(path: Path) -> str:
    with pytest.raises(Fault) as caught:
        RunScores.load(path)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(f"{path}: ")
    return str(caught.value).removeprefix(f"{path}: ")


@pytest.mark.parametrize("kind, path", SHIPPED, ids=[path.stem for _, path in SHIPPED])
def test_shipped_results_are_read_and_written_again_to_the_byte(kind, path, tmp_path):
    kind.load(path).save(tmp_path / "again.json")
    assert (tmp_path / "again.json").read_bytes() == path.read_bytes()


def without(content, others):
    """The content without the keys that the others do not have."""
    if isinstance(content, dict):
        return {key: without(value, others[key]) for key, value in content.items() if key in others}
    return [without(*both) for both in zip(content, others, strict=True)] if isinstance(content, list) else content


@pytest.mark.parametrize("kind, path", PUBLISHED, ids=[f"{path.parent.name}-{path.stem}" for _, path in PUBLISHED])
def test_published_results_keep_every_value(kind, path, tmp_path):
    """They are of the version that made them: fields that are younger are added when they are read, and no other."""
    kind.load(path).save(tmp_path / "again.json")
    content = json.loads(path.read_text())
    assert without(json.loads((tmp_path / "again.json").read_text()), content) == content


@pytest.mark.parametrize("kind, path", SHIPPED + PUBLISHED, ids=[path.stem for _, path in SHIPPED + PUBLISHED])
def test_shipped_results_are_of_the_published_schema(kind, path):
    jsonschema.Draft202012Validator(schema()).validate(json.loads(path.read_text()))


def test_the_published_schema_is_current():
    published = json.loads((ROOT / "docs/results.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(published)
    assert published == schema(), "run: python -m v2vbench.results.schema > docs/results.schema.json"


def test_every_field_says_what_it_is():
    for name, definition in schema()["$defs"].items():
        fields = {key: field for key, field in definition["properties"].items() if key != "schema"}
        assert definition["description"], name
        assert not [key for key, field in fields.items() if not field.get("description")], name


@pytest.mark.parametrize(
    "change",
    [
        lambda run: run.pop("groups"),
        lambda run: run.update(more=1),
        lambda run: run.update(skip_frames="2"),
        lambda run: run.update(schema="v2vbench/run/0"),
        lambda run: next(iter(run["metrics"].values())).update(better="up"),
        lambda run: next(iter(run["groups"].values()))["scores"]["psnr"]["fake"].update(value=None),
    ],
)
def test_schema_and_reader_refuse_the_same_files(change, tmp_path):
    path = edited(tmp_path, change)
    assert not jsonschema.Draft202012Validator(schema()).is_valid(json.loads(path.read_text()))
    fault(path)


def test_a_missing_file_is_one_line(tmp_path):
    assert fault(tmp_path / "none.json") == "missing; `dvc repro` makes it"


def test_a_broken_file_is_one_line(tmp_path):
    (tmp_path / "run.json").write_text(RUN.read_text()[:1000])
    message = fault(tmp_path / "run.json")
    assert message.startswith("not whole (")
    assert message.endswith("delete it and run `dvc repro`")


def test_a_file_that_is_no_text_is_one_line(tmp_path):
    (tmp_path / "run.json").write_bytes(b"\xff\xfe\x00")
    assert "not whole" in fault(tmp_path / "run.json")


def test_a_file_of_another_version_is_one_line(tmp_path):
    path = edited(tmp_path, lambda run: run.update(schema="v2vbench/run/0"))
    expected = "of schema 'v2vbench/run/0', and this version of v2vbench reads 'v2vbench/run/1'; run `dvc repro`"
    assert fault(path) == expected


@pytest.mark.parametrize("content", ["{}", "[]", "1", '{"run": "a"}'])
def test_a_file_without_a_schema_is_one_line(content, tmp_path):
    (tmp_path / "run.json").write_text(content)
    assert fault(tmp_path / "run.json").startswith("without a schema, and this version")


def test_a_file_of_another_kind_is_one_line():
    path = next(path for kind, path in SHIPPED if kind is Comparison)
    assert "'v2vbench/comparison/1'" in fault(path)


def test_a_wrong_field_is_named_with_its_path(tmp_path):
    def spoil(run):
        run["groups"][group]["scores"]["psnr"]["fake"]["per_clip"][1] = "high"

    group = next(iter(RunScores.load(RUN).groups))
    path = edited(tmp_path, spoil)
    assert fault(path) == f"$.groups.{group}.scores.psnr.fake.per_clip[1]: 'high' is not float; run `dvc repro`"


def test_a_missing_and_an_unknown_field_are_named(tmp_path):
    assert fault(edited(tmp_path, lambda run: run.pop("title"))) == "$: missing title; run `dvc repro`"
    assert fault(edited(tmp_path, lambda run: run.update(titel="x"))).startswith("$: unknown titel; it takes")


def test_schemas_of_files_differ():
    assert len({file.SCHEMA for file in FILES}) == len(FILES)


def test_a_run_as_a_table_has_every_value_of_every_clip():
    run = RunScores.load(RUN)
    table = run.frame()
    assert list(table.columns) == ["run", "dataset", "group", "clip", "metric", "value"]
    assert set(table["run"]) == {run.run}
    for name, group in run.groups.items():
        part = table[(table.group == name) & (table.metric == "psnr")]
        assert list(part["clip"]) == group.clips
        assert list(part.value) == group.scores["psnr"].fake.per_clip


def test_curves_end_with_the_last_frame():
    run = RunScores.load(RUN)
    table, group = run.curves(), next(iter(run.groups))
    frames, pairs = (list(table[(table.group == group) & (table.metric == label)].frame) for label in ("psnr", "tof"))
    n_frames = run.groups[group].n_frames
    assert frames == list(range(run.skip_frames + 1, run.skip_frames + n_frames + 1))
    assert pairs == frames[1:]


def test_a_summary_leaves_out_metrics_without_a_value():
    run = RunScores.load(RUN)
    group = next(iter(run.groups))
    assert run.metrics["lpips"].absent
    assert run.summary(["psnr", "lpips"])[group] == {"psnr": run.groups[group].scores["psnr"].value}


def test_a_future_as_a_table(store, tmp_path):
    path = tmp_path / "future.json"
    made = future_scores(store, "sliding", ["seen"])
    alone = replace(made.groups["seen"].curves["psnr"]["held"], low=None, high=None)  # of one cluster
    made.groups["seen"].curves["psnr"]["held"] = alone
    made.save(path)
    table, raw = FutureScores.load(path).frame(), json.loads(path.read_text())
    assert list(table.columns) == ["steps_ahead", "group", "metric", "method", "value", "low", "high"]
    n_rows = 0
    for group, own in raw["groups"].items():
        for label, entries in own["curves"].items():
            for entry, curve in entries.items():
                part = table[(table.group == group) & (table.metric == label) & (table.method == entry)]
                assert list(part.steps_ahead) == list(range(1, raw["n_future"] + 1))
                for name, column in (("value", "curve"), ("low", "low"), ("high", "high")):
                    if curve[column] is None:
                        assert part[name].isna().all()
                    else:
                        assert list(part[name]) == curve[column]
                n_rows += len(part)
    assert n_rows == len(table) > raw["n_future"]


def test_entries_by_how_they_are_drawn(store):
    future = future_scores(store, "sliding", ["seen"])
    assert list(future.of_sampling("deterministic")) == ["guess", "held", "truth"]
    assert list(future.of_sampling("one sample", "mean of n")) == ["draws", "draws:mean"]


def test_a_future_of_the_old_schema_is_refused(tmp_path, store):
    future_scores(store, "sliding", ["seen"]).save(tmp_path / "future.json")
    content = json.loads((tmp_path / "future.json").read_text())
    jsonschema.Draft202012Validator(schema()).validate(content)
    assert FutureScores.load(tmp_path / "future.json").entries["draws:best"].n_samples == 3
    (tmp_path / "future.json").write_text(json.dumps(content | {"schema": "v2vbench/future/1"}))
    with pytest.raises(Fault, match="of schema 'v2vbench/future/1', and this version .* 'v2vbench/future/2'"):
        FutureScores.load(tmp_path / "future.json")


def test_a_comparison_as_a_table():
    comparison = Comparison.load(ROOT / "metrics/compare.json")
    table = comparison.frame()
    n_rows = [len(m.rows) for d in comparison.datasets.values() for g in d.groups.values() for m in g.metrics.values()]
    assert len(table) == sum(n_rows)
    assert set(table.verdict.dropna()) <= {"better", "worse", "not distinguishable"}
    assert list(table.columns) == ["dataset", "group", "metric", "run", "value", "low", "high", "verdict", "p"]


def test_a_calibration_as_a_table():
    kind, path = next(pair for pair in SHIPPED if pair[0] is CalibrationScores)
    calibration = kind.load(path)
    group = next(iter(calibration.groups))
    ladder = calibration.groups[group].ladders["blur"]
    table = calibration.frame()
    part = table[(table.group == group) & (table.ladder == "blur") & (table.metric == "psnr")]
    assert list(part.value) == ladder.metrics["psnr"].values
    assert list(part.level) == ladder.levels


def test_equal_tables_are_equal_bytes(tmp_path):
    run = RunScores.load(RUN)
    for name in ("a", "b"):
        write_csv(tmp_path / name / "run.csv", replace(run).curves())
    assert (tmp_path / "a/run.csv").read_bytes() == (tmp_path / "b/run.csv").read_bytes()
    first, second = (tmp_path / "a/run.csv").read_text().splitlines()[:2]
    assert first == "frame,group,metric,value"
    assert len(second.split(",")) == 4
