"""What the palette can find: pages, settings, actions, and all that can be done with each container."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from app import texts
from app.features.settings.general import scheme_words
from app.state.machine_actions import machine_actions, refusal
from app.state.preferences import ZOOMS
from app.state.store import AppStore
from app.texts import _, message, say
from app.ui import theme
from app.ui.ports import port_links
from app.ui.search import NameQuery, fold
from backend.api import Container, ContainerAction, Phase, messages

SHOWN: Final = 50
"""More are never looked through."""
_RECENT_BONUS: Final = 40
_ACTED_ON: Final = 4
"""So many of the best containers are shown with all that can be done with them."""
TABS: Final = {
    "logs": (message("Logs"), "text-box-outline"),
    "terminal": (message("Terminal"), "console"),
    "files": (message("Files"), "folder-outline"),
    "inspect": (message("Inspect"), "code-json"),
    "stats": (message("Stats"), "chart-line"),
}
"""The tabs of a container's page: words and glyph."""
_GLYPHS: Final = {
    ContainerAction.START: "play",
    ContainerAction.STOP: "stop",
    ContainerAction.RESTART: "restart",
    ContainerAction.PAUSE: "pause",
    ContainerAction.UNPAUSE: "play-pause",
}


@dataclass(frozen=True, slots=True)
class PaletteEntry:
    """One thing to be found."""

    key: str
    """The same at the next start: by it the recent ones are known."""
    title: str
    detail: str
    glyph: str
    run: Callable[[], object]
    also: str = ""
    """More words by which it is found."""

    @property
    def folded(self) -> str:
        """The words by which it is found."""
        return fold(f"{self.title} {self.detail} {self.also}")


def find(store: AppStore, fixed: Sequence[PaletteEntry], typed: str) -> list[PaletteEntry]:
    """The best entries for what was typed, best first; for nothing: the recent ones, then pages and actions.

    Args:
        fixed: entries that do not depend on containers.
    """
    query = NameQuery(typed)
    recent = {key: number for number, key in enumerate(store.preferences.recent)}
    if not query.words:
        return _unasked(store, fixed, recent)
    scored = [(query.score(entry.folded), entry) for entry in fixed]
    scored += _containers(store, query)
    ranked = (
        (score + (_RECENT_BONUS - recent[entry.key] if entry.key in recent else 0), -number, entry)
        for number, (score, entry) in enumerate(scored)
        if score
    )
    return [entry for _score, _number, entry in heapq.nlargest(SHOWN, ranked, key=lambda ranked_: ranked_[:2])]


def container_entries(store: AppStore, container: Container) -> list[PaletteEntry]:
    """All that can be done with one container, opening it first."""
    intents, name, key = store.intents, container.name, f"container:{container.id}"
    state = texts.container_state(container.state)
    detail = f"{container.image} · {state}"
    entries = [PaletteEntry(key, name, detail, "cube-outline", partial(intents.open_container.emit, container.id, ""))]
    for tab, (words, glyph) in TABS.items():
        title = _("{tab}: {name}", tab=say(words), name=name)
        entries.append(
            PaletteEntry(f"{key}:{tab}", title, state, glyph, partial(intents.open_container.emit, container.id, tab))
        )
    for kind in _applying(container):
        title = _("{action} {name}", action=texts.action(kind), name=name)
        run = partial(intents.act_on_containers.emit, (container.id,), kind)
        entries.append(PaletteEntry(f"{key}:{kind.value}", title, state, _GLYPHS[kind], run))
    for url in dict.fromkeys(link.url for link in port_links(container) if link.url):
        title = _("Open {url}", url=url)
        entries.append(PaletteEntry(f"{key}:{url}", title, name, "open-in-new", partial(intents.open_url.emit, url)))
    return entries


def machine_entries(store: AppStore) -> list[PaletteEntry]:
    """What can be asked of the machine now."""
    intents, detail, refused = store.intents, _("Action"), refusal(store)
    entries = [
        PaletteEntry(f"action:{action.name}", action.sentence, detail, action.glyph, action.run, also=action.words)
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
        offered.append(("update", _("Check for updates"), "update", partial(_look_for_update, store)))
    up = store.phase in (Phase.RUNNING, Phase.DEGRADED)
    if up and not refused:
        offered.append(
            (
                "reclaim",
                _("Reclaim memory and disk space"),
                "memory",
                partial(intents.ask_maintenance.emit, messages.Reclaim()),
            )
        )
        restart = partial(intents.ask_maintenance.emit, messages.RestartEngine())
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
        *(PaletteEntry(f"action:{name}", words, detail, glyph, run) for name, words, glyph, run in offered),
    ]


def _look_for_update(store: AppStore) -> None:
    store.intents.ask_maintenance.emit(messages.CheckUpdate())
    store.intents.show_machine.emit("overview")


def preference_entries(store: AppStore) -> list[PaletteEntry]:
    """Theme and zoom, which need no settings page to be changed."""
    kept, detail = store.preferences, _("Setting")
    made = []
    for scheme in theme.Scheme:
        if scheme is not kept.theme:
            title = _("Theme: {name}", name=scheme_words(scheme))
            run = partial(setattr, kept, "theme", scheme)
            made.append(PaletteEntry(f"theme:{scheme.value}", title, detail, "theme-light-dark", run))
    for zoom in ZOOMS:
        if zoom != kept.zoom:
            title = _("Zoom: {percent}%", percent=zoom)
            made.append(
                PaletteEntry(
                    f"zoom:{zoom}", title, detail, "magnify-plus-outline", partial(setattr, kept, "zoom", zoom)
                )
            )
    return made


def _applying(container: Container) -> tuple[ContainerAction, ...]:
    if not container.state.is_up:
        return (ContainerAction.START,)
    pause = ContainerAction.UNPAUSE if container.state.value == "paused" else ContainerAction.PAUSE
    return (ContainerAction.STOP, ContainerAction.RESTART, pause)


def _unasked(store: AppStore, fixed: Sequence[PaletteEntry], recent: dict[str, int]) -> list[PaletteEntry]:
    known = {entry.key: entry for entry in fixed}
    for key in recent:
        if key.startswith("container:") and (container := store.container(key.split(":", 2)[1])) is not None:
            known |= {entry.key: entry for entry in container_entries(store, container) if entry.key == key}
    first = [known[key] for key in recent if key in known]
    chosen = {entry.key for entry in first}
    up = [container_entries(store, container)[0] for container in store.running[:10]]
    return _some([*first, *(entry for entry in [*fixed, *up] if entry.key not in chosen)])


def _some(entries: Iterable[PaletteEntry]) -> list[PaletteEntry]:
    unique = {entry.key: entry for entry in entries}
    return list(unique.values())[:SHOWN]


def _containers(store: AppStore, query: NameQuery) -> list[tuple[int, PaletteEntry]]:
    """Containers by their own words; the best of them with their actions, by the words of these as well."""
    whole: list[tuple[int, Container]] = []
    partly: list[tuple[int, Container]] = []
    for container in store.containers or ():
        scores = query.score_each(fold(f"{container.name} {container.image} {container.compose_project or ''}"))
        if 0 not in scores:
            whole.append((sum(scores) - len(container.name) // 8, container))
        elif any(scores):
            partly.append((sum(scores), container))

    def value(pair: tuple[int, Container]) -> int:
        return pair[0]

    found: list[tuple[int, PaletteEntry]] = []
    for place, (score, container) in enumerate(heapq.nlargest(SHOWN, whole, key=value)):
        entries = container_entries(store, container)
        found.append((score + 5, entries[0]))
        if place < _ACTED_ON:
            found += [(max(1, score - 30), entry) for entry in entries[1:]]
    for _score, container in heapq.nlargest(SHOWN, partly, key=value):
        found += [(query.score(entry.folded), entry) for entry in container_entries(store, container)[1:]]
    return found
