"""Keeping the machine: suspending, operations, checkpoints, updates, its disk, giving back."""

from __future__ import annotations

from typing import Final

TEXTS: Final[dict[str, str]] = {
    "alert.details": "Detalhes",
    "alert.more.one": "Mais {count}",
    "alert.more.other": "Mais {count}",
    "operation.cancel.tip": "Desfazer: tudo fica como estava antes",
    "operation.update.apply": "Atualizando a imagem da máquina",
    "operation.checkpoints.create": "Criando um ponto de restauração",
    "operation.checkpoints.restore": "Voltando a um ponto de restauração",
    "operation.checkpoints.delete": "Apagando um ponto de restauração",
    "operation.disk.grow": "Aumentando o disco",
    "operation.disk.move": "Movendo o disco",
    "operation.reset": "Recomeçando com um disco vazio",
    "operation.reclaim": "Devolvendo memória e disco",
    "operation.engine.restart": "Reiniciando o motor Docker",
    "upkeep.done.create": "O ponto de restauração foi criado.",
    "upkeep.done.restore": (
        "A máquina está como no ponto de restauração. O que havia antes ficou guardado num ponto próprio."
    ),
    "upkeep.done.update": "A imagem da máquina foi atualizada. Todos os contêineres, imagens e volumes estão lá.",
    "upkeep.done.grow": "O disco foi aumentado.",
    "upkeep.done.grow-later": "O disco aumenta no próximo início.",
    "upkeep.done.move": "O disco foi movido.",
    "upkeep.done.reset": "A máquina tem agora um disco vazio.",
    "upkeep.done.engine": "O motor Docker foi reiniciado.",
    "upkeep.cancelled": "Cancelado. Tudo está como estava antes.",
    "upkeep.restarts.one": (
        "A máquina reinicia: {count} contêiner em execução é parado em ordem, e volta a iniciar conforme a "
        "sua política de reinício."
    ),
    "upkeep.restarts.other": (
        "A máquina reinicia: {count} contêineres em execução são parados em ordem, e voltam a iniciar "
        "conforme as suas políticas de reinício."
    ),
    "upkeep.restarts.none": "A máquina reinicia. Nenhum contêiner está em execução.",
    "upkeep.reclaim": "Devolver já",
    "upkeep.reclaim.tip": (
        "Devolve a este computador o que a máquina não precisa: memória livre, e o espaço do que foi apagado"
    ),
    "upkeep.reclaiming": "Devolvendo…",
    "upkeep.reclaimed": "Devolvido. {figures}",
    "upkeep.reclaimed.memory": "Memória: {before} → {after}",
    "upkeep.reclaimed.disk": "Disco: {before} → {after}",
    "upkeep.reclaimed.memory.nothing": "Memória: nada a devolver",
    "upkeep.reclaimed.disk.nothing": "Disco: nada a devolver",
    "upkeep.brought": "Da última vez: {before} → {after}",
    "upkeep.reclaimed.unknown": "Devolvido. Este computador não diz quanto.",
    "usage.memory.returned": "Devolvido a este computador desde o início: {size}",
    "usage.disk.returned": "Devolvido a este computador desde o início: {size}",
    "checkpoints.title": "Pontos de restauração",
    "checkpoints.text": (
        "Um ponto de restauração guarda o disco da máquina como está num momento: contêineres, imagens e "
        "volumes. Só ocupa o espaço do que muda depois."
    ),
    "checkpoints.column.name": "Nome",
    "checkpoints.column.reason": "Motivo",
    "checkpoints.column.created": "Criado",
    "checkpoints.column.size": "Tamanho",
    "checkpoints.reason.manual": "À mão",
    "checkpoints.reason.before-update": "Antes de uma atualização",
    "checkpoints.reason.before-resize": "Antes de uma mudança de tamanho",
    "checkpoints.reason.before-reset": "Antes de recomeçar",
    "checkpoints.reason.before-restore": "Antes de voltar atrás",
    "checkpoints.reason.foreign": "Não foi criado pelo Wherry",
    "checkpoints.automatic": "Automático: {reason}",
    "checkpoints.count.one": "{count} ponto",
    "checkpoints.count.other": "{count} pontos",
    "checkpoints.create": "Criar…",
    "checkpoints.create.tip": "Guardar o disco como está agora",
    "checkpoints.create.title": "Criar um ponto de restauração",
    "checkpoints.create.question": "Guardar o disco da máquina como está agora?",
    "checkpoints.create.name": "Nome, se quiser um",
    "checkpoints.create.help": "Os contêineres continuam. O que têm na memória não faz parte dele.",
    "checkpoints.create.confirm": "Criar",
    "checkpoints.restore": "Restaurar…",
    "checkpoints.restore.tip": "Voltar ao ponto escolhido",
    "checkpoints.restore.title": "Restaurar um ponto",
    "checkpoints.restore.question": "Voltar a “{name}”?",
    "checkpoints.restore.lost": (
        "Desaparece da máquina: tudo o que foi criado ou alterado desde {moment}, em contêineres, imagens e volumes."
    ),
    "checkpoints.restore.kept": "Guardado: o presente, como um ponto próprio ao qual se pode voltar.",
    "checkpoints.restore.confirm": "Restaurar",
    "checkpoints.delete": "Apagar…",
    "checkpoints.delete.tip": "Apagar os pontos escolhidos (Del)",
    "checkpoints.delete.title": "Apagar pontos de restauração",
    "checkpoints.delete.question.one": "Apagar o ponto “{name}”?",
    "checkpoints.delete.question.other": "Apagar {count} pontos?",
    "checkpoints.delete.lost": "Perde-se de vez: o caminho de volta a esse estado.",
    "checkpoints.delete.kept": "Guardado: o disco da máquina como está agora, e todos os outros pontos.",
    "checkpoints.delete.size": "Devolvido a este computador: {size}, e mais onde vários guardavam o mesmo.",
    "checkpoints.size.tip": "Apagá-lo devolve {size}",
    "checkpoints.disk.tip": "O disco tinha até {size}",
    "checkpoints.suspended": "Não enquanto a máquina está suspensa: retome-a, ou pare-a.",
    "checkpoints.restore.foreign": "Não foi criado pelo Wherry, que não sabe o que contém",
    "checkpoints.delete.confirm": "Apagar",
    "checkpoints.policy.one": (
        "Dos automáticos guarda-se o mais novo, por {days} ({count}). Os criados à mão ficam até que os apague."
    ),
    "checkpoints.policy.other": (
        "Dos automáticos guardam-se os {count} mais novos, por {days}. Os criados à mão ficam até que os apague."
    ),
    "checkpoints.policy.no-days.one": (
        "Dos automáticos guarda-se o mais novo ({count}). Os criados à mão ficam até que os apague."
    ),
    "checkpoints.policy.no-days.other": (
        "Dos automáticos guardam-se os {count} mais novos. Os criados à mão ficam até que os apague."
    ),
    "checkpoints.policy.change": "Alterar…",
    "checkpoints.days.one": "{count} dia",
    "checkpoints.days.other": "{count} dias",
    "checkpoints.empty.title": "Ainda não há pontos de restauração",
    "checkpoints.empty.text": (
        "Um é criado automaticamente antes de uma atualização, de uma mudança do tamanho do disco ou de "
        "recomeçar. Crie um à mão antes de experimentar algo."
    ),
    "checkpoints.waiting.title": "Pontos de restauração",
    "checkpoints.waiting.text": "São mostrados assim que o agente da máquina responder.",
    "update.there": "Há uma imagem mais nova da máquina",
    "update.from-to": "De {old} para {new}.",
    "update.from-to.engine": "De {old} para {new}, com o Docker {new_engine} em vez do {old_engine}.",
    "update.safe": (
        "Um ponto de restauração é criado antes, e a atualização se desfaz sozinha se o motor ou um "
        "contêiner não estiver lá depois."
    ),
    "update.apply": "Atualizar já",
    "update.title": "Atualizar a imagem da máquina",
    "update.question": "Atualizar já?",
    "update.check": "Procurar atualizações",
    "update.check.tip": "Procurar uma imagem mais nova da máquina neste computador",
    "update.checking": "Procurando…",
    "update.none": "Esta é a mais nova.",
    "update.found": "A {version} está disponível.",
    "disk.title": "Disco de dados",
    "disk.text": "Os contêineres, imagens e volumes estão neste arquivo.",
    "disk.size": "Ocupa {size} agora, {most}.",
    "disk.size.most": "até {most}",
    "disk.move": "Mover para outra pasta…",
    "disk.move.tip": "Por exemplo para um disco com mais espaço",
    "disk.move.choose": "Pasta para o disco de dados",
    "disk.move.title": "Mover o disco de dados",
    "disk.move.question": "Mover o disco para {folder}?",
    "disk.move.size": "São copiados {size}.",
    "disk.move.happens": "A cópia é comparada com o original antes de este ser apagado. Até lá pode ser cancelada.",
    "disk.move.kept": "Guardado: tudo, também os pontos de restauração.",
    "disk.move.confirm": "Mover",
    "disk.reset": "Recomeçar…",
    "disk.reset.tip": "Recomeçar com um disco vazio",
    "disk.reset.title": "Recomeçar a máquina",
    "disk.reset.question": "Recomeçar com um disco vazio?",
    "disk.reset.lost": "Desaparecem da máquina: todos os contêineres, imagens, volumes e redes.",
    "disk.reset.kept": "Guardado: as definições, e os pontos de restauração que há.",
    "disk.reset.keep": "Guardar o que há agora num ponto de restauração",
    "disk.reset.confirm": "Recomeçar",
    "checks.fix": "Corrigir",
    "checks.fix.name": "Corrigir: {title}",
    "checks.fix-all": "Corrigir tudo ({count})",
    "checks.fixing": "Corrigindo…",
    "checks.fix.title": "Corrigir",
    "checks.fix.question.one": "Corrigir “{title}”?",
    "checks.fix.question.other": "Corrigir {count} coisas?",
    "checks.state.good": "Aprovado",
    "checks.state.warning": "Merece atenção",
    "checks.state.note": "Bom saber",
    "checks.fixed": "Corrigido",
    "checks.state.broken": "Precisa de atenção",
    "bundle.title": "Pacote de suporte",
    "bundle.text": (
        "Um arquivo com registros, definições e fatos sobre este computador, para enviar com o relato de um "
        "defeito. Senhas, tokens e valores de variáveis de ambiente são retirados."
    ),
    "bundle.make": "Salvar um pacote de suporte…",
    "bundle.running": "Reunindo registros e fatos",
    "bundle.choose": "Salvar o pacote de suporte",
    "bundle.filter": "Arquivo compactado (*.zip)",
    "bundle.open": "Abrir a pasta",
    "bundle.contents": "{size}. Contém: {names}",
    "bundle.gathering": "Reunindo: {what}",
    "bundle.missing": "Não foi possível obter: {names}",
}
