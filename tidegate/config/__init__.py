"""Typed settings from TOML and the environment; unknown keys are errors. No logic."""
