"""How much of this process one client, and all of them together, may take."""

from dataclasses import dataclass

SHEDDING_MAX = 256
"""Connections over the limit that may be told so at one time; further ones are reset without a word."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits of the data port. Times in seconds, rates in bytes per second.

    `head_bytes` covers request line and headers; `url_bytes` path and query. A head must be whole
    `head_timeout_s` after its first byte, a new connection must send one within `first_byte_s`, an idle one
    closes after `keep_alive_s`, and `drain_idle_s` after the server was told to stop. A body must bring
    `body_min_rate` in each `body_window_s` and be whole after `body_timeout_s`; `inflight_body_bytes` is what
    all bodies of running calls may hold together (trap V2).
    `chunk_extra_bytes` are chunk extensions and trailers of one message. A client that reads slower than
    `write_min_rate` over `write_stall_s` is dropped; `send_buffer_bytes` is the kernel's share of a stream
    (Linux counts it double), ours is the message being sent. `linger_s` is how long a refused client's
    remaining bytes are read and thrown away, so that it sees the refusal and not a reset.
    `allowed_hosts` are names without port, in lower case, `*.` in front covers what is below a domain; empty
    takes any well-formed Host.
    """

    head_bytes: int = 65_536
    header_count: int = 100
    url_bytes: int = 8_192
    body_bytes: int = 32 * 1024 * 1024
    inflight_body_bytes: int = 256 * 1024 * 1024
    chunk_extra_bytes: int = 256
    first_byte_s: float = 15.0
    head_timeout_s: float = 10.0
    body_min_rate: int = 1_024
    body_window_s: float = 10.0
    body_timeout_s: float = 300.0
    keep_alive_s: float = 30.0
    drain_idle_s: float = 1.0
    write_min_rate: int = 1_024
    write_stall_s: float = 30.0
    send_buffer_bytes: int = 131_072
    linger_s: float = 1.0
    max_connections: int = 2_000
    allowed_hosts: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if self.inflight_body_bytes < self.body_bytes:
            raise ValueError(
                f"inflight_body_bytes ({self.inflight_body_bytes}) is below body_bytes ({self.body_bytes}): "
                "the largest permitted body could never be taken"
            )


class Gate:
    """What all connections of one server share: bytes left for bodies, and whether it takes new work."""

    __slots__ = ("body_bytes_left", "draining", "overloaded", "shedding")

    def __init__(self, limits: Limits) -> None:
        self.body_bytes_left = limits.inflight_body_bytes
        self.shedding = 0
        self.draining = False
        self.overloaded = False
