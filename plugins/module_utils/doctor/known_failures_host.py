# SPDX-License-Identifier: GPL-3.0-or-later
"""Known failures that concern the machine, judged with and without PEC on it. Private to the collection."""

from __future__ import annotations

from ansible_collections.esus.pec.plugins.module_utils import beliefs
from ansible_collections.esus.pec.plugins.module_utils.doctor.facts import Facts
from ansible_collections.esus.pec.plugins.module_utils.doctor.model import Answer, judged, listing, rule
from ansible_collections.esus.pec.plugins.module_utils.preflight.host import GB, official_size

ROOM_FOR_INSTALLER = 2 * GB
"""The jar of 0.9 GB and what it unpacks, beside the copy of the database that a migration or a dump may need."""


def _gb(size: int) -> str:
    return f"{size / GB:.1f} GB".replace(".", ",")


@rule("semaphores", "S", "V §6.3", title="RemoveIPC do systemd-logind", expected="no", beliefs=("remove-ipc", "text-semaphores"),
      anywhere=True,
      remedy="defina RemoveIPC=no em /etc/systemd/logind.conf.d/pec.conf e reinicie systemd-logind antes de "
             "instalar ou atualizar")  # fmt: skip
def _remove_ipc(facts: Facts) -> Answer:
    if facts.present and not facts.database_is_local and facts.installation.connection is not None:
        return Answer.not_applicable("o PostgreSQL está em outro servidor")
    setting = facts.host.remove_ipc
    if setting is None:
        return Answer.not_verifiable("a configuração do logind não pôde ser lida")
    return judged(not setting, f"RemoveIPC={'yes' if setting else 'no'}")


@rule("brazilian-locale", "C", "CB V DM §6.4", title="Locale do Brasil", expected="pt_BR.UTF-8", beliefs=("locale",), anywhere=True,
      remedy="gere o locale: pacote locales, linha 'pt_BR.UTF-8 UTF-8' em /etc/locale.gen, locale-gen")  # fmt: skip
def _locale(facts: Facts) -> Answer:
    if not facts.host.locales:
        return Answer.not_verifiable("o programa locale não respondeu")
    wanted = beliefs.LOCALE.lower().replace("-", "")
    brazilian = [name for name in facts.host.locales if name.startswith("pt_BR")]
    return judged(any(name.lower().replace("-", "") == wanted for name in brazilian), listing(brazilian, "nenhum pt_BR"))


@rule("client-older", "S", "FD §6.5", title="pg_dump tão novo quanto o servidor", expected="versão igual ou maior",
      beliefs=("bundled-clients",), anywhere=True,
      remedy="instale o cliente do PostgreSQL da versão do servidor (postgresql-client-NN)")  # fmt: skip
def _client(facts: Facts) -> Answer:
    database, clients = facts.database.facts, facts.host.dump_clients
    if database is None:
        if not facts.present:
            return Answer.not_applicable("não há banco com que comparar")
        return Answer.not_verifiable("o banco não pôde ser consultado")
    if not clients:
        return Answer.diverges("nenhum pg_dump neste servidor")
    newest, number = max(clients), database.server_version_num
    server = (number // 10000,) if number >= 100000 else (number // 10000, number // 100 % 100)
    return judged(newest[: len(server)] >= server, f"pg_dump {'.'.join(map(str, newest))}; servidor {database.server_version}")


@rule("memory", "C", "M §6.6", title="Memória", expected="a da tabela oficial", anywhere=True,
      remedy="aumente a memória do servidor")  # fmt: skip
def _memory(facts: Facts) -> Answer:
    size, memory = official_size(facts.simultaneous_users), facts.host.memory_bytes
    local = facts.database_is_local or not facts.present
    wanted = size.application_memory_gb + (size.database_memory_gb if local else 0)
    if memory is None:
        return Answer.not_verifiable("a memória não pôde ser lida")
    return judged(memory >= wanted * GB * 0.9, f"{_gb(memory)}; a tabela pede {wanted} GB para {facts.simultaneous_users} usuários")


@rule("processors", "C", "M §8", title="Processadores", expected="os da tabela oficial", anywhere=True,
      remedy="aumente os processadores do servidor")  # fmt: skip
def _processors(facts: Facts) -> Answer:
    here, cores = facts.host.processors, official_size(facts.simultaneous_users).cores
    return judged(here >= cores, f"{here}; a tabela pede {cores} para {facts.simultaneous_users} usuários")


@rule("fonts", "S", "FD §6.7", title="Fontes para imprimir", expected="fontconfig e pelo menos uma fonte", anywhere=True,
      remedy="instale fontconfig e fontes (fonts-liberation, ou ttf-mscorefonts-installer)")  # fmt: skip
def _fonts(facts: Facts) -> Answer:
    fonts = facts.host.fonts
    return Answer.diverges("fontconfig não está instalado") if fonts is None else judged(fonts > 0, f"{fonts} fonte(s)")


@rule("disk", "S", "DM §6.13", title="Espaço em disco", expected="cabe outra cópia do banco e o instalador", anywhere=True,
      remedy="libere espaço antes de atualizar, copiar ou restaurar")  # fmt: skip
def _disk(facts: Facts) -> Answer:
    if not facts.host.disks:
        return Answer.not_verifiable("o espaço em disco não pôde ser lido")
    database = facts.database.facts.size_bytes if facts.database.facts and facts.database_is_local else 0
    needed = database + ROOM_FOR_INSTALLER
    found = listing([f"{disk.path}: {_gb(disk.free_bytes)} livres" for disk in facts.host.disks])
    return judged(min(disk.free_bytes for disk in facts.host.disks) >= needed, f"{found}; para migrar com folga: {_gb(needed)}")
