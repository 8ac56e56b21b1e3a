"""Side-by-side measurements of Tidegate against its peers: `python -m benchmarks`."""
