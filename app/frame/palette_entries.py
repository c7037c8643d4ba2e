"""Entries of the palette: pages, settings, machine actions, and the actions on each container."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from app import texts
from app.features.containers.actions.entries import ENTRIES, Section
from app.features.settings.general import scheme_name
from app.state.machine_actions import machine_actions, refusal
from app.state.preferences import ZOOMS
from app.state.store import AppStore
from app.texts import _
from app.ui import theme
from app.ui.ports import port_links
from app.ui.search import NameQuery, fold
from backend.api import Container, Phase, messages

SHOWN: Final = 50
"""Maximum number of results."""
_RECENT_BONUS: Final = 40
_WITH_ACTIONS: Final = 4
"""Number of best-matching containers whose actions are listed too."""


@dataclass(frozen=True, slots=True)
class PaletteEntry:
    """One entry: what it shows, and `run` for when it is chosen."""

    key: str
    """Stable between runs of the window; identifies recent entries in the preferences."""
    title: str
    detail: str
    glyph: str
    run: Callable[[], object]
    also: str = ""
    """Additional search terms, not shown."""

    @property
    def folded(self) -> str:
        """The text to search in, with case and accents removed."""
        return fold(f"{self.title} {self.detail} {self.also}")


def find(store: AppStore, fixed: Sequence[PaletteEntry], typed: str) -> list[PaletteEntry]:
    """The entries that match `typed`, best first; for an empty text the recent ones, then pages and actions.

    Args:
        fixed: entries that do not depend on containers.
    """
    query = NameQuery(typed)
    recent = {key: number for number, key in enumerate(store.preferences.recent)}
    if not query.words:
        return _suggestions(store, fixed, recent)
    scored = [(query.score(entry.folded), entry) for entry in fixed]
    scored += _containers(store, query)
    ranked = (
        (score + (_RECENT_BONUS - recent[entry.key] if entry.key in recent else 0), -number, entry)
        for number, (score, entry) in enumerate(scored)
        if score
    )
    return [entry for _score, _number, entry in heapq.nlargest(SHOWN, ranked, key=lambda ranked_: ranked_[:2])]


def container_entries(store: AppStore, container: Container) -> list[PaletteEntry]:
    """The entries of one container: opening it, its tabs, actions and port links."""
    intents, name, key = store.intents, container.name, f"container:{container.id}"
    state = texts.container_state(container.state)
    detail = f"{container.image} · {state}"
    entries = [PaletteEntry(key, name, detail, "cube-outline", partial(intents.open_container.emit, container.id, ""))]
    for action in ENTRIES[1:]:
        if not action.applies(store, (container,)):
            continue
        if action.section is Section.OPEN:
            title = _("{tab}: {name}", tab=action.text, name=name)
        elif action.section is Section.STATE:
            title = _("{action} {name}", action=action.text, name=name)
        else:
            title = _("{action}: {name}", action=action.text.removesuffix("…"), name=name)
        run = partial(intents.do_with_container.emit, action.name, container.id)
        entries.append(PaletteEntry(f"{key}:{action.name}", title, state, action.glyph, run))
    for url in dict.fromkeys(link.url for link in port_links(container) if link.url):
        title = _("Open {url}", url=url)
        entries.append(PaletteEntry(f"{key}:{url}", title, name, "open-in-new", partial(intents.open_url.emit, url)))
    return entries


def machine_entries(store: AppStore) -> list[PaletteEntry]:
    """The entries of the actions that the machine accepts now."""
    intents, detail, refused = store.intents, _("Action"), refusal(store)
    entries = [
        PaletteEntry(f"action:{action.name}", action.sentence, detail, action.glyph, action.run, also=action.label)
        for action in machine_actions(store)
        if action.enabled
    ]
    offered: list[tuple[str, str, str, Callable[[], object]]] = [
        ("refresh", _("Refresh"), "refresh", intents.refresh.emit),
        ("checks", _("Diagnostics"), "stethoscope", partial(intents.show_machine.emit, "checks")),
        ("check-network", _("Check network…"), "lan-check", partial(intents.check_network.emit, "")),
    ]
    if not refused:
        offered.append(("checkpoints", _("Checkpoints"), "history", partial(intents.show_machine.emit, "checkpoints")))
        offered.append(("update", _("Check for updates"), "update", partial(_check_for_update, store)))
    up = store.phase in (Phase.RUNNING, Phase.DEGRADED)
    if up and not refused:
        offered.append(
            (
                "reclaim",
                _("Reclaim memory and disk space"),
                "memory",
                partial(intents.request_maintenance.emit, messages.Reclaim()),
            )
        )
        restart = partial(intents.request_maintenance.emit, messages.RestartEngine())
        offered.append(("restart-engine", _("Restart the Docker engine"), "restart", restart))
    if store.machine_keeps_running:
        offered.append(("quit", _("Quit and keep the machine running"), "exit-to-app", intents.quit_only.emit))
        if not refused:
            if up:
                offered.append(
                    (
                        "suspend-and-quit",
                        _("Suspend the machine and quit"),
                        "pause",
                        intents.suspend_and_quit.emit,
                    )
                )
            offered.append(("stop-and-quit", _("Stop the machine and quit"), "power", intents.stop_and_quit.emit))
    else:
        offered.append(("quit", _("Quit"), "exit-to-app", intents.quit.emit))
    return [
        *entries,
        *(PaletteEntry(f"action:{name}", label, detail, glyph, run) for name, label, glyph, run in offered),
    ]


def _check_for_update(store: AppStore) -> None:
    store.intents.request_maintenance.emit(messages.CheckUpdate())
    store.intents.show_machine.emit("overview")


def preference_entries(store: AppStore) -> list[PaletteEntry]:
    """The entries that set another theme or zoom directly."""
    preferences, detail = store.preferences, _("Setting")
    entries = []
    for scheme in theme.Scheme:
        if scheme is not preferences.theme:
            title = _("Theme: {name}", name=scheme_name(scheme))
            run = partial(setattr, preferences, "theme", scheme)
            entries.append(PaletteEntry(f"theme:{scheme.value}", title, detail, "theme-light-dark", run))
    for zoom in ZOOMS:
        if zoom != preferences.zoom:
            title = _("Zoom: {percent}%", percent=zoom)
            entries.append(
                PaletteEntry(
                    f"zoom:{zoom}", title, detail, "magnify-plus-outline", partial(setattr, preferences, "zoom", zoom)
                )
            )
    return entries


def _suggestions(store: AppStore, fixed: Sequence[PaletteEntry], recent: dict[str, int]) -> list[PaletteEntry]:
    known = {entry.key: entry for entry in fixed}
    for key in recent:
        if key.startswith("container:") and (container := store.container(key.split(":", 2)[1])) is not None:
            known |= {entry.key: entry for entry in container_entries(store, container) if entry.key == key}
    first = [known[key] for key in recent if key in known]
    chosen = {entry.key for entry in first}
    up = [container_entries(store, container)[0] for container in store.running[:10]]
    return _first_unique([*first, *(entry for entry in [*fixed, *up] if entry.key not in chosen)])


def _first_unique(entries: Iterable[PaletteEntry]) -> list[PaletteEntry]:
    unique = {entry.key: entry for entry in entries}
    return list(unique.values())[:SHOWN]


def _containers(store: AppStore, query: NameQuery) -> list[tuple[int, PaletteEntry]]:
    """Scored entries of containers whose text matches the whole query, and of container actions that do."""
    full_matches: list[tuple[int, Container]] = []
    partial_matches: list[tuple[int, Container]] = []
    for container in store.containers or ():
        scores = query.score_each(fold(f"{container.name} {container.image} {container.compose_project or ''}"))
        if 0 not in scores:
            full_matches.append((sum(scores) - len(container.name) // 8, container))
        elif any(scores):
            partial_matches.append((sum(scores), container))

    def value(pair: tuple[int, Container]) -> int:
        return pair[0]

    results: list[tuple[int, PaletteEntry]] = []
    for rank, (score, container) in enumerate(heapq.nlargest(SHOWN, full_matches, key=value)):
        entries = container_entries(store, container)
        results.append((score + 5, entries[0]))
        if rank < _WITH_ACTIONS:
            results += [(max(1, score - 30), entry) for entry in entries[1:]]
    for _score, container in heapq.nlargest(SHOWN, partial_matches, key=value):
        results += [(query.score(entry.folded), entry) for entry in container_entries(store, container)[1:]]
    return results
