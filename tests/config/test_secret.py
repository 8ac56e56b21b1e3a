"""Secrets are read where the configuration says, and never shown."""

from pathlib import Path

import pytest

from tidegate.config.secret import LOOKS_LIKE_A_KEY, Secret
from tidegate.model.errors import ConfigError

VALUE = "not-for-anybody-0123456789"


def test_a_secret_comes_from_the_environment() -> None:
    assert Secret(env="K").resolve({"K": f" {VALUE}\n"}) == VALUE


def test_a_secret_comes_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text(VALUE + "\n")
    assert Secret(file=str(path)).resolve({}) == VALUE


@pytest.mark.parametrize(
    ("value", "says"),
    [("", "is empty"), ("  \n", "is empty"), (f"{VALUE}\r\nx: y", "one key"), (f"{VALUE}\u00e9", "one key")],
)
def test_what_cannot_stand_in_a_header_is_refused_without_showing_it(value: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says) as caught:
        Secret(env="K").resolve({"K": value})
    assert VALUE not in str(caught.value)
    assert "variable K" in str(caught.value)


def test_a_missing_variable_and_a_missing_file_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="K is not set"):
        Secret(env="K").resolve({})
    with pytest.raises(ConfigError, match="cannot be read"):
        Secret(file=str(tmp_path / "none")).resolve({})


def test_a_large_file_is_no_key(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_bytes(b"x" * 65_537)
    with pytest.raises(ConfigError, match="larger than"):
        Secret(file=str(path)).resolve({})


def test_a_file_that_everybody_may_read_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text(VALUE)
    path.chmod(0o644)
    assert Secret(file=str(path)).readable_by_others()
    path.chmod(0o640)
    assert not Secret(file=str(path)).readable_by_others()
    assert not Secret(env="K").readable_by_others()


@pytest.mark.parametrize("secret", [Secret(env="K"), Secret(file="/a:b/c")])
def test_a_reference_leads_back_to_its_secret(secret: Secret) -> None:
    assert Secret.of_ref(secret.ref) == secret


def test_the_empty_reference_is_no_secret() -> None:
    assert Secret.of_ref("") is None


@pytest.mark.parametrize(
    "text",
    [
        "sk-proj-abcdefghijklmnop",
        "sk-ant-api03-abcdefghijk",
        "sk-or-v1-0123456789abcdef",
        "gsk_0123456789abcdefABCD",
        "xai-0123456789abcdefABCD",
        "hf_0123456789abcdefABCD",
        "Bearer abcdefghijklmnop1234",
        "AKIAIOSFODNN7EXAMPLE",
        "tg_k1_0123456789abcdefgh_ab",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.x",
    ],
)
def test_keys_of_providers_are_recognised(text: str) -> None:
    assert LOOKS_LIKE_A_KEY.search(f'key = "{text}"')


@pytest.mark.parametrize(
    "text",
    [
        "sk-",
        "gpt-5-mini-2026-01-01",
        "task-force-of-the-company-x",
        "OPENAI_API_KEY",
        "meta-llama/Llama-3.3-70B",
    ],
)
def test_names_of_models_are_no_keys(text: str) -> None:
    assert not LOOKS_LIKE_A_KEY.search(text)
