"""One file, one data set: prepare(out, *, name, cache, ...) fetches or renders, verifies, and writes a clip store."""
