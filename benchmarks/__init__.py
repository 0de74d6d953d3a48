"""Measurements: `python -m benchmarks [name ...]`.

Each module here but those with an underscore is a benchmark: `run() -> list[Figure]`, and a first
docstring line that says what it shows.  Disks and machines differ by a factor of ten from one to
the next, so what counts is a ratio, taken in one run, side by side.
"""
