"""A process of its own that answers for one GGUF file on loopback: `python -m ... FILE KEY_FILE NAME`."""

import os
import sys
from pathlib import Path

SLOTS = 3
"""One for each application of the demo, so that each finds its prompt's start in the cache."""
CONTEXT_TOKENS = 2048
"""Of one slot."""


def threads(cpus: int) -> int:
    """Half of the processors, at most 4: threads that share one with other work wait for each other."""
    return max(1, min(4, cpus // 2))


def main() -> None:
    """Load, listen on a free port, say where, and serve until our input closes or a signal comes."""
    import xllamacpp  # noqa: PLC0415 - only this process loads the engine

    path, key_file, name = sys.argv[1:]
    params = xllamacpp.CommonParams()
    params.model.path = path
    params.model_alias = {name}
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.api_keys = [Path(key_file).read_text(encoding="ascii").strip()]
    # The engine's own defaults would serve a web page, answer any origin and keep 8 GB of prompts.
    params.ui = False
    params.cors_origins = ""
    params.cache_ram_mib = 0
    params.endpoint_slots = False
    params.offline = True
    params.verbosity = 1
    params.n_parallel = SLOTS
    params.n_ctx = SLOTS * CONTEXT_TOKENS
    params.cpuparams.n_threads = threads(os.cpu_count() or 1)
    params.cpuparams.poll = 0
    params.sampling.temp = 0.0
    server = xllamacpp.Server(params)
    sys.stdout.write(f"serving at {server.listening_address}\n")
    sys.stdout.flush()
    sys.stdin.buffer.read()


if __name__ == "__main__":
    main()
