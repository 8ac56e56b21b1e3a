"""How many files a gateway may open; in a process of its own, for a limit lowered is not raised again."""

import subprocess
import sys

import pytest

from tidegate.gateway.descriptors import OWN, wanted

PROGRAM = """
import logging, resource, sys
from tidegate.gateway.descriptors import raise_limit
logging.basicConfig(stream=sys.stdout, format="%(message)s")
soft, hard, connections = map(int, sys.argv[1:])
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
print(raise_limit(connections), resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""


def limits(soft: int, hard: int, connections: int) -> str:
    command = [sys.executable, "-c", PROGRAM, str(soft), str(hard), str(connections)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_limit_is_raised_to_what_the_connections_need() -> None:
    assert limits(200, 2000, 400) == f"{wanted(400)} {wanted(400)}\n"


def test_limit_that_is_enough_stays() -> None:
    assert limits(1500, 2000, 400) == "1500 1500\n"


@pytest.mark.parametrize("hard", [600, OWN + 1])
def test_what_the_system_does_not_allow_is_said(hard: int) -> None:  # case 19
    said, _, last = limits(200, hard, 400).rstrip().rpartition("\n")
    assert last == f"{hard} {hard}"
    assert f"{hard} open files are allowed, 400 connections need {wanted(400)}" in said
    assert f"server.max_connections to {max(1, (hard - OWN) // 2)}" in said
