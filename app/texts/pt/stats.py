"""Figures: the status bar and the graphs."""

from __future__ import annotations

from typing import Final

TEXTS: Final[dict[str, str]] = {
    "figure.decimal": ",",
    "figure.percent": "{value} %",
    "figure.used-of": "{used} de {given}",
    "figure.rate": "{size}/s",
    "size.b": "{value} B",
    "size.kib": "{value} KiB",
    "size.tib": "{value} TiB",
    "status.label": "Estado da máquina",
    "status.hint": "Mostrar a página Máquina",
    "status.engine.unknown": "A ligar…",
    "status.engine.running": "Motor em execução",
    "status.engine.degraded": "Motor em execução, com problemas",
    "status.engine.reconnecting": "A restabelecer a ligação ao motor…",
    "status.engine.starting": "Motor a iniciar…",
    "status.engine.stopping": "Motor a parar…",
    "status.engine.stopped": "Motor parado",
    "status.engine.failed": "O motor não iniciou",
    "status.agent.lost": "A restabelecer a ligação ao agente…",
    "status.slow": "Emulação por software",
    "status.slow.tip": "As instruções da máquina são emuladas, o que é lento. Por que não se usa nada melhor:",
    "status.fast.tip": "A máquina funciona com virtualização por hardware.",
    "status.cpu": "CPU {value}",
    "status.cpu.tip": "De todos os processadores da máquina",
    "status.memory": "Memória {value}",
    "status.memory.tip": "Usada pelos programas da máquina, da que lhe foi dada",
    "status.disk": "Disco {value}",
    "status.disk.tip": "Usado no disco da máquina, do tamanho que pode atingir",
    "status.version": "Wherry {version}",
}
