import resource
from pathlib import Path

import pytest

from tidegate.stores.names_spool import MAX_WAITING, Name, NamesSpool, take_names

PEPPER = b"p" * 32
ANNA = Name("acme", "user", "ab12", "anna@example.eu")


def taken(directory: Path, pepper: bytes = PEPPER) -> list[Name]:
    found = []
    for path, names in list(take_names(directory, pepper)):
        found += names
        path.unlink()
    return found


def test_names_arrive_once_and_unreadable_on_the_way(tmp_path: Path) -> None:
    spool = NamesSpool(tmp_path, "boot", PEPPER)
    spool.add(*(getattr(ANNA, field) for field in ANNA.__struct_fields__))
    spool.flush()
    assert b"anna" not in next(tmp_path.iterdir()).read_bytes()
    assert taken(tmp_path) == [ANNA]
    assert taken(tmp_path) == []
    spool.flush()
    assert list(tmp_path.iterdir()) == []


def test_what_is_added_while_names_are_taken_is_not_lost(tmp_path: Path) -> None:
    spool = NamesSpool(tmp_path, "boot", PEPPER)
    spool.add("acme", "user", "1", "one")
    spool.flush()
    taking = take_names(tmp_path, PEPPER)
    path, names = next(taking)
    spool.add("acme", "user", "2", "two")
    spool.flush()
    path.unlink()
    assert [name.plain for name in names] == ["one"]
    assert [name.plain for name in taken(tmp_path)] == ["two"]


def test_a_file_that_was_taken_but_not_stored_is_taken_again(tmp_path: Path) -> None:
    spool = NamesSpool(tmp_path, "boot", PEPPER)
    spool.add("acme", "user", "1", "one")
    spool.flush()
    assert len(list(take_names(tmp_path, PEPPER))) == 1
    assert [name.plain for name in taken(tmp_path)] == ["one"]


def test_cut_and_foreign_lines_are_left_out(tmp_path: Path) -> None:
    spool = NamesSpool(tmp_path, "boot", PEPPER)
    spool.add("acme", "user", "1", "one")
    spool.flush()
    file = next(tmp_path.iterdir())
    file.write_bytes(file.read_bytes() + file.read_bytes()[:20])
    assert len(next(iter(take_names(tmp_path, PEPPER)))[1]) == 1
    assert taken(tmp_path, b"q" * 32) == []


def test_names_that_no_disk_takes_are_bounded(tmp_path: Path) -> None:  # trap V4
    spool = NamesSpool(tmp_path / "missing", "boot", PEPPER)
    for n in range(MAX_WAITING + 3):
        spool.add("acme", "user", str(n), "x")
    with pytest.raises(FileNotFoundError):
        spool.flush()
    assert spool.dropped == 3
    (tmp_path / "missing").mkdir()
    spool.flush()
    assert len(taken(tmp_path / "missing")) == MAX_WAITING


def test_a_line_that_a_full_disk_cuts_is_written_again(tmp_path: Path) -> None:
    spool = NamesSpool(tmp_path, "boot", PEPPER)
    for n in range(50):
        spool.add("acme", "user", str(n), "a name")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        spool.flush()
        with pytest.raises(OSError, match="large"):
            spool.flush()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert next(tmp_path.iterdir()).stat().st_size == 1000
    spool.flush()
    assert {name.pseudonym for name in taken(tmp_path)} == {str(n) for n in range(50)}
