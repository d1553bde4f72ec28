"""What the pipeline writes: a frozen dataclass for each JSON file below metrics/, its fields with meaning and unit.

| file | class | written by |
|---|---|---|
| metrics/runs/<run>.json | `runs.RunScores` | evaluate |
| metrics/calibrate/<dataset>.json | `calibration.CalibrationScores` | calibrate |
| metrics/future/<prediction>.json | `future.FutureScores` | future |
| metrics/compare.json | `comparison.Comparison` | compare |

Each is read with `load` and written with `save`, and gives a tidy pandas table with `frame()`:

    RunScores.load(RunScores.path(root, "freedoom_vid2vid")).frame()

A file names its schema; docs/results.schema.json is the JSON Schema of all (`python -m v2vbench.results.schema`).
Classes are imported from their modules: what depends on one file does not depend on the shape of the others.
"""
