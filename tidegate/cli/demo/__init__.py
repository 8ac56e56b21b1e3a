"""`tidegate demo`: the main job on a local language model, with real SDKs and no API key."""

from tidegate.cli.demo.command import command

__all__ = ["command"]
