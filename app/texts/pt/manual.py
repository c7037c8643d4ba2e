"""The Help menu and window. The manual itself is in app/help, in English."""

from __future__ import annotations

from typing import Final

TEXTS: Final[dict[str, str]] = {
    "menu.help": "Aj&uda",
    "menu.help.manual": "Ajuda do Wherry (em inglês)",
    "menu.help.keys": "Atalhos de teclado",
    "menu.help.report": "Relatar um problema…",
    "menu.help.about": "Sobre o Wherry",
    "search.kind.help": "Ajuda",
    "help.title": "Ajuda do Wherry",
    "help.search": "Pesquisar na ajuda",
    "help.topics": "Tópicos",
    "help.no-match": "Nenhum tópico corresponde.",
    "help.back": "Voltar",
    "help.forward": "Avançar",
    "about.title": "Sobre o Wherry",
    "about.text": "Um mecanismo Docker para este computador, em uma pequena máquina virtual.",
    "about.licence": "Licença Apache 2.0. Sem conta, sem telemetria.",
    "about.copy": "Copiar informações da versão",
}
