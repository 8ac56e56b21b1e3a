from tidegate.model.identity import Attribution, Key
from tidegate.services.pseudonyms import Pseudonyms

PEPPER = b"p" * 32


def test_equal_names_of_one_tenant_are_equal_and_of_two_are_not() -> None:
    names = Pseudonyms(PEPPER)
    assert names.of("a", "user", "anna") == names.of("a", "user", "anna")
    assert names.of("a", "user", "anna") != names.of("b", "user", "anna")
    assert names.of("a", "user", "anna") != names.of("a", "customer", "anna")
    assert names.of("a", "user", "") == ""


def test_no_name_of_a_person_stays_in_the_record() -> None:
    labels = Attribution(
        feature="search",
        customer="Müller GmbH",
        user="anna@example.eu",
        session="s-77",
        tags=(("plan", "gold"),),
    )
    who = Pseudonyms(PEPPER).who(Key(id="k", mac="", tenant="acme"), labels)
    assert not {"Müller GmbH", "anna@example.eu", "s-77", "gold"} & set(str(who).replace("'", '"').split('"'))
    assert (who.feature, list(who.tags)) == ("search", ["plan"])


def test_each_name_is_announced_once() -> None:
    told: list[tuple[str, str, str, str]] = []
    names = Pseudonyms(PEPPER, lambda *name: told.append(name))
    pseudonym = names.of("a", "user", "anna")
    names.of("a", "user", "anna")
    assert told == [("a", "user", pseudonym, "anna")]
