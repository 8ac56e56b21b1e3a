import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tidegate.stores.layout import Layout
from tidegate.stores.sqlite.names import MOST_BYTES, NAMES, Names


@pytest.fixture
def names(tmp_path: Path) -> Iterator[Names]:
    with Names.open(tmp_path) as opened:
        yield opened


def test_a_name_comes_back_for_its_tenant_and_kind_alone(names: Names) -> None:
    names.put("acme", "customer", "p1", "Müller & Söhne")
    assert names.get("acme", "customer", "p1") == "Müller & Söhne"
    assert names.get("other", "customer", "p1") is None
    assert names.get("acme", "user", "p1") is None


def test_the_first_name_stays(names: Names) -> None:
    names.put("acme", "customer", "p1", "first")
    names.put("acme", "customer", "p1", "second")
    assert names.get("acme", "customer", "p1") == "first"


def test_an_erased_subject_is_gone_from_the_files(names: Names, tmp_path: Path) -> None:
    names.put("acme", "customer", "p1", "Müller")
    names.put("acme", "customer", "p2", "Rossi")
    key = names._key("acme", "p1")
    wrapped = names._one("SELECT wrapped FROM subject_key WHERE pseudonym = ?", ("p1",))
    sealed = names._one("SELECT ciphertext FROM name WHERE pseudonym = ?", ("p1",))
    assert key
    assert wrapped
    assert sealed
    assert names.erase("acme", "p1")
    assert names.get("acme", "customer", "p1") is None
    assert names.get("acme", "customer", "p2") == "Rossi"
    left = b"".join(path.read_bytes() for path in tmp_path.glob(f"{NAMES}*"))
    assert wrapped not in left
    assert sealed not in left


def test_erasing_nobody_says_so(names: Names) -> None:
    assert not names.erase("acme", "nobody")


def test_an_erased_subject_can_come_again_under_a_new_key(names: Names) -> None:
    names.put("acme", "customer", "p1", "Müller")
    before = names._key("acme", "p1")
    names.erase("acme", "p1")
    names.put("acme", "customer", "p1", "Müller")
    assert names.get("acme", "customer", "p1") == "Müller"
    assert names._key("acme", "p1") != before


def test_no_name_stands_in_plain_text_on_disk(names: Names, tmp_path: Path) -> None:
    names.put("acme", "customer", "p1", "Unmistakable GmbH")
    files = b"".join(path.read_bytes() for path in tmp_path.iterdir() if path.is_file())
    assert b"Unmistakable" not in files


def test_a_ciphertext_moved_to_another_row_does_not_open(names: Names) -> None:
    names.put("acme", "customer", "p1", "Müller")
    names.put("acme", "user", "p1", "Anna")
    moved = names._one("SELECT ciphertext FROM name WHERE kind = 'customer'", ())
    names._store.write("UPDATE name SET ciphertext = ? WHERE kind = 'user'", [(moved,)])
    assert names.get("acme", "user", "p1") is None


def test_names_of_another_pepper_are_unknown_not_an_error(names: Names, tmp_path: Path) -> None:
    names.put("acme", "customer", "p1", "Müller")
    other = tmp_path / "other"
    other.mkdir()
    shutil.copy(tmp_path / NAMES, other / NAMES)
    shutil.copy(tmp_path / f"{NAMES}-wal", other / f"{NAMES}-wal")
    with Names.open(other) as opened:
        assert opened.get("acme", "customer", "p1") is None


def test_a_long_name_is_cut(names: Names) -> None:
    names.put("acme", "customer", "p1", "x" * 5000)
    assert names.get("acme", "customer", "p1") == "x" * MOST_BYTES


def test_reading_where_no_name_was_kept_makes_nothing(tmp_path: Path) -> None:
    assert Names.open_read_only(tmp_path) is None
    assert list(tmp_path.iterdir()) == []
    Names.open(tmp_path).close()
    reader = Names.open_read_only(tmp_path)
    assert reader is not None
    assert reader.get("acme", "customer", "p1") is None
    reader.close()
    assert Layout(tmp_path).pepper.exists()
