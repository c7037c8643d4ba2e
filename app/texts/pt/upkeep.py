"""Keeping the machine: suspending, operations, checkpoints, updates, its disk, giving back."""

from __future__ import annotations

from typing import Final

TEXTS: Final[dict[str, str]] = {
    "alert.details": "Detalhes",
    "alert.more.one": "Mais {count}",
    "alert.more.other": "Mais {count}",
    "operation.cancel.tip": "Cancelar e desfazer",
    "operation.update.apply": "Atualizando a imagem da máquina",
    "operation.checkpoints.create": "Criando um ponto de restauração",
    "operation.checkpoints.restore": "Restaurando um ponto de restauração",
    "operation.checkpoints.delete": "Excluindo pontos de restauração",
    "operation.disk.grow": "Aumentando o disco",
    "operation.disk.move": "Movendo o disco",
    "operation.reset": "Apagando a máquina",
    "operation.reclaim": "Recuperando memória e espaço em disco",
    "operation.engine.restart": "Reiniciando o motor Docker",
    "upkeep.done.create": "Ponto de restauração criado.",
    "upkeep.done.restore": "Ponto de restauração aplicado. O estado anterior foi salvo como um ponto de restauração.",
    "upkeep.done.update": "Imagem da máquina atualizada. Seus contêineres, imagens e volumes foram mantidos.",
    "upkeep.done.grow": "Tamanho do disco aumentado.",
    "upkeep.done.grow-later": "O tamanho do disco aumenta na próxima inicialização.",
    "upkeep.done.move": "Disco movido.",
    "upkeep.done.reset": "A máquina foi apagada e tem um disco vazio.",
    "upkeep.done.engine": "Motor Docker reiniciado.",
    "upkeep.cancelled": "Cancelado. Nada foi alterado.",
    "upkeep.restarts.one": (
        "A máquina reinicia. {count} contêiner em execução é parado antes e volta a iniciar se a política de "
        "reinicialização permitir."
    ),
    "upkeep.restarts.other": (
        "A máquina reinicia. {count} contêineres em execução são parados antes e voltam a iniciar se as "
        "políticas de reinicialização permitirem."
    ),
    "upkeep.restarts.none": "A máquina reinicia. Nenhum contêiner está em execução.",
    "upkeep.reclaim": "Recuperar agora",
    "upkeep.reclaim.tip": "Devolver a este computador a memória não usada e o espaço dos dados excluídos",
    "upkeep.reclaiming": "Recuperando…",
    "upkeep.reclaimed": "Recuperado. {figures}",
    "upkeep.reclaimed.memory": "Memória: {before} → {after}",
    "upkeep.reclaimed.disk": "Disco: {before} → {after}",
    "upkeep.reclaimed.memory.nothing": "Memória: nada a recuperar",
    "upkeep.reclaimed.disk.nothing": "Disco: nada a recuperar",
    "upkeep.brought": "Última vez: {before} → {after}",
    "upkeep.reclaimed.unknown": "Recuperado. A quantidade é desconhecida.",
    "usage.memory.returned": "Recuperado desde a inicialização: {size}",
    "usage.disk.returned": "Recuperado desde a inicialização: {size}",
    "checkpoints.title": "Pontos de restauração",
    "checkpoints.text": (
        "Um ponto de restauração salva o estado do disco da máquina: contêineres, imagens e volumes. Só ocupa "
        "espaço para o que mudar depois."
    ),
    "checkpoints.column.name": "Nome",
    "checkpoints.column.reason": "Motivo",
    "checkpoints.column.created": "Criado",
    "checkpoints.column.size": "Tamanho",
    "checkpoints.reason.manual": "Manual",
    "checkpoints.reason.before-update": "Antes da atualização",
    "checkpoints.reason.before-resize": "Antes do redimensionamento",
    "checkpoints.reason.before-reset": "Antes de apagar",
    "checkpoints.reason.before-restore": "Antes da restauração",
    "checkpoints.reason.foreign": "Criado fora do Wherry",
    "checkpoints.automatic": "Automático: {reason}",
    "checkpoints.count.one": "{count} ponto",
    "checkpoints.count.other": "{count} pontos",
    "checkpoints.create": "Criar…",
    "checkpoints.create.tip": "Salvar o estado atual do disco",
    "checkpoints.create.title": "Criar ponto de restauração",
    "checkpoints.create.question": "Criar ponto de restauração",
    "checkpoints.create.name": "Nome (opcional)",
    "checkpoints.create.help": "Os contêineres continuam em execução. A memória deles não é incluída.",
    "checkpoints.create.confirm": "Criar",
    "checkpoints.restore": "Restaurar…",
    "checkpoints.restore.tip": "Restaurar o ponto selecionado",
    "checkpoints.restore.title": "Restaurar ponto de restauração",
    "checkpoints.restore.question": "Restaurar “{name}”?",
    "checkpoints.restore.lost": (
        "As alterações feitas desde {moment} em contêineres, imagens e volumes serão desfeitas."
    ),
    "checkpoints.restore.kept": "O estado atual é salvo antes como um ponto de restauração.",
    "checkpoints.restore.confirm": "Restaurar",
    "checkpoints.delete": "Excluir…",
    "checkpoints.delete.tip": "Excluir os pontos selecionados (Del)",
    "checkpoints.delete.title": "Excluir pontos de restauração",
    "checkpoints.delete.question.one": "Excluir o ponto “{name}”?",
    "checkpoints.delete.question.other": "Excluir {count} pontos?",
    "checkpoints.delete.lost": "Não será possível restaurar esse estado.",
    "checkpoints.delete.kept": "O disco da máquina e todos os outros pontos são mantidos.",
    "checkpoints.delete.size": "Libera pelo menos {size} neste computador.",
    "checkpoints.size.tip": "Excluir somente este ponto libera {size}",
    "checkpoints.disk.tip": "Tamanho máximo do disco: {size}",
    "checkpoints.suspended": "Indisponível enquanto a máquina está suspensa. Retome-a ou pare-a primeiro.",
    "checkpoints.restore.foreign": "Este ponto foi criado fora do Wherry; o conteúdo é desconhecido",
    "checkpoints.delete.confirm": "Excluir",
    "checkpoints.policy.one": (
        "Mantém o ponto automático mais recente ({count}) por {days}. Os pontos manuais são mantidos até que "
        "você os exclua."
    ),
    "checkpoints.policy.other": (
        "Mantém os {count} pontos automáticos mais recentes por {days}. Os pontos manuais são mantidos até que "
        "você os exclua."
    ),
    "checkpoints.policy.no-days.one": (
        "Mantém o ponto automático mais recente ({count}). Os pontos manuais são mantidos até que você os exclua."
    ),
    "checkpoints.policy.no-days.other": (
        "Mantém os {count} pontos automáticos mais recentes. Os pontos manuais são mantidos até que você os exclua."
    ),
    "checkpoints.policy.change": "Alterar…",
    "checkpoints.days.one": "{count} dia",
    "checkpoints.days.other": "{count} dias",
    "checkpoints.empty.title": "Ainda não há pontos de restauração",
    "checkpoints.empty.text": (
        "O Wherry cria um automaticamente antes de atualizações, mudanças de tamanho do disco e de apagar tudo. "
        "Você também pode criar um antes de experimentar algo novo."
    ),
    "checkpoints.waiting.title": "Carregando pontos de restauração",
    "checkpoints.waiting.text": "Aguardando o agente da máquina…",
    "update.there": "Atualização disponível",
    "update.from-to": "De {old} para {new}.",
    "update.from-to.engine": "De {old} para {new}. O motor Docker muda de {old_engine} para {new_engine}.",
    "update.safe": (
        "Um ponto de restauração é criado antes. A atualização é revertida automaticamente se o motor ou um "
        "contêiner não estiver presente depois."
    ),
    "update.apply": "Atualizar agora",
    "update.title": "Atualizar a imagem da máquina",
    "update.question": "Atualizar agora?",
    "update.check": "Verificar atualizações",
    "update.check.tip": "Procurar uma imagem da máquina mais recente neste computador",
    "update.checking": "Verificando…",
    "update.none": "Você tem a versão mais recente.",
    "update.found": "A versão {version} está disponível.",
    "disk.title": "Disco de dados",
    "disk.text": "Contêineres, imagens e volumes são armazenados neste arquivo.",
    "disk.size": "Atualmente {size}, {most}.",
    "disk.size.most": "até {most}",
    "disk.move": "Mover para outra pasta…",
    "disk.move.tip": "Por exemplo, para uma unidade com mais espaço",
    "disk.move.choose": "Pasta para o disco de dados",
    "disk.move.title": "Mover disco de dados",
    "disk.move.question": "Mover o disco de dados para {folder}?",
    "disk.move.size": "{size} serão copiados.",
    "disk.move.happens": "A cópia é verificada antes de o original ser excluído. Você pode cancelar até esse momento.",
    "disk.move.kept": "Tudo é mantido, inclusive os pontos de restauração.",
    "disk.move.confirm": "Mover",
    "disk.reset": "Apagar…",
    "disk.reset.tip": "Apagar tudo e começar do zero",
    "disk.reset.title": "Apagar a máquina",
    "disk.reset.question": "Apagar tudo e começar do zero?",
    "disk.reset.lost": "Todos os contêineres, imagens, volumes e redes serão excluídos.",
    "disk.reset.kept": "As configurações e os pontos de restauração existentes são mantidos.",
    "disk.reset.keep": "Salvar o estado atual como um ponto de restauração",
    "disk.reset.confirm": "Apagar",
    "checks.fix": "Corrigir",
    "checks.fix.name": "Corrigir: {title}",
    "checks.fix-all": "Corrigir tudo ({count})",
    "checks.fixing": "Corrigindo…",
    "checks.fix.title": "Corrigir",
    "checks.fix.question.one": "Corrigir “{title}”?",
    "checks.fix.question.other": "Corrigir {count} problemas?",
    "checks.state.good": "OK",
    "checks.state.warning": "Aviso",
    "checks.state.note": "Observação",
    "checks.fixed": "Corrigido",
    "checks.state.broken": "Problema",
    "bundle.title": "Pacote de suporte",
    "bundle.text": (
        "Um arquivo com logs, configurações e informações do sistema para anexar a um relato de problema. "
        "Senhas, tokens e valores de variáveis de ambiente são removidos."
    ),
    "bundle.make": "Salvar pacote de suporte…",
    "bundle.running": "Coletando logs e informações do sistema",
    "bundle.choose": "Salvar pacote de suporte",
    "bundle.filter": "Arquivo ZIP (*.zip)",
    "bundle.open": "Abrir pasta",
    "bundle.contents": "{size}. Conteúdo: {names}",
    "bundle.gathering": "Coletando: {what}",
    "bundle.missing": "Indisponível: {names}",
}
