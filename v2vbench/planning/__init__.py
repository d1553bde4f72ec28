"""What a suite would need on a GPU, in memory and hours, computed on a machine that has none."""
