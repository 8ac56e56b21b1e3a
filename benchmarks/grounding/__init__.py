"""Whether the grounding check finds swapped facts, and leaves true ones alone."""
