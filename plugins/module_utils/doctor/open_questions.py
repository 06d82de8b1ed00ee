# SPDX-License-Identifier: GPL-3.0-or-later
"""What nobody outside knows yet and a real server can answer, without judgement (the contract's [?] and [I]). Private to the collection."""

from __future__ import annotations

from ansible_collections.esus.pec.plugins.module_utils import beliefs
from ansible_collections.esus.pec.plugins.module_utils.doctor.check_files import names
from ansible_collections.esus.pec.plugins.module_utils.doctor.facts import TABLES, Facts, Keys
from ansible_collections.esus.pec.plugins.module_utils.doctor.model import BUNDLED, DATABASE, WEB, Answer, listing, question

GB = 10**9
_BANDS = ((1, "menos de 1 GB"), (5, "1 a 5 GB"), (20, "5 a 20 GB"), (50, "20 a 50 GB"), (100, "50 a 100 GB"))


def _unit_text(facts: Facts, unit: str) -> Answer:
    text = facts.host.unit_texts.get(unit)
    return Answer.discovered(text) if text else Answer.not_applicable("o serviço não está instalado")


def _names(keys: Keys | None) -> Answer:
    if keys is None:
        return Answer.not_applicable("o arquivo não existe")
    return Answer.not_verifiable(keys.problem) if keys.problem else Answer.discovered(names(keys))


@question("pec-unit-text", "2", "Texto do serviço da aplicação", beliefs=("pec-unit",))
def _pec_unit_text(facts: Facts) -> Answer:
    return _unit_text(facts, beliefs.PEC_UNIT)


@question("database-unit-text", "2", "Texto do serviço do PostgreSQL embutido", beliefs=("database-unit",))
def _database_unit_text(facts: Facts) -> Answer:
    return _unit_text(facts, beliefs.DATABASE_UNIT)


@question("config-keys-bundled", "2", "Chaves de /etc/pec.config com banco embutido", beliefs=("config-keys",), needs=(BUNDLED,))
def _bundled_config(facts: Facts) -> Answer:
    return _names(facts.files.config)


@question("application-keys", "2", "Chaves de application.properties", beliefs=("datasource-keys", "server-keys"))
def _application_keys(facts: Facts) -> Answer:
    return _names(facts.files.application)


@question("ssl-keys", "2", "Chaves de ssl.properties", beliefs=("ssl-domain-key",))
def _ssl_keys(facts: Facts) -> Answer:
    return _names(facts.files.ssl)


@question("credentials-form", "2", "Forma de credenciais.txt", beliefs=("credentials-file",))
def _credentials(facts: Facts) -> Answer:
    content, seen = facts.files.credentials, facts.files.paths.get("credentials-file")
    if content is None or seen is None:
        return Answer.not_applicable("o arquivo não existe")
    return Answer.discovered(f"{seen.size} bytes, {content.lines} linhas, {content.encoding}; {content.problem or listing(content.order)}")


@question("java-version", "8", "Java que vem com o PEC", beliefs=("jre-current", "java-major"))
def _java(facts: Facts) -> Answer:
    java = facts.files.jre_java
    if not java:
        return Answer.not_verifiable("sem jre/current/bin/java")
    return Answer.discovered(f"Java {java}; diretórios: {listing(facts.files.jre_versions)}")


@question("java-options", "2", "Opções do Java em standalone.sh", beliefs=("standalone",))
def _java_options(facts: Facts) -> Answer:
    if facts.files.standalone_renews is None:
        return Answer.not_applicable("standalone.sh não existe")
    return Answer.discovered(listing(facts.files.standalone_options, "nenhuma opção -X ou -D"))


@question("java-conf", "2", "/etc/java.conf")
def _java_conf(facts: Facts) -> Answer:
    return Answer.discovered("existe" if facts.files.java_conf else "não existe")


@question("settings-keys", "3", "Chaves de tb_config_sistema e suas colunas", beliefs=("settings-table",), needs=(DATABASE,))
def _settings(facts: Facts) -> Answer:
    settings = facts.database.settings
    if settings is None:
        return Answer.not_verifiable(f"{beliefs.SETTINGS_TABLE} não pôde ser lida")
    return Answer.discovered(listing([f"{key} ({'/'.join(columns) or 'vazia'})" for key, columns in sorted(settings.items())]))


@question("installation-type", "3", "Valor de TIPOINSTALACAO", beliefs=("type-key",), needs=(DATABASE,))
def _type(facts: Facts) -> Answer:
    known = facts.database.facts
    return Answer.discovered(known.installation_type) if known and known.installation_type else Answer.not_verifiable("não está gravado")


@question("extensions", "3", "Extensões no banco", needs=(DATABASE,))
def _extensions(facts: Facts) -> Answer:
    return Answer.discovered(listing(facts.database.extensions, "nenhuma"))


@question("size", "3", "Tamanho do banco (faixa)", beliefs=("postgresql-minimum",), needs=(DATABASE,))
def _size(facts: Facts) -> Answer:
    known = facts.database.facts
    if known is None:
        return Answer.not_verifiable(facts.database.facts_error)
    band = next((name for limit, name in _BANDS if known.size_bytes < limit * GB), "100 GB ou mais")
    return Answer.discovered(f"{band}, {known.table_count} tabelas, PostgreSQL {known.server_version}, {known.encoding}, {known.collation}")


@question("large-objects", "3", "Anexos em large objects", needs=(DATABASE,))
def _large_objects(facts: Facts) -> Answer:
    count = facts.database.large_objects
    if count is None:
        return Answer.not_verifiable("sem permissão para contar")
    return Answer.discovered("nenhum" if count == 0 else f"{count} objeto(s)")


@question("tables", "3", "Tabelas de nome incerto", needs=(DATABASE,))
def _tables(facts: Facts) -> Answer:
    return Answer.discovered(listing([f"{name}: {'existe' if name in facts.database.tables else 'não existe'}" for name in TABLES]))


@question("info-keys", "4", "Campos de /api/public/info", beliefs=("info-path", "info-version-key"), needs=(WEB,))
def _info(facts: Facts) -> Answer:
    keys = facts.web.info_keys
    if keys is None:
        return Answer.not_verifiable("a resposta não é JSON")
    return Answer.discovered(listing([f"{name} ({kind})" for name, kind in keys.items()]))
