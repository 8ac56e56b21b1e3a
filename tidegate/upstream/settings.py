"""How the scripted provider answers where no script says otherwise."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """`tokens_per_second` 0 sends a stream in one piece. `keep_requests`: how many `/__requests` shows.

    `scripts`: JSON of the scripts that wait from the start, as `/__scripts` takes them.
    """

    host: str = "127.0.0.1"
    port: int = 4199
    latency_ms: float = 0.0
    tokens_per_second: float = 0.0
    output_tokens: int = 32
    models: tuple[str, ...] = ("scripted-large", "scripted-small")
    keep_requests: int = 0
    scripts: str | bytes = b""
