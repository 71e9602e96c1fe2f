"""Samples as files: zips as the 2020 project had them, tar shards, and plain arrays."""
