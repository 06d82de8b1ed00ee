# SPDX-License-Identifier: GPL-3.0-or-later
"""The beliefs about PEC's database. Private to the collection."""

from __future__ import annotations

import re

from ansible_collections.esus.pec.plugins.module_utils import beliefs
from ansible_collections.esus.pec.plugins.module_utils.doctor.facts import Facts
from ansible_collections.esus.pec.plugins.module_utils.doctor.model import (
    BUNDLED,
    DATABASE,
    DATABASE_FACTS,
    EXTERNAL_UNKNOWN,
    Answer,
    belief,
    judged,
    listing,
    unasked,
)
from ansible_collections.esus.pec.plugins.module_utils.preflight.database import OLDEST_SERVER, USABLE_AUTHENTICATION
from ansible_collections.esus.pec.plugins.module_utils.preflight.judging import INSTALLATION_TYPES

_VERSION = re.compile(r"\d+\.\d+\.\d+")
_COLUMNS = {"co_config_sistema", "ds_texto", "ds_inteiro"}


@belief("locale", "Locale do PostgreSQL embutido", needs=(BUNDLED,))
def _locale(facts: Facts) -> Answer:
    settings = facts.database.locale
    shown = listing([f"{name}={setting}" for name, setting in settings.items()])
    return judged(set(settings.values()) == {beliefs.LOCALE}, shown) if settings else unasked(facts)


@belief("database-name", "Nome do banco")
def _database_name(facts: Facts) -> Answer:
    connection = facts.installation.connection
    if connection is None:
        return Answer.not_verifiable("nenhuma conexão foi encontrada nos arquivos")
    if connection.database != beliefs.DATABASE_NAME and not facts.bundled:
        return Answer.not_applicable(f"{connection.database}, escolhido por quem instalou")
    return judged(connection.database == beliefs.DATABASE_NAME, connection.database)


@belief("read-only-role", "Usuário de leitura no banco", needs=(DATABASE,))
def _read_only_role(facts: Facts) -> Answer:
    if beliefs.READ_ONLY_ROLE in facts.database.roles:
        return Answer.ok("existe")
    return Answer.diverges("não existe") if facts.bundled else Answer.not_verifiable(f"não existe; {EXTERNAL_UNKNOWN}")


@belief("settings-table", "Tabela de configurações", "{value}, com co_config_sistema, ds_texto e ds_inteiro", needs=(DATABASE,))
def _settings_table(facts: Facts) -> Answer:
    columns = facts.database.columns
    return judged(set(columns) >= _COLUMNS, listing([f"{name} ({kind})" for name, kind in columns.items()], "a tabela não existe"))


def _exists(facts: Facts, table: str) -> Answer:
    return Answer.ok("existe") if table in facts.database.tables else Answer.diverges("a tabela não existe")


@belief("tables-usual", "Número de tabelas", "cerca de {value}", needs=(DATABASE_FACTS,))
def _tables_usual(facts: Facts) -> Answer:
    count = facts.database.facts.table_count if facts.database.facts else 0
    return Answer.discovered(str(count))


@belief("tables-at-least", "Menor número de tabelas", "{value} ou mais", needs=(DATABASE_FACTS,))
def _tables_at_least(facts: Facts) -> Answer:
    count = facts.database.facts.table_count if facts.database.facts else 0
    return judged(count >= beliefs.TABLES_AT_LEAST, str(count))


@belief("places-table", "Tabela de localidades", needs=(DATABASE,))
def _places_table(facts: Facts) -> Answer:
    return _exists(facts, beliefs.PLACES_TABLE)


@belief("municipalities-table", "Tabela dos municípios da instalação", needs=(DATABASE,))
def _municipalities_table(facts: Facts) -> Answer:
    return _exists(facts, beliefs.MUNICIPALITIES_TABLE)


@belief("migrations-table", "Tabela das migrações", needs=(DATABASE,))
def _migrations_table(facts: Facts) -> Answer:
    return _exists(facts, beliefs.MIGRATIONS_TABLE)


@belief("migration-lock-table", "Tabela da trava da migração", needs=(DATABASE,))
def _migration_lock_table(facts: Facts) -> Answer:
    return _exists(facts, beliefs.MIGRATION_LOCK_TABLE)


def _setting(facts: Facts, key: str, column: str = "ds_texto", value: str = "", valid: bool = True) -> Answer:
    """A setting is as believed if the column that we read holds something, valid if that can be judged.

    The values shown say something about PEC, and nothing about the people who use it.
    """
    settings = facts.database.settings
    if settings is None:
        return unasked(facts)
    if not settings.get(key):
        return Answer.not_verifiable("ainda não gravado no banco (a primeira execução foi feita?)")
    return judged(column in settings[key] and valid, f"em {listing(settings[key])}" + (f": {value}" if value else ""))


@belief("version-key", "Versão gravada no banco", "{value} em ds_texto, três números")
def _version_key(facts: Facts) -> Answer:
    settings, known = facts.database.settings, facts.database.facts
    if settings is not None and not settings.get(beliefs.VERSION_KEY):
        return Answer.diverges("não está no banco")
    version = (known.pec_version if known else None) or ""
    return _setting(facts, beliefs.VERSION_KEY, value=version, valid=bool(_VERSION.fullmatch(version)))


@belief("training-key", "Marca de treinamento", "{value} em ds_inteiro, 0 ou 1")
def _training_key(facts: Facts) -> Answer:
    known = facts.database.facts
    shown = {None: "", True: "1", False: "0"}[known.training if known else None]
    return _setting(facts, beliefs.TRAINING_KEY, "ds_inteiro", shown)


@belief("name-key", "Nome da instalação", "{value} em ds_texto")
def _name_key(facts: Facts) -> Answer:
    return _setting(facts, beliefs.NAME_KEY)


@belief("link-key", "Endereço (link) da instalação", "{value} em ds_texto")
def _link_key(facts: Facts) -> Answer:
    return _setting(facts, beliefs.LINK_KEY)


@belief("type-key", "Tipo da instalação", "{value} em ds_texto: PRONTUARIO ou CENTRALIZADORA")
def _type_key(facts: Facts) -> Answer:
    kind = (facts.database.facts.installation_type if facts.database.facts else None) or ""
    return _setting(facts, beliefs.TYPE_KEY, value=kind, valid=kind in INSTALLATION_TYPES)


@belief("password-encryption", "Autenticação que o driver do PEC conhece", "no máximo {value}")
def _password_encryption(facts: Facts) -> Answer:
    method = facts.database.authentication
    if method is None:
        return unasked(facts)
    if method == "scram-sha-256" and facts.web.reachable:
        return Answer.diverges("o servidor pede scram-sha-256 e o PEC funciona: o driver já o conhece")
    if method in USABLE_AUTHENTICATION:
        return Answer.ok(f"o servidor pede {method}")
    return Answer.not_verifiable(f"o servidor pede {method}, e o PEC não responde")


@belief("postgresql-minimum", "PostgreSQL mais antigo que serve", "{value} ou mais novo", needs=(DATABASE_FACTS,))
def _postgresql_minimum(facts: Facts) -> Answer:
    known = facts.database.facts
    return judged(known.server_version_num >= OLDEST_SERVER, known.server_version) if known else unasked(facts)
