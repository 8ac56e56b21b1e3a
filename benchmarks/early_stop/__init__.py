"""Does the watch stop what degenerates, and nothing else: `python -m benchmarks.early_stop --data DIR`."""
