"""What the pipeline does: one file a stage, which its notebook calls."""
