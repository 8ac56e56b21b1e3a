"""The control plane: projector, admin API, snapshot, jobs."""
