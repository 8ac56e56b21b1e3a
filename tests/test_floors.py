"""What a process imports, and what the pure floors do without. The floors' order is import-linter's."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "tidegate"

DRIVERS = {"apsw", "sqlite3", "asyncpg", "psycopg", "redis"}
CONTROL_ONLY = {"starlette", "rich", "tidegate.control", "tidegate.stores.sqlite", "tidegate.upstream"}
EXTRAS = {"openai", "anthropic", "xllamacpp", "genai_prices", "pydantic", "httpx2", "numpy"}
UNCHOSEN = {"aiohttp", "tidegate.providers.aiohttp_transport"}
"""The transport that the configuration has to ask for."""
WHEN_COUNTING = {"tiktoken", "regex", "requests", "tidegate.services.encodings"}
"""What the first exact count of tokens loads (decision 019)."""
IMPURE = {
    "asyncio",
    "logging",
    "os",
    "random",
    "secrets",
    "socket",
    "subprocess",
    "tempfile",
    "threading",
    "time",
    "uuid",
}
MARK = "modules:"
PURE_FLOORS = ("model", "wire", "policy")
CLOCKS = {"now", "today", "utcnow"}


def loaded(program: str) -> set[str]:
    """The modules that a new interpreter has loaded after a program."""
    script = f"import sys\n{program}\nprint(MARK, *sys.modules)".replace("MARK", repr(MARK))
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.rpartition(MARK)[2].split())


@pytest.fixture(scope="module")
def gateway() -> set[str]:
    """What a gateway process has loaded before its first request: its command, then its wiring."""
    return loaded(
        "import tidegate.cli.serve\nimport uvloop\nimport tidegate.wiring\nimport tidegate.gateway.server"
    )


@pytest.mark.parametrize(
    "forbidden",
    [DRIVERS, CONTROL_ONLY, EXTRAS, UNCHOSEN, WHEN_COUNTING],
    ids=["drivers", "control", "extras", "unchosen", "counting"],
)
def test_a_gateway_process_loads_none_of(forbidden: set[str], gateway: set[str]) -> None:  # trap V1
    assert forbidden & gateway == set()


def test_the_data_path_alone_needs_no_command_line() -> None:
    assert {"rich", "tidegate.cli"} & loaded("import tidegate.wiring") == set()


def test_help_loads_no_job() -> None:
    modules = loaded("from tidegate.cli import main\nmain(['--help'], standalone_mode=False)")
    assert {name for name in modules if name.startswith("tidegate.") and name != "tidegate.cli"} == set()


def pure_modules() -> list[str]:
    return [
        path.relative_to(PACKAGE).as_posix()
        for floor in PURE_FLOORS
        for path in (PACKAGE / floor).rglob("*.py")
    ]


@pytest.mark.parametrize("module", sorted(pure_modules()))
def test_a_pure_floor_waits_for_nothing_and_asks_nobody(module: str) -> None:
    tree = ast.parse((PACKAGE / module).read_text(encoding="utf-8"))
    found: list[str] = []
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                found += [one.name for one in names if one.name.split(".")[0] in IMPURE]
            case ast.ImportFrom(module=str(origin)) if origin.split(".")[0] in IMPURE:
                found.append(origin)
            case ast.AsyncFunctionDef() | ast.Await() | ast.AsyncFor() | ast.AsyncWith():
                found.append("await")
            case ast.Call(func=ast.Attribute(attr=attr)) if attr in CLOCKS:
                found.append(attr)
            case _:
                pass
    assert found == []
