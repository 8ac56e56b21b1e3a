"""The scripted provider: three dialects, scripted latency, faults and usage."""
