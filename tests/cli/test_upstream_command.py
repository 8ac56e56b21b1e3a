"""`tidegate upstream` as a process of its own."""

import signal
import socket
import subprocess
import sys
import urllib.request

import click.testing

from tidegate.cli.upstream import command


def test_it_prints_its_address_serves_and_ends_on_a_signal() -> None:
    line = [sys.executable, "-c", "from tidegate.cli import main; main()", "upstream", "--port", "0"]
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            first = process.stdout.readline()
            address = first.split()[-1]
            with urllib.request.urlopen(f"{address}/models", timeout=10) as reply:
                assert b"scripted-large" in reply.read()
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=10)
        finally:
            process.kill()
    assert first.startswith("The scripted provider answers at http://127.0.0.1:")
    assert errors == ""
    assert process.returncode == 0


def test_a_port_in_use_says_what_to_do() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = click.testing.CliRunner().invoke(command, ["--port", str(port)])
    assert result.exit_code == 1
    assert "choose another with --port" in result.output
