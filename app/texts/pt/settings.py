"""Settings and the first run."""

from __future__ import annotations

from typing import Final

TEXTS: Final[dict[str, str]] = {
    "settings.title": "Configurações",
    "settings.sections": "Seções das configurações",
    "settings.general": "Geral",
    "settings.resources": "Recursos",
    "settings.engine": "Motor Docker",
    "settings.docker": "Contexto do docker",
    "settings.login": "Iniciar o Wherry ao entrar na sessão",
    "settings.login.help": "Abre a janela e o ícone na bandeja. A opção seguinte controla a máquina.",
    "settings.background": "Iniciar na bandeja, sem a janela",
    "settings.start-machine": "Iniciar a máquina quando o Wherry iniciar",
    "settings.start-machine.help": "O Docker fica pronto poucos segundos depois de abrir o Wherry.",
    "settings.close-to-tray": "Manter o Wherry na bandeja ao fechar a janela",
    "settings.close-to-tray.help": (
        "Se desativado, fechar a janela encerra o Wherry. As configurações de Ciclo de vida definem o que "
        "acontece com a máquina."
    ),
    "settings.notifications": "Avisar quando um contêiner falhar",
    "settings.notifications.help": (
        "Quando um contêiner termina com erro ou a verificação de integridade falha, ou quando a máquina tem um "
        "problema."
    ),
    "settings.theme": "Tema",
    "settings.theme.system": "Sistema",
    "settings.theme.light": "Claro",
    "settings.theme.dark": "Escuro",
    "settings.language": "Idioma",
    "settings.language.system": "Sistema",
    "settings.language.en": "English",
    "settings.language.pt": "Português",
    "settings.zoom": "Zoom",
    "settings.zoom.value": "{zoom}%",
    "settings.apply": "Aplicar",
    "settings.discard": "Descartar",
    "settings.restart": "Reiniciar a máquina",
    "settings.restart.needed": "Reinicie a máquina para aplicar: {names}.",
    "resources.help": "O máximo que a máquina pode usar. Memória e disco são ocupados somente conforme a necessidade.",
    "resources.cpus": "Processadores",
    "resources.cpus.note.one": "Este computador tem {count}.",
    "resources.cpus.note.other": "Este computador tem {count}.",
    "resources.cpus.danger": (
        "Todos os {count} processadores: este computador pode ficar lento enquanto a máquina trabalha."
    ),
    "resources.memory": "Memória",
    "resources.memory.note": "Este computador tem {total} GiB.",
    "resources.memory.danger": "Este computador tem {total} GiB e pode ficar lento.",
    "resources.disk": "Disco",
    "resources.disk.note": (
        "Tamanho máximo; o espaço é ocupado somente conforme a necessidade. {free} GiB livres neste computador."
    ),
    "resources.disk.grows": "Atualmente {present} GiB. O disco pode crescer, mas não diminuir.",
    "resources.mib": " MiB",
    "resources.gib": " GiB",
    "resources.automatic": "Usar valores recomendados",
    "resources.automatic.tip": "Metade dos processadores e um quarto da memória, dentro de limites",
    "engine.help": (
        "Opções do motor Docker em JSON, como em /etc/docker/daemon.json. São validadas antes de salvar e têm "
        "efeito quando a máquina inicia."
    ),
    "engine.editor": "Opções do motor Docker (daemon.json)",
    "engine.findings": "Problemas nas opções",
    "engine.finding": "Linha {line}: {message}",
    "engine.save": "Salvar",
    "engine.save-and-restart": "Salvar e reiniciar",
    "engine.saving": "Validando e salvando…",
    "engine.saved.checked": "Salvo e validado pelo dockerd.",
    "engine.refused": "Não foi salvo. Veja os problemas acima.",
    "engine.format": "Formatar",
    "engine.format.tip": "Indentar o texto",
    "engine.revert": "Reverter",
    "engine.reset": "Limpar",
    "engine.reset.tip": "Remover todas as opções e usar os padrões do motor",
    "engine.restart.title": "Reiniciar a máquina",
    "engine.restart.question": "Salvar as opções e reiniciar a máquina?",
    "engine.restart.lost.one": (
        "{count} contêiner em execução será parado. Ele só volta a iniciar se a política de reinicialização "
        "permitir. Nada do que está no disco se perde."
    ),
    "engine.restart.lost.other": (
        "{count} contêineres em execução serão parados. Eles só voltam a iniciar se as políticas de "
        "reinicialização permitirem. Nada do que está no disco se perde."
    ),
    "engine.restart.none": "Nenhum contêiner está em execução.",
    "docker.help": "Um contexto diz ao comando docker, ao Compose e aos editores deste computador qual motor usar.",
    "docker.unknown": "Verificando as configurações do docker…",
    "docker.selected": "O comando docker usa o Wherry.",
    "docker.other": "O comando docker usa outro motor (contexto “{name}”).",
    "docker.overridden": "${variable} está definida e determina qual motor o comando docker usa.",
    "docker.use": "Usar o Wherry",
    "docker.use.tip": "Criar e selecionar o contexto",
    "docker.remove": "Remover contexto",
    "docker.remove.tip": "Voltar o comando docker ao motor padrão",
    "docker.automatic": "Atualizar o contexto quando a máquina iniciar",
    "docker.automatic.help": "Só o seleciona se nenhum outro motor estiver em uso.",
    "docker.command": "Comando para selecionar o Wherry",
    "docker.command.help": "Em um terminal:",
    "first.title": "Bem-vindo ao Wherry",
    "first.text": "Docker para este computador. Sem conta, sem direitos de administrador, sem envio de dados.",
    "first.happens": "Ao iniciar",
    "first.happens.1": "1.  O Wherry inicia uma pequena máquina virtual. O arquivo de disco cresce conforme o uso.",
    "first.happens.2": "2.  O motor Docker é executado dentro dela. Imagens e contêineres ficam no disco da máquina.",
    "first.happens.3": "3.  O docker, o Compose e os editores deste computador se conectam automaticamente.",
    "first.uses": "Recursos",
    "first.context": "Deixar o comando docker usar o Wherry",
    "first.context.help": "Usa um contexto do docker. Se outro motor já estiver em uso, ele continua selecionado.",
    "first.start": "Iniciar",
    "first.starting.title": "Iniciando pela primeira vez",
    "first.starting.text": "A primeira inicialização demora um pouco mais porque o disco é criado.",
    "first.settings": "Abrir configurações",
    "console.title": "Console",
    "console.show": "Mostrar console",
    "console.hide": "Ocultar console",
    "console.tip": "Saída da máquina enquanto inicializa",
    "console.copy": "Copiar o texto do console",
    "console.empty": "Nenhuma saída no console ainda.",
}
