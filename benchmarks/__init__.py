"""Programs that measure speed and coverage: `python -m benchmarks`."""
