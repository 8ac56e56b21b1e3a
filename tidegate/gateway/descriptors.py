"""As many open files as the connections that may be served: the usual limit of 1,024 holds 500 calls."""

import contextlib
import logging
import resource

log = logging.getLogger("tidegate.gateway")

OWN = 256
"""Journal segments, the loop's own, the control listener, and some to spare."""
PER_CALL = 2
"""A client's connection and its provider's."""


def wanted(connections: int) -> int:
    """How many descriptors a gateway needs to serve so many connections at once."""
    return PER_CALL * connections + OWN


def raise_limit(connections: int) -> int:
    """Raise this process's limit to what `connections` need, as far as allowed; return the limit in force.

    What the system does not allow is said in the log, with what to do.
    """
    need = wanted(connections)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft not in (resource.RLIM_INFINITY, -1) and soft < need:
        allowed = need if hard in (resource.RLIM_INFINITY, -1) else min(need, hard)
        with contextlib.suppress(ValueError, OSError):  # macOS has a limit of its own below an unlimited one
            resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
        soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        if soft < need:
            log.warning(
                "%d open files are allowed, %d connections need %d: raise the limit (ulimit -n, LimitNOFILE)"
                " or lower server.max_connections to %d",
                soft,
                connections,
                need,
                max(1, (soft - OWN) // PER_CALL),
            )
    return soft
