"""The stages of the pipeline: one file for each; its notebook calls it."""
