"""State in memory, applying policy."""
