"""Words in a language: which one, what is filled in, and what happens where there is none."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from backend import texts
from backend.messages import Message, count_message, message, message_in, verbatim
from backend.texts import _, choose_language, language_of, ngettext, pgettext, say


@pytest.fixture(autouse=True)
def english_afterwards() -> Iterator[None]:
    yield
    choose_language("en")


@pytest.mark.parametrize(
    ("locale_name", "code"),
    [
        *(("pt_BR.UTF-8", "pt"), ("pt-PT", "pt"), ("pt", "pt"), ("pt_BR.ISO-8859-1", "pt"), ("pt_BR@euro", "pt")),
        *(("en-GB", "en"), ("tlh_QO", "en"), ("C", "en"), ("", "en"), ("C.UTF-8", "en"), ("../../etc", "en")),
    ],
)
def test_the_language_of_a_locale(locale_name: str, code: str) -> None:
    assert choose_language(locale_name) == code


@pytest.mark.parametrize(
    ("environment", "locale_name"),
    [
        ({}, "C"),
        ({"LANG": "pt_BR.UTF-8"}, "pt_BR.UTF-8"),
        ({"LANG": "pt_BR.UTF-8", "LC_MESSAGES": "en_US"}, "en_US"),
        ({"LANG": "pt_BR.UTF-8", "LC_ALL": "C"}, "C"),
        ({"LANG": "en_US.UTF-8", "LC_ALL": "", "LANGUAGE": "pt_BR:en"}, "pt_BR"),
        ({"LANG": "C.UTF-8", "LANGUAGE": "pt_BR"}, "C"),
    ],
)
def test_what_an_environment_asks_for(environment: dict[str, str], locale_name: str) -> None:
    assert language_of(environment) == locale_name


def test_texts_are_translated_and_filled() -> None:
    assert _("Cancel") == "Cancel"
    choose_language("pt")
    assert _("Cancel") == "Cancelar"
    assert _("Open {url} in your browser", url="http://localhost") == "Abrir http://localhost no navegador"
    assert pgettext("machine", "Stopped") == "Parada"
    assert pgettext("container", "Stopped") == "Parado"


def test_numbers_of_things_follow_the_language() -> None:
    def counted(count: int) -> str:
        return ngettext("{count} container", "{count} containers", count)

    assert [counted(count) for count in (0, 1, 2)] == ["0 containers", "1 container", "2 containers"]
    choose_language("pt")
    assert [counted(count) for count in (0, 1, 2)] == ["0 contêiner", "1 contêiner", "2 contêineres"]


def test_numbers_have_the_signs_of_the_language() -> None:
    words = message("{share:.1f} of {all:,}", share=1.25, all=12_000)
    assert say(words) == "1.2 of 12,000"
    choose_language("pt")
    assert say(words) == "1,2 of 12.000", "a text without a translation is English"


def test_a_message_is_english_for_logs_and_words_for_people() -> None:
    reason = message("Not available now")
    words = message("Not available now: {title}", title=reason)
    assert str(words) == "Not available now: Not available now"
    choose_language("pt")
    assert say(words) == "Indisponível no momento: Indisponível no momento"
    assert str(words) == "Not available now: Not available now"


def test_a_message_may_be_counted_or_have_a_context() -> None:
    choose_language("pt")
    assert say(count_message("{count} container", "{count} containers", 2)) == "2 contêineres"
    assert say(message_in("machine", "Stopped")) == "Parada"


def test_parts_are_said_one_after_the_other() -> None:
    assert say(message("Needs {what}", what=("a disk", message("a network")))) == "Needs a disk, a network"


def test_foreign_words_stay_as_they_are() -> None:
    choose_language("pt")
    assert say(verbatim("Cancel {braces} 100%")) == "Cancel {braces} 100%"
    assert say(message("{what}", what="{0} {x.y}")) == "{0} {x.y}"


@pytest.mark.parametrize(
    "broken", [Message("{missing} thing", {"other": 1}), Message("{0}", {"a": 1}), Message("{", {"a": 1})]
)
def test_a_message_that_does_not_fit_is_said_as_far_as_it_can_be(broken: Message) -> None:
    assert say(broken) == broken.text
    assert str(broken) == broken.text


def test_messages_travel() -> None:
    words = message("{a} {b} {c:.1f} {d} {e}", a="x", b=1, c=2.5, d=message("in {z}", z=1), e=("q", message("r")))
    again = msgspec.json.decode(msgspec.json.encode(words), type=Message)
    assert again == words
    assert hash(again) == hash(words)
    assert str(again) == "x 1 2.5 in 1 q, r"


@pytest.mark.expect_log("texts stay English")
def test_a_damaged_catalogue_leaves_english(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "pt_BR/LC_MESSAGES/wherry.mo"
    broken.parent.mkdir(parents=True)
    broken.write_bytes(b"\xde\x12\x04\x95 not a catalogue")
    monkeypatch.setattr(texts, "_FOLDER", tmp_path)
    assert choose_language("pt") == "pt"
    assert _("Cancel") == "Cancel"
    shutil.rmtree(tmp_path / "pt_BR")
    assert choose_language("pt") == "pt"
    assert _("Cancel") == "Cancel"
