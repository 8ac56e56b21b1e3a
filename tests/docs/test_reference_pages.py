"""The reference names everything there is: routes, headers, error codes; its made pages are current."""

import inspect
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.docs.pages import ROOT
from tidegate.control import admin
from tidegate.gateway import paths
from tidegate.model import errors
from tidegate.model.identity import ATTRIBUTES

HTTP = (ROOT / "docs/reference/http.md").read_text(encoding="utf-8")
NOT_FOR_CLIENTS = {"invalid_configuration"}


def kinds(root: type[errors.TidegateError]) -> Iterator[type[errors.TidegateError]]:
    yield root
    for kind in root.__subclasses__():
        if kind.__module__ == errors.__name__:
            yield from kinds(kind)


def test_made_pages_are_current() -> None:
    check = [sys.executable, str(ROOT / "tools/reference.py"), "--check"]
    done = subprocess.run(check, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.parametrize("path", [*paths.SURFACES, *paths.PAGES])
def test_every_route_is_documented(path: str) -> None:
    assert f"`{path}`" in HTTP


def test_every_route_of_the_control_process_is_documented() -> None:
    routes = re.findall(r'Route\("([^"]+)"', inspect.getsource(admin.Admin.app))
    assert len(routes) > 8
    assert [route for route in routes if f" {route}`" not in HTTP] == []


@pytest.mark.parametrize("header", [*(f"tidegate-{name}" for name in ATTRIBUTES), "tidegate-tags", "baggage"])
def test_every_attribution_header_is_documented(header: str) -> None:
    assert f"`{header}`" in HTTP


def test_every_error_code_is_documented_with_its_status() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| (\d{3}) \|", HTTP, re.MULTILINE))
    wanted = {kind.code: str(kind.status) for kind in kinds(errors.TidegateError)}
    wanted |= {"expired_api_key": "401", "revoked_api_key": "401"}
    wanted = {code: status for code, status in wanted.items() if code not in NOT_FOR_CLIENTS}
    assert rows == wanted
