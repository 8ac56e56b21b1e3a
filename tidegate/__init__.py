"""Tidegate: a self-hosted LLM gateway that meters, prices and records every call."""

__version__ = "0.1.0.dev0"
