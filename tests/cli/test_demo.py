import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tidegate.cli.demo.audit import audit
from tidegate.cli.demo.provider import answers
from tidegate.config.load import load
from tidegate.stores.sqlite.store import DATABASE, Store

DEMO = [sys.executable, "-m", "tidegate", "demo"]
LIMIT_S = 120.0
OUR_KEY = "sk-ant-of-the-user"


@pytest.fixture(scope="module")
def short_folder() -> Iterator[Path]:
    """A directory whose path is short enough for a Unix socket, also on macOS."""
    folder = Path(tempfile.mkdtemp(prefix="tg", dir="/tmp")).resolve()
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def environment(folder: Path) -> dict[str, str]:
    """No model in the cache, no index to download it from, and a user with keys and a proxy of their own."""
    return {
        **os.environ,
        "TMPDIR": str(folder),
        "XDG_CACHE_HOME": str(folder / "cache"),
        "HOME": str(folder),
        "PIP_NO_INDEX": "1",
        "PIP_CONFIG_FILE": os.devnull,
        "ANTHROPIC_AUTH_TOKEN": OUR_KEY,
        "OPENAI_BASE_URL": "http://127.0.0.1:9/v1",
        "HTTP_PROXY": "http://127.0.0.1:9",
        "ALL_PROXY": "http://127.0.0.1:9",
    }


@dataclass(frozen=True)
class Run:
    status: int
    out: str
    err: str
    folder: Path


@pytest.fixture(scope="module")
def run(short_folder: Path) -> Run:
    """One whole demo on the scripted provider, checked by itself; its directory is kept."""
    folder = short_folder / "demo"
    done = subprocess.run(
        [*DEMO, "--scripted", "--check", "--dir", str(folder)],
        env=environment(short_folder),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    return Run(done.returncode, done.stdout, done.stderr, folder)


def test_every_call_is_in_the_report_and_the_report_is_what_the_rows_say(run: Run) -> None:
    assert (run.status, run.err) == (0, ""), run.out
    assert "22 calls sent, 22 recorded, each ended as the client saw it" in run.out


def test_without_a_model_it_says_so_at_the_top_and_over_the_report(run: Run) -> None:
    lines = run.out.splitlines()
    assert any(line.startswith("  model ") and "not a language model" in line for line in lines)
    assert any(line.startswith("What each feature cost") and "not a language model" in line for line in lines)


def test_an_application_without_headers_is_named_afterwards(run: Run) -> None:
    before, _, after = run.out.partition("$ tidegate features name")
    assert re.search(r"^auto-[0-9a-f]+ ", before, re.MULTILINE)
    assert re.search(r"^marketing +blurbs +7 ", after, re.MULTILINE)


def test_prices_are_marked_as_an_illustration(run: Run) -> None:
    settings = load(run.folder / "tidegate.toml")
    assert all(row.price is not None and row.price.illustration for row in settings.deployments)
    assert [fx.source for fx in settings.prices.fx] == ["illustration"]
    assert "prices for illustration" in run.out


def test_nothing_of_the_users_credentials_is_written(run: Run) -> None:
    written = [path for path in run.folder.rglob("*") if path.is_file()]
    assert written
    assert not any(OUR_KEY.encode() in path.read_bytes() for path in written)


def test_nothing_is_left_running(run: Run) -> None:
    found = re.search(r"gateway +(http://\S+)", run.out)
    assert found is not None
    assert not answers(f"{found[1]}/healthz")


def test_a_changed_cell_or_row_is_found(run: Run) -> None:
    state = run.folder / "state"
    printed = run.out.partition("$ tidegate features name")[0].partition("$ tidegate report")[2]
    assert not [one for one in audit(state, [], printed, "").differences if "printed" in one]
    wrong = re.sub(r"(?m)^(TOTAL +)22 ", r"\g<1>23 ", printed)
    assert any("TOTAL is printed as" in one for one in audit(state, [], wrong, "").differences)
    with Store.open(state / DATABASE) as store:
        store.write("UPDATE attempt SET cost_nano = cost_nano + 1000000 WHERE output_text > ?", [(0,)])
    found = audit(state, [], printed, "").differences
    assert any("by its tokens" in one for one in found)
    assert any("is printed as EUR" in one for one in found)


def test_offline_it_goes_on_scripted_and_sigterm_ends_it_all(short_folder: Path) -> None:
    process = subprocess.Popen(
        DEMO, env=environment(short_folder), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    seen = ""
    with process.stdout as out:
        for line in out:
            seen += line
            if line.startswith("Three applications"):
                process.send_signal(signal.SIGTERM)
                break
        out.read()
    assert process.wait(LIMIT_S) == 128 + signal.SIGTERM
    assert "no language model" in seen
    assert "the scripted provider, not a language model" in seen
    gateway = re.search(r"gateway +(http://\S+)", seen)
    assert gateway is not None
    assert not answers(f"{gateway[1]}/healthz")
    assert not list(short_folder.glob("tidegate-*"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--require-model"], "cannot be downloaded|xllamacpp"),
        (["--scripted", "--large", "/no/such.gguf"], "--large: /no/such.gguf cannot be read"),
        (["--scripted", "--large", "http://127.0.0.1:9/v1"], "names no model"),
        (["--scripted", "--dir", "/dev"], "not empty"),
        (["--scripted", "--dir", "/tmp/" + "x" * 100], "too long a path"),
        (["--scripted", "--require-model"], "exclude each other"),
    ],
)
def test_what_cannot_work_is_said_in_words(short_folder: Path, arguments: list[str], message: str) -> None:
    done = subprocess.run(
        [*DEMO, *arguments],
        env=environment(short_folder),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    shutil.rmtree("/tmp/" + "x" * 100, ignore_errors=True)
    assert done.returncode in (1, 2)
    assert re.search(message, done.stderr)
    assert "Traceback" not in done.stderr
    assert not list(short_folder.glob("tidegate-*"))
