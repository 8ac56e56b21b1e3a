"""A long run under load and faults: `python -m benchmarks.soak`."""
