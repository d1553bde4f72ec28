"""Running stages: notebooks, their kernel process, checks and the pipeline."""
