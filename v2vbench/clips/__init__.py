"""Clips on disk and in memory: the store, tensors, training windows, motion, damages and controls."""
