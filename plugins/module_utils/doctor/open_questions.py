# SPDX-License-Identifier: GPL-3.0-or-later
"""What nobody outside knows yet and a real server can answer: facts without judgement, for the contract (its [?] and [I])."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable

from ansible_collections.esus.pec.plugins.module_utils import beliefs
from ansible_collections.esus.pec.plugins.module_utils.doctor.facts import Facts, Keys
from ansible_collections.esus.pec.plugins.module_utils.doctor.model import Answer, discovered, listing, not_applicable, not_verifiable
from ansible_collections.esus.pec.plugins.module_utils.doctor.words import EXTERNAL, STOPPED

GB = 10**9
_BANDS = ((1, "menos de 1 GB"), (5, "1 a 5 GB"), (20, "5 a 20 GB"), (50, "20 a 50 GB"), (100, "50 a 100 GB"))

TABLES = ("tb_migracao", "tb_migracao_trava", "tb_adm_municipal", "tb_cfg_rnds", "tb_cfg_certificado", "tb_ativacao_agendamento_online")
"""Tables of which only a name is known, or that seem to have been renamed (contract, section 3)."""


@dataclass(frozen=True)
class Question:
    """Something to learn; C(section) is where the contract leaves it open."""

    id: str
    section: str
    title: str
    beliefs: tuple[str, ...]
    look: Callable[[Facts], Answer]


def _unit_text(name: str) -> Callable[[Facts], Answer]:
    def look(facts: Facts) -> Answer:
        text = facts.host.unit_texts.get(name)
        return discovered(text) if text else not_applicable("o serviço não está instalado")

    return look


def _names(keys: Keys | None) -> Answer:
    if keys is None:
        return not_applicable("o arquivo não existe")
    if keys.problem:
        return not_verifiable(keys.problem)
    odd = f"; mais {keys.odd} que não parecem chave (omitidas)" if keys.odd else ""
    return discovered(f"{listing(keys.names)}{odd}")


def _application_keys(facts: Facts) -> Answer:
    return _names(facts.files.application)


def _ssl_keys(facts: Facts) -> Answer:
    return _names(facts.files.ssl)


def _bundled_config(facts: Facts) -> Answer:
    return _names(facts.files.config) if facts.bundled else not_applicable(EXTERNAL)


def _database(look: Callable[[Facts], Answer]) -> Callable[[Facts], Answer]:
    def asked(facts: Facts) -> Answer:
        return not_verifiable(f"o banco não pôde ser consultado: {facts.database.error}") if facts.database.error else look(facts)

    return asked


def _settings(facts: Facts) -> Answer:
    settings = facts.database.settings
    if settings is None:
        return not_verifiable(f"{beliefs.SETTINGS_TABLE} não se lê")
    return discovered(listing([f"{key} ({'/'.join(columns) or 'vazia'})" for key, columns in sorted(settings.items())]))


def _type(facts: Facts) -> Answer:
    known = facts.database.facts
    return discovered(known.installation_type) if known and known.installation_type else not_verifiable("não está gravado")


def _size(facts: Facts) -> Answer:
    known = facts.database.facts
    if known is None:
        return not_verifiable(facts.database.facts_error)
    band = next((name for limit, name in _BANDS if known.size_bytes < limit * GB), "100 GB ou mais")
    return discovered(f"{band}, {known.table_count} tabelas, PostgreSQL {known.server_version}, {known.encoding}, {known.collation}")


def _extensions(facts: Facts) -> Answer:
    return discovered(listing(facts.database.extensions, "nenhuma"))


def _large_objects(facts: Facts) -> Answer:
    count = facts.database.large_objects
    return not_verifiable("sem permissão para contar") if count is None else discovered("nenhum" if count == 0 else f"{count} objeto(s)")


def _tables(facts: Facts) -> Answer:
    return discovered(listing([f"{name}: {'existe' if name in facts.database.tables else 'não existe'}" for name in TABLES]))


def _info(facts: Facts) -> Answer:
    if not facts.web.reachable:
        return not_verifiable(STOPPED)
    keys = facts.web.info_keys
    if keys is None:
        return not_verifiable("a resposta não é JSON")
    return discovered(listing([f"{name} ({kind})" for name, kind in keys.items()]))


def _credentials(facts: Facts) -> Answer:
    content, seen = facts.files.credentials, facts.files.paths.get("credentials-file")
    if content is None or seen is None:
        return not_applicable("o arquivo não existe")
    return discovered(f"{seen.size} bytes, {content.lines} linhas, {content.encoding}; {content.problem or listing(content.order)}")


def _java(facts: Facts) -> Answer:
    java = facts.files.jre_java
    if not java:
        return not_verifiable("sem jre/current/bin/java")
    return discovered(f"Java {java}; diretórios: {listing(facts.files.jre_versions)}")


def _java_options(facts: Facts) -> Answer:
    if facts.files.standalone_renews is None:
        return not_applicable("standalone.sh não existe")
    return discovered(listing(facts.files.standalone_options, "nenhuma opção -X ou -D"))


def _java_conf(facts: Facts) -> Answer:
    return discovered("existe" if facts.files.java_conf else "não existe")


QUESTIONS = (
    Question("pec-unit-text", "2", "Texto do serviço da aplicação", ("pec-unit",), _unit_text(beliefs.PEC_UNIT)),
    Question("database-unit-text", "2", "Texto do serviço do PostgreSQL embutido", ("database-unit",), _unit_text(beliefs.DATABASE_UNIT)),
    Question("config-keys-bundled", "2", "Chaves de /etc/pec.config com banco embutido", ("config-keys",), _bundled_config),
    Question("application-keys", "2", "Chaves de application.properties", ("datasource-keys", "server-keys"), _application_keys),
    Question("ssl-keys", "2", "Chaves de ssl.properties", ("ssl-domain-key",), _ssl_keys),
    Question("credentials-form", "2", "Forma de credenciais.txt", ("credentials-file",), _credentials),
    Question("java-version", "8", "Java que vem com o PEC", ("jre-current", "java-major"), _java),
    Question("java-options", "2", "Opções do Java em standalone.sh", ("standalone",), _java_options),
    Question("java-conf", "2", "/etc/java.conf", (), _java_conf),
    Question("settings-keys", "3", "Chaves de tb_config_sistema e suas colunas", ("settings-table",), _database(_settings)),
    Question("installation-type", "3", "Valor de TIPOINSTALACAO", ("type-key",), _database(_type)),
    Question("extensions", "3", "Extensões no banco", (), _database(_extensions)),
    Question("size", "3", "Tamanho do banco (faixa)", ("postgresql-minimum",), _database(_size)),
    Question("large-objects", "3", "Anexos em large objects", (), _database(_large_objects)),
    Question("tables", "3", "Tabelas de nome incerto", (), _database(_tables)),
    Question("info-keys", "4", "Campos de /api/public/info", ("info-path", "info-version-key"), _info),
)  # fmt: skip
