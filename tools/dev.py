"""`make dev`: the scripted provider, a gateway and a control process in the foreground, and a key to use."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

HOME = Path(".tidegate") / "dev"
CONFIG = """\
# Written by `make dev` once; change it as you like.

[server]
listen = "127.0.0.1:4180"
state_dir = "state"

[[deployments]]
name = "scripted"
provider = "openai-compatible"
model = "scripted"
base_url = "http://127.0.0.1:4199/v1"
price = { currency = "EUR", rates = { input = "1.00", output = "4.00" }, illustration = true }

[[deployments]]
name = "scripted-claude"
provider = "anthropic-compatible"
model = "scripted-claude"
base_url = "http://127.0.0.1:4199"
price = { currency = "EUR", rates = { input = "3.00", output = "15.00" }, illustration = true }
"""
HINT = """\
The key:   {key}
Try:       curl -s http://127.0.0.1:4180/v1/chat/completions -H 'authorization: Bearer {key}' \\
             -H 'content-type: application/json' \\
             -d '{{"model": "scripted", "messages": [{{"role": "user", "content": "hello"}}]}}'
Then:      {tidegate} report --config {config}
End with Ctrl-C; start again after editing {config}."""


def main() -> int:
    """Make what is missing, then run everything until a signal ends it."""
    tidegate = [sys.executable, "-m", "tidegate"]
    HOME.mkdir(parents=True, exist_ok=True)
    config, secret = HOME / "tidegate.toml", HOME / "key"
    if not config.exists():
        config.write_text(CONFIG, encoding="utf-8")
    if not secret.exists():
        create = [
            "keys",
            "create",
            "--tenant",
            "dev",
            "--name",
            "make dev",
            "--quiet",
            "--config",
            str(config),
        ]
        made = subprocess.run([*tidegate, *create], stdout=subprocess.PIPE, text=True, check=True)
        descriptor = os.open(secret, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as opened:
            opened.write(made.stdout)
    key = secret.read_text(encoding="ascii").strip()
    command = Path(sys.executable).with_name("tidegate")
    print(HINT.format(key=key, config=config, tidegate=command), flush=True)
    return run([[*tidegate, "upstream"], [*tidegate, "serve", "--config", str(config)]])


def run(commands: Sequence[Sequence[str]]) -> int:
    """Run commands until Ctrl-C, SIGTERM or the end of one; then end all, the last first.

    Each has a session of its own, so that a terminal's Ctrl-C reaches none of them twice.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    children = [subprocess.Popen(command, start_new_session=True) for command in commands]
    try:
        while all(child.poll() is None for child in children):
            time.sleep(0.2)
    except KeyboardInterrupt:
        return 0
    finally:
        for child in reversed(children):
            child.terminate()
            child.wait()
    return 1


if __name__ == "__main__":
    sys.exit(main())
