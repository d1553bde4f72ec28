"""Checkpoints of the authors' code under our names."""
