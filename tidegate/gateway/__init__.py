"""The data plane: HTTP in."""
