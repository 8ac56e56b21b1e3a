import re

import pytest

from tidegate.config.secret import LOOKS_LIKE_A_KEY
from tidegate.policy.guard_patterns import KINDS, patterns
from tidegate.policy.guard_stream import scan

ALL = patterns(KINDS)
KEY = b"k" * 32
RANDOM = "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6"
AWS = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
HEX = "0123456789abcdef0123456789abcdef"
BLOCK = "-----BEGIN PRIVATE KEY-----\nMIIE+/=\n-----END PRIVATE KEY-----"
UUID = "123e4567-e89b-12d3-a456-426614174000"


def found(text: str) -> list[tuple[str, str]]:
    return [(one.rule, text[one.start : one.end]) for one in scan(text, ALL, digest_key=KEY)]


HITS = [
    ("Mail max.mustermann+a@firma.co.uk.", "email", "max.mustermann+a@firma.co.uk"),
    ("<o'hara@b\u00fccher.de>", "email", "o'hara@b\u00fccher.de"),
    ("mailto:a@b.io?subject", "email", "a@b.io"),
    ("\\nanna@b.de\\u00e9", "email", "anna@b.de"),
    ("call +49 (0)171 123 45 67 now", "phone/international", "+49 (0)171 123 45 67"),
    ("+1 415-555-2671", "phone/international", "+1 415-555-2671"),
    ("0033 6 12 34 56 78", "phone/international", "0033 6 12 34 56 78"),
    ("Tel. 0171 1234567", "phone/national", "0171 1234567"),
    ("Anruf: (030) 123456", "phone/national", "(030) 123456"),
    ("030/1234567", "phone/national", "030/1234567"),
    ("06 12 34 56 78", "phone/national", "06 12 34 56 78"),
    ("m\u00f3vil 612 345 678", "phone/national", "612 345 678"),
    ("cellulare 347 1234567", "phone/national", "347 1234567"),
    ("telefoon 06-12345678", "phone/national", "06-12345678"),
    ("telefonu 512 345 678", "phone/national", "512 345 678"),
    ("Handy 0664 1234567", "phone/national", "0664 1234567"),
    ("GSM 0470 12 34 56", "phone/national", "0470 12 34 56"),
    ("Invoice 12, phone 0171 1234567", "phone/national", "0171 1234567"),
    ("DE89 3704 0044 0532 0130 00", "iban/DE", "DE89 3704 0044 0532 0130 00"),
    ("GB29NWBK60161331926819.", "iban/GB", "GB29NWBK60161331926819"),
    ("NL91 ABNA 0417 1643 00 ok", "iban/NL", "NL91 ABNA 0417 1643 00"),
    ("FR14 2004 1010 0505 0001 3M02 606", "iban/FR", "FR14 2004 1010 0505 0001 3M02 606"),
    ("4111 1111 1111 1111 12/26", "card/visa", "4111 1111 1111 1111"),
    ("5555-5555-5555-4444", "card/mastercard", "5555-5555-5555-4444"),
    ("card 378282246310005", "card/amex", "378282246310005"),
    ("3782 822463 10005", "card/amex", "3782 822463 10005"),
    ("6011111111111117", "card/discover", "6011111111111117"),
    ("30569309025904", "card/diners", "30569309025904"),
    ("3530111333300000", "card/jcb", "3530111333300000"),
    ("Steuer-ID 86095742719", "id/de-tax", "86095742719"),
    ("86 095 742 719", "id/de-tax", "86 095 742 719"),
    ("2 69 05 49 588 157 80", "id/fr-nir", "2 69 05 49 588 157 80"),
    ("DNI 12345678Z", "id/es-dni", "12345678Z"),
    ("X1234567L", "id/es-nie", "X1234567L"),
    ("RSSMRA85T10A562S", "id/it-fiscal-code", "RSSMRA85T10A562S"),
    ("BSN: 111222333", "id/nl-bsn", "111222333"),
    ("PESEL 44051401359", "id/pl-pesel", "44051401359"),
    ("85.07.30-033.28", "id/be-national", "85.07.30-033.28"),
    ("host 192.168.1.10!", "ip/v4", "192.168.1.10"),
    ("at fe80::1ff:fe23:4567:890a", "ip/v6", "fe80::1ff:fe23:4567:890a"),
    (f"sk-{RANDOM}", "key/openai", f"sk-{RANDOM}"),
    (f"sk-ant-api03-{RANDOM}", "key/anthropic", f"sk-ant-api03-{RANDOM}"),
    ("AKIAIOSFODNN7EXAMPLE", "key/aws", "AKIAIOSFODNN7EXAMPLE"),
    (f'aws_secret_access_key="{AWS}"', "key/aws-secret", AWS),
    (f"AZURE_OPENAI_API_KEY: {HEX}", "key/azure", HEX),
    (f"client_secret = '{RANDOM}'", "key/assigned", RANDOM),
    (f"ghp_{RANDOM}{RANDOM[:4]}", "key/github", f"ghp_{RANDOM}{RANDOM[:4]}"),
    (f"github_pat_{RANDOM}", "key/github", f"github_pat_{RANDOM}"),
    (f"xoxb-123456789012-{RANDOM}", "key/slack", f"xoxb-123456789012-{RANDOM}"),
    (f"sk_live_{RANDOM}", "key/stripe", f"sk_live_{RANDOM}"),
    (f"AIza{RANDOM}_x-", "key/google", f"AIza{RANDOM}_x-"),
    (f"hf_{RANDOM}", "key/hugging-face", f"hf_{RANDOM}"),
    ("postgres://me:hunter2@db.example.com/x", "key/in-link", "hunter2"),
    (f"{BLOCK} x", "key/private-key", BLOCK),
    ("-----BEGIN RSA PRIVATE KEY-----\nMIIE", "key/private-key", "-----BEGIN RSA PRIVATE KEY-----\nMIIE"),
]  # fmt: skip

MISSES = [
    "@pytest.mark and a@b and a@b..de",
    "icon@2x.png",
    "Invoice 0171 1234567",
    "Rechnung Nr. 030 1234567",
    "call me at 10.24 or 123",
    "created_at 2024-05-24T21:02:01.470509Z",
    "queue_time: 0.033272799",
    "+10 000 000 euro",
    "DE89 3704 0044 0532 0130 01",
    "DE89 3704 0044 0532 0130 00X",
    "XX89370400440532013000",
    "4111 1111 1111 1112",
    "4111 1111 1111 1111 1111",
    "1111 4111 1111 1111 1111",
    "order 4111111111111111",
    "https://x.test/status/4111111111111111",
    "1716584521470 1716584521470509",
    UUID,
    "0.4111111111111111",
    "4111111111111111.5",
    "8609574271",
    "the number 86095742719",
    "Steuer-ID 86095742710",
    "2 69 13 49 588 157 80",
    "12345678Z",
    "DNI 12345678A",
    "RSSMRA85T10A562A",
    "111222333",
    "PESEL 44051401358",
    "999.1.1.1 and 1.2.3",
    "12:34:56 std::vector",
    "sk-learn-classifier-module",
    "sk-xxxxxxxxxxxxxxxxxxxxxxxx",
    f"task-{RANDOM}",
    "api_key = your_api_key_goes_here",
    f'"key": "{UUID}"',
    f'"next_page_token": "{RANDOM}"',
    "max_tokens=12345678901234567890",
    "-----BEGIN CERTIFICATE-----",
]


@pytest.mark.parametrize(
    ("text", "rule", "value"), HITS, ids=[f"{rule}-{at}" for at, (_, rule, _) in enumerate(HITS)]
)
def test_is_found_alone_and_whole(text: str, rule: str, value: str) -> None:
    assert found(text) == [(rule, value)]


@pytest.mark.parametrize("text", MISSES)
def test_is_passed_over(text: str) -> None:
    assert found(text) == []


@pytest.mark.parametrize(
    ("text", "rule", "value"), HITS, ids=[f"{rule}-{at}" for at, (_, rule, _) in enumerate(HITS)]
)
def test_one_changed_digit_of_a_checksum_is_no_match(text: str, rule: str, value: str) -> None:
    if not rule.startswith(("iban/", "card/", "id/")):
        assert rule.partition("/")[0] in {"email", "phone", "ip", "key"}
        return
    at = max(index for index, char in enumerate(value) if char.isdigit())
    changed = value[:at] + str((int(value[at]) + 1) % 10) + value[at + 1 :]
    assert (rule, changed) not in found(text.replace(value, changed))


KNOWN_KEYS = [
    f"sk-{RANDOM}", f"gsk_{RANDOM}", f"xai-{RANDOM}", f"hf_{RANDOM}", f"csk-{RANDOM}", f"fw_{RANDOM}",
    f"tgp_v1_{RANDOM}", f"AIza{RANDOM}", "AKIAIOSFODNN7EXAMPLE", f"gho_{RANDOM}", f"tg_{RANDOM[:8]}_{RANDOM}",
    f"Bearer {RANDOM}", f"whsec_{RANDOM}", f"https://hooks.slack.com/services/T0AB1CD2E/B3FG4HI5J/{RANDOM}",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0", "-----BEGIN EC PRIVATE KEY-----",
]  # fmt: skip


@pytest.mark.parametrize("text", KNOWN_KEYS)
def test_what_the_configuration_takes_for_a_key_the_guard_does_too(text: str) -> None:  # case 41
    assert LOOKS_LIKE_A_KEY.match(text)
    assert [rule.partition("/")[0] for rule, _ in found(text)] == ["key"]


def test_every_form_that_the_configuration_knows_is_among_these() -> None:
    forms = re.split(r"\n\s+\| ", LOOKS_LIKE_A_KEY.pattern)
    assert len(forms) == len(KNOWN_KEYS)


def test_a_hidden_or_full_width_character_hides_nothing() -> None:  # case 29
    text = "max\u200b@fir\u00adma.de \uff44@\uff45.de DE89\u00a03704\u202f0044\u00a00532\u00a00130\u00a000"
    assert [rule for rule, _ in found(text)] == ["email", "email", "iban/DE"]
    assert found(text)[0][1] == "max\u200b@fir\u00adma.de"
