"""Names to deployments: exact, ordered, and never beyond what a key may use."""

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.model.errors import ConfigError, ModelNotAllowed, ModelNotFound, Unsupported
from tidegate.model.provider import Deployment
from tidegate.model.request import Surface
from tidegate.providers.catalog import load
from tidegate.services.deployments import Deployments, alias_problems, configured, fold

ROWS = load()


def deployment(name: str, provider: str, *names: str) -> Deployment:
    return Deployment(
        name=name, provider=provider, model=names[0], names=names, base_url="https://host.invalid/v1"
    )


ALL = (
    deployment("mini-1", "openai", "mini"),
    deployment("big-1", "openai", "gpt-big", "gpt-big-2026"),
    deployment("big-2", "azure", "gpt-big"),
    deployment("claude", "anthropic", "claude-opus"),
    deployment("llama", "openrouter", "meta-llama/llama-3"),
)
ALIASES = {
    "fast": ("mini-1", "big-1"),
    "smart": ("openai/gpt-big", "claude"),
    "small": ("mini",),
    "gpt-big-2026": ("claude",),
}
HERE = Deployments(ROWS, ALL, ALIASES)


def names(found: tuple[Deployment, ...]) -> list[str]:
    return [one.name for one in found]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("mini-1", ["mini-1"]),
        ("mini", ["mini-1"]),
        ("openai/mini", ["mini-1"]),
        ("gpt-big", ["big-1", "big-2"]),  # several deployments keep their order
        ("openai/gpt-big", ["big-1"]),
        ("azure/gpt-big", ["big-2"]),
        ("openai/gpt-big-2026", ["big-1"]),
        ("meta-llama/llama-3", ["llama"]),
        ("openrouter/meta-llama/llama-3", ["llama"]),
        ("fast", ["mini-1", "big-1"]),
        ("smart", ["big-1", "claude"]),
        ("gpt-big-2026", ["claude"]),  # an alias goes before a model of the same name
    ],
)
def test_a_name_leads_to_its_deployments(asked: str, expected: list[str]) -> None:
    assert names(HERE.resolve(asked)) == expected


@pytest.mark.parametrize(
    "asked",
    [
        *("", " ", "min", "minis", "MINI", "mini ", " mini", "mini\n", "mini\x00", "mini\u200b", "m\u0456ni"),
        *("anthropic/mini", "openai/openai/mini", "openai/", "/mini", "openai//mini", "openai/mini-1"),
        *("gpt-5-nano", "claude-haiku-4-5", "gpt-big-2026-01-01", "x" * 100_000),
    ],
)
def test_a_name_that_nothing_has_is_not_found(asked: str) -> None:  # trap K9
    with pytest.raises(ModelNotFound) as caught:
        HERE.resolve(asked)
    assert caught.value.status == 404
    assert caught.value.param == "model"
    assert "GET /v1/models" in str(caught.value)
    assert len(str(caught.value)) < 400
    assert str(caught.value).isprintable()
    assert not [name for name in ("big-1", "claude-opus", "fast") if name in str(caught.value)]


def test_a_key_that_stands_where_the_model_belongs_is_not_repeated() -> None:  # trap V5
    with pytest.raises(ModelNotFound) as caught:
        HERE.resolve("sk-" + "a1b2c3d4" * 3)
    assert "a1b2" not in str(caught.value)


MINI = ("mini",)

FORBIDDEN = [
    "gpt-big",
    "big-1",
    "big-2",
    "openai/gpt-big",
    "azure/gpt-big",
    "openai/gpt-big-2026",
    "gpt-big-2026",
    "fast",
    "smart",
    "claude",
    "anthropic/claude-opus",
    # other spellings
    "GPT-BIG",
    "Gpt-Big",
    "gpt-big ",
    " gpt-big",
    "gpt-big\t",
    "gpt-big\u00a0",
    "gpt-\u200bbig",
    "gpt-big\ufeff",
    "gp\uff54-big",
    "\uff27\uff30\uff34-\uff22\uff29\uff27",
    "gpt-b\u0456g",
    "g\u0440t-big",
    "gpt\u2011big",
    "gpt\u2010big",
    "gpt-bi\u0123",
    "OPENAI/gpt-big",
    "openai/ gpt-big",
    "Smart",
    "\U0001d420pt-big",
]


@pytest.mark.parametrize("asked", FORBIDDEN)
def test_a_limited_key_gets_403_for_every_spelling(asked: str) -> None:  # case 8
    with pytest.raises(ModelNotAllowed) as caught:
        HERE.resolve(asked, allowed=MINI)
    assert caught.value.status == 403


@pytest.mark.parametrize("asked", ["MINI", "mini ", "nothing", "", "gpt-bigger"])
def test_a_limited_key_gets_404_for_what_is_not_forbidden(asked: str) -> None:  # trap K9
    with pytest.raises(ModelNotFound):
        HERE.resolve(asked, allowed=MINI)


@pytest.mark.parametrize(
    ("allowed", "asked", "expected"),
    [
        (None, "gpt-big", ["big-1", "big-2"]),
        (("mini",), "mini", ["mini-1"]),
        (("mini",), "openai/mini", ["mini-1"]),
        (("mini",), "mini-1", ["mini-1"]),
        (("mini",), "small", ["mini-1"]),
        (("openai/mini",), "mini", ["mini-1"]),
        (("gpt-big",), "azure/gpt-big", ["big-2"]),
        (("gpt-big",), "big-2", ["big-2"]),
        (("mini", "big-1"), "fast", ["mini-1", "big-1"]),
        (("fast",), "fast", ["mini-1", "big-1"]),
    ],
)
def test_a_key_may_use_what_its_list_covers(
    allowed: tuple[str, ...] | None, asked: str, expected: list[str]
) -> None:
    assert names(HERE.resolve(asked, allowed=allowed)) == expected


@pytest.mark.parametrize(
    ("allowed", "asked"),
    [
        (("fast",), "gpt-big"),  # an alias covers itself, not what stands behind it
        (("fast",), "mini"),
        (("big-2",), "gpt-big"),  # one of the two is not enough
        (("azure/gpt-big",), "gpt-big"),
        (("gpt-big-2026",), "openai/gpt-big-2026"),  # the alias of that name, not the model
        ((), "mini"),
        (("nothing",), "mini"),
        (("MINI",), "mini"),
    ],
)
def test_a_key_may_not_use_more(allowed: tuple[str, ...], asked: str) -> None:
    with pytest.raises(ModelNotAllowed):
        HERE.resolve(asked, allowed=allowed)


@given(st.text(max_size=40), st.sampled_from([MINI, ("fast",), ("claude", "big-2"), ()]))
def test_no_text_leads_a_key_to_a_deployment_it_may_not_use(asked: str, allowed: tuple[str, ...]) -> None:
    covered = {one.name for entry in allowed for one in HERE.resolve(entry)}
    try:
        found = HERE.resolve(asked, allowed=allowed)
    except (ModelNotFound, ModelNotAllowed):
        return
    assert {one.name for one in found} <= covered


@given(st.sampled_from([*ALIASES, *(name for one in ALL for name in (one.name, *one.names))]), st.randoms())
def test_changed_case_and_blanks_never_resolve(asked: str, random: object) -> None:
    for spelled in (asked.upper(), f"{asked} ", f"\u200b{asked}"):
        with pytest.raises(ModelNotFound):
            HERE.resolve(spelled)


def test_the_list_of_models_is_what_a_key_may_ask_for() -> None:
    assert HERE.models_for(None) == (
        *ALIASES,
        *("mini", "gpt-big", "claude-opus", "meta-llama/llama-3"),
        *("mini-1", "big-1", "big-2", "claude", "llama"),
    )
    assert HERE.models_for(MINI) == ("small", "mini", "mini-1")
    assert HERE.models_for(("fast",)) == ("fast",)
    assert HERE.models_for(()) == ()


@pytest.mark.parametrize(
    ("allowed", "expected"),
    [
        (None, ["mini-1", "big-1", "big-2", "claude", "llama"]),
        ((), []),
        (("mini",), ["mini-1"]),
        (("gpt-big",), ["big-1", "big-2"]),
        (("azure/gpt-big",), ["big-2"]),
        (("fast", "gpt-big-2026"), []),  # aliases cover what they lead to only by their own name
    ],
)
def test_a_key_covers_deployments_as_such(allowed: tuple[str, ...] | None, expected: list[str]) -> None:
    assert [one.name for one in ALL if HERE.covers(one, allowed)] == expected


@pytest.mark.parametrize("allowed", [None, MINI, ("fast",), ("big-2", "claude")])
def test_every_listed_model_resolves(allowed: tuple[str, ...] | None) -> None:
    for name in HERE.models_for(allowed):
        assert HERE.resolve(name, allowed=allowed)


@pytest.mark.parametrize(
    ("asked", "surface", "says"),
    [
        ("claude", "chat", "POST /v1/messages, POST /v1/messages/count_tokens"),
        ("claude", "responses", "Anthropic, which does not speak /v1/responses"),
        ("mini", "messages", "POST /v1/chat/completions"),
        ("mini", "count_tokens", "OpenAI, which does not speak /v1/messages/count_tokens"),
        ("llama", "completions", "'meta-llama/llama-3' runs at OpenRouter"),
    ],
)
def test_another_dialect_is_refused_by_name(asked: str, surface: Surface, says: str) -> None:
    with pytest.raises(Unsupported, match="does not speak") as caught:
        HERE.supports(HERE.resolve(asked)[0], surface)
    assert says in str(caught.value)
    assert caught.value.status == 400


def test_the_same_dialect_passes() -> None:
    HERE.supports(HERE.resolve("claude")[0], "messages")
    HERE.supports(HERE.resolve("mini")[0], "responses")


def test_an_alias_that_leads_nowhere_is_refused() -> None:
    with pytest.raises(ConfigError, match="did you mean 'mini-1'") as caught:
        Deployments(ROWS, ALL, {"a": ("mini", "mini-11")})
    assert caught.value.param == "aliases.a[1]"


def test_an_alias_of_an_alias_is_told() -> None:
    problems = list(alias_problems(ALL, {"a": ("mini",), "b": ("a",)}))
    assert [problem.path for problem in problems] == ["aliases.b[0]"]
    assert "alias cannot lead to an alias" in problems[0].message


def test_an_alias_that_hides_a_model_is_a_warning() -> None:
    warned = {problem.path: problem.level for problem in alias_problems(ALL, ALIASES)}
    assert warned == {"aliases.gpt-big-2026": "warning"}
    assert list(alias_problems(ALL, {"gpt-big": ("big-2", "big-1")})) == []


@pytest.mark.parametrize(
    ("left", "right"),
    [("GPT", "gpt"), ("g\u0440t", "gpt"), (" a\u200bb ", "ab"), ("\uff41", "a"), ("a\u2013b", "a-b")],
)
def test_spellings_fold_together(left: str, right: str) -> None:
    assert fold(left) == fold(right)


TEXT = """\
[[deployments]]
name = "one"
provider = "{provider}"
model = "m"
base_url = "http://127.0.0.1:9/v1"
[aliases]
a = ["{target}"]
"""


def test_a_file_becomes_deployments(tmp_path: Path) -> None:
    path = tmp_path / "tidegate.toml"
    path.write_text(TEXT.format(provider="vllm", target="vllm/m"))
    settings, deployments = configured(path, ROWS)
    assert names(deployments.resolve("a")) == ["one"]
    assert settings.aliases == {"a": ("vllm/m",)}


@pytest.mark.parametrize(
    ("provider", "target", "lines"), [("vlm", "one", [3]), ("vllm", "two", [7]), ("vlm", "two", [3, 7])]
)
def test_a_file_with_problems_is_refused_with_their_lines(
    tmp_path: Path, provider: str, target: str, lines: list[int]
) -> None:
    path = tmp_path / "tidegate.toml"
    path.write_text(TEXT.format(provider=provider, target=target))
    with pytest.raises(ConfigError) as caught:
        configured(path, ROWS)
    found = [int(line.removeprefix(f"{path}:").split(":")[0]) for line in str(caught.value).split("\n")]
    assert found == lines


ANY = Deployments(
    ROWS,
    (deployment("router", "openrouter", "*"), deployment("spare", "openrouter", "*"), ALL[0]),
    {"smart": ("spare/vendor/big", "mini")},
)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("openrouter/vendor/model", [("router", "vendor/model"), ("spare", "vendor/model")]),
        ("spare/vendor/model", [("spare", "vendor/model")]),
        ("smart", [("spare", "vendor/big"), ("mini-1", "mini")]),
    ],
)
def test_a_deployment_of_any_model_takes_the_one_asked_for(
    asked: str, expected: list[tuple[str, str]]
) -> None:
    found = ANY.resolve(asked)
    assert [(one.name, one.model) for one in found] == expected
    assert all((one.price_model or one.model) == one.model for one in found)


@pytest.mark.parametrize(
    "asked", ["*", "router", "vendor/model", "openrouter/", "openrouter", "openai/vendor/model"]
)
def test_any_model_is_not_any_name(asked: str) -> None:  # trap K9
    with pytest.raises(ModelNotFound):
        ANY.resolve(asked)


def test_a_limited_key_reaches_any_model_only_through_what_it_lists() -> None:  # case 8
    assert ANY.resolve("spare/x", ("spare",))
    assert ANY.resolve("spare/x", ("spare/x",))
    for allowed in (("mini",), ("spare/y",), ("*",)):
        with pytest.raises(ModelNotAllowed):
            ANY.resolve("spare/x", allowed)
    assert "*" not in ANY.models_for(None)


@pytest.mark.parametrize(
    ("allowed", "expected"),
    [
        (("openrouter/vendor/m",), True),
        (("spare/vendor/m",), True),
        (("spare",), True),
        (("openrouter",), True),
        (("router/vendor/m", "vendor/m", "openrouter/vendor/x", "smart"), False),
    ],
)
def test_a_key_covers_one_model_of_a_deployment_of_any(allowed: tuple[str, ...], expected: bool) -> None:
    one = msgspec.structs.replace(ANY.all[1], model="vendor/m")
    assert ANY.covers(one, allowed) is expected
