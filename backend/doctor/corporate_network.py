"""A company's network: which proxies and authorities the machine has, and where they come from."""

from __future__ import annotations

import json
from typing import Final

from backend.agent.boot import corporate_network, images
from backend.agent.boot.corporate_network import CorporateNetworkRecord
from backend.doctor.check import Check, CheckOutcome, note, ok, warning
from backend.doctor.subject import Subject
from backend.errors import WherryError
from backend.settings import config as settings
from backend.vm import image
from backend.vm.spec import UserNetwork

_GROUP: Final = "Network"
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
    text = _proxies_as_text(shown)
    if used is not None and (used.http, used.https) != (present.http, present.https):
        text = f"the machine was started with: {text}. From here it would be: {_proxies_as_text(present)}"
        return warning(text, "To take that over: wherry stop --quit, then wherry start")
    if shown.proxy_notes:
        return warning(f"{text}. {' '.join(str(one) for one in shown.proxy_notes)}")
    if shown.http and not shown.https:
        hint = "Where pulls need the proxy too, name it for https as well (HTTPS_PROXY, or network.https_proxy)."
        return note(f"{text}. Registries are asked by https, which goes directly", hint)
    return ok(text)


def _proxies_as_text(record: CorporateNetworkRecord) -> str:
    if not record.http and not record.https:
        found_in = f" ({record.proxies_from})" if record.proxies_from else ""
        return f"none, everything goes directly{found_in}"
    if record.http == record.https:
        text = record.http
    else:
        text = ", ".join(f"{kind} by {url}" for kind, url in (("http", record.http), ("https", record.https)) if url)
    text += f", from {record.proxies_from}"
    if record.no_proxy:
        text += f"; not for {', '.join(record.no_proxy)}"
    return text + ("; containers and builds too" if record.proxies_in_containers else "")


def _certificates(subject: Subject) -> CheckOutcome:
    record = _in_force(subject) or _present(subject)
    if subject.config.network.certificates == "none" and not record.authorities:
        return ok("the engine trusts its image's own authorities alone, as the settings say")
    count = len(record.authorities)
    if count:
        names = ", ".join(record.authorities[:_MOST_NAMES]) + (", …" if count > _MOST_NAMES else "")
        text = f"{count} of this computer's authorities besides those of the image: {names}"
    else:
        text = "this computer trusts no authority that the image has not"
    if record.authorities_from:
        text += f"; from {', '.join(record.authorities_from)}"
    if record.authorities_in_containers:
        text += "; containers and builds trust them too"
    if record.registries:
        text += f"; registries with certificates of their own: {', '.join(record.registries)}"
    if any(sign in str(one) for sign in ("can't be read", "left out", "skipped") for one in record.certificate_notes):
        return warning(f"{text}. {' '.join(str(one) for one in record.certificate_notes)}")
    if record.certificate_notes:
        return note(f"{text}. {' '.join(str(one) for one in record.certificate_notes)}")
    return ok(text)


def _inputs_are_readable(subject: Subject) -> bool:
    """Settings that cannot be read are told of by their own check."""
    try:
        settings.daemon_options(subject.directory.daemon_json)
        return bool(subject.config)
    except (WherryError, json.JSONDecodeError):
        return False


CHECKS: Final = (
    Check(
        id="proxies",
        title="Proxies",
        group=_GROUP,
        explanation="In many companies nothing is reached but by a proxy; pulls then wait until they fail.",
        look=_proxies,
        applies=_inputs_are_readable,
    ),
    Check(
        id="certificates",
        title="Certificate authorities",
        group=_GROUP,
        explanation="A proxy or registry whose certificate a company made itself is refused by who does not know it.",
        look=_certificates,
        applies=_inputs_are_readable,
    ),
)
