"""A company's network: which proxies and authorities the machine has, and where they come from."""

from __future__ import annotations

import json
from typing import Final

from backend.agent.boot import corporate_network, images
from backend.agent.boot.corporate_network import CorporateNetworkRecord
from backend.doctor.check import Check, CheckOutcome, note, ok, warning
from backend.doctor.subject import Subject
from backend.errors import WherryError
from backend.messages import Message, count_message, message, sentences
from backend.settings import config as settings
from backend.vm import image
from backend.vm.spec import UserNetwork

_GROUP: Final = message("Network")
_MOST_NAMES: Final = 5


def _in_force(subject: Subject) -> CorporateNetworkRecord | None:
    """What the running machine was given; None when none runs, or that was not noted."""
    return corporate_network.load_record(subject.directory.used_corporate_network) if subject.qemu_runs else None


def _present(subject: Subject) -> CorporateNetworkRecord:
    """What it would be given now, from here."""
    try:
        known = image.read_facts(images.directory_of(subject.config, subject.host, subject.directory)).authorities
    except WherryError:
        known = frozenset()  # that there is no image is told elsewhere
    options = settings.daemon_options(subject.directory.daemon_json)
    return corporate_network.examine(
        subject.config.network, subject.host, options=options, network=UserNetwork(), known=known
    ).record


def _proxies(subject: Subject) -> CheckOutcome:
    used, present = _in_force(subject), _present(subject)
    shown = used or present
    text = _proxies_in_words(shown)
    if used is not None and (used.http, used.https) != (present.http, present.https):
        changed = message(
            "The machine was started with other proxies: {text} Current proxies: {present}",
            text=text,
            present=_proxies_in_words(present),
        )
        return warning(changed, message("To apply the current ones: wherry stop --quit, then wherry start"))
    if shown.proxy_notes:
        return warning(sentences(text, *shown.proxy_notes))
    if shown.http and not shown.https:
        return note(
            sentences(text, message("HTTPS connections to registries don't use a proxy.")),
            message("If pulls need the proxy, set it for HTTPS too (HTTPS_PROXY or network.https_proxy)."),
        )
    return ok(text)


def _proxies_in_words(record: CorporateNetworkRecord) -> Message:
    source = record.proxies_from
    if not record.http and not record.https:
        return message("None (set by {source}).", source=source) if source else message("None.")
    if record.http == record.https:
        urls = record.http
    else:
        urls = ", ".join(f"{kind}: {url}" for kind, url in (("HTTP", record.http), ("HTTPS", record.https)) if url)
    return sentences(
        message("{proxies}, from {source}.", proxies=urls, source=source),
        message("Exceptions: {names}.", names=tuple(record.no_proxy)) if record.no_proxy else None,
        message("Containers and builds use it too.") if record.proxies_in_containers else None,
    )


def _certificates(subject: Subject) -> CheckOutcome:
    record = _in_force(subject) or _present(subject)
    if subject.config.network.certificates == "none" and not record.authorities:
        return ok(message("The engine trusts only the authorities in its image, as set in the settings."))
    text = sentences(
        _authorities_in_words(record),
        message("Source: {names}.", names=tuple(record.authorities_from)) if record.authorities_from else None,
        message("Containers and builds trust them too.") if record.authorities_in_containers else None,
        message("Registries with their own certificates: {names}.", names=tuple(record.registries))
        if record.registries
        else None,
        *record.certificate_notes,
    )
    if any(sign in str(one) for sign in ("can't be read", "left out", "skipped") for one in record.certificate_notes):
        return warning(text)
    return note(text) if record.certificate_notes else ok(text)


def _authorities_in_words(record: CorporateNetworkRecord) -> Message:
    count = len(record.authorities)
    if not count:
        return message("This computer trusts no authorities beyond those in the image.")
    names = ", ".join(record.authorities[:_MOST_NAMES]) + (", …" if count > _MOST_NAMES else "")
    return count_message(
        "{count} additional authority from this computer: {names}.",
        "{count} additional authorities from this computer: {names}.",
        count,
        names=names,
    )


def _unreadable_inputs(subject: Subject) -> Message | None:
    """Settings that cannot be read are told of by their own check."""
    try:
        settings.daemon_options(subject.directory.daemon_json)
        return None if subject.config else message("the settings can't be read")
    except (WherryError, json.JSONDecodeError):
        return message("the settings can't be read")


CHECKS: Final = (
    Check(
        id="proxies",
        title=message("Proxies"),
        group=_GROUP,
        explanation=message("On many company networks, image pulls time out without a proxy."),
        look=_proxies,
        lacks=_unreadable_inputs,
    ),
    Check(
        id="certificates",
        title=message("Certificate authorities"),
        group=_GROUP,
        explanation=message(
            "A proxy or registry with a company certificate is rejected unless its authority is trusted."
        ),
        look=_certificates,
        lacks=_unreadable_inputs,
    ),
)
