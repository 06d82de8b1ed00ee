# SPDX-License-Identifier: GPL-3.0-or-later
"""Prints a SQL script that fills an empty database with what PEC's looks like from outside.

    python benchmarks/generate.py --scale 0.1 | psql -qX -v ON_ERROR_STOP=1 DATABASE

A thousand tables of which 24 are large, three thousand indexes, two thousand foreign keys, twelve thousand entries in the table of
contents of a dump; notes in Portuguese HTML, jsonb, bytea that nothing compresses, large objects. Scale 1 is a database of about
1.9 GB. All rows are made in the server (10 or later) out of hashes of their numbers, so that two runs give the same rows. No row is
anybody's: the people, the notes and the names of most tables are invented.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterator

from large_tables import LARGE, Large, constants, expand

TABLES = 1000
PREFIXES = ("tb", "ta", "rl", "tl")
NOUNS = (
    "acesso alergia antecedente atestado avaliacao bairro cargo cbo ciap cid condicao conduta convenio cuidado diagnostico dispensacao "
    "domicilio dose equipe escala especialidade evento familia ficha gestacao grupo historico imovel internacao item"
)
DETAILS = (
    "agenda anexo beneficio cadastro classe criterio detalhe envio etapa forma imuno lista local motivo nivel origem parametro parte "
    "perfil periodo prazo regra situacao tipo turno unidade uso valor versao vinculo"
)
READ_ONLY_ROLE = "esus_leitura"

HEAD = """\
\\o /dev/null
set client_encoding = 'UTF8';
set client_min_messages = warning;
set synchronous_commit = off;
set maintenance_work_mem = '256MB';
set timezone = 'America/Sao_Paulo';
"""
CORE = """\
create type tp_situacao as enum ('ABERTO', 'CONCLUÍDO', 'CANCELADO');
create domain nu_percentual as numeric(5, 2) check (value between 0 and 100);
create table tb_config_sistema (
  co_config_sistema varchar(255) primary key, ds_config_sistema varchar(255), ds_texto varchar(255), ds_inteiro integer,
  st_disponivel_sistema integer, ds_binario bytea);
insert into tb_config_sistema (co_config_sistema, ds_config_sistema, ds_texto, ds_inteiro) values
  ('VERSAOBANCODADOS', 'Versão do banco de dados', '{version}', null),
  ('TREINAMENTO', 'Instalação de treinamento', null, 0),
  ('LINKINSTALACAO', 'Link da instalação', 'https://pec.municipio.example', null),
  ('NOMEINSTALACAO', 'Nome da instalação', 'Município de São João do Exemplo', null),
  ('TIPOINSTALACAO', 'Tipo da instalação', 'PRONTUARIO', null);
create table tb_migracao (
  id varchar(255), author varchar(255), filename varchar(255), dateexecuted timestamp, orderexecuted integer, md5sum varchar(35));
insert into tb_migracao
  select 'changeset-' || n, 'exemplo', 'db/changelog-' || n || '.yaml', timestamp '2024-01-01' + n * interval '1 hour',
    n, '8:' || md5(n::text) from generate_series(1, 500) n;
create table tb_anotacao_livre (
  co_seq_anotacao_livre bigserial primary key, ds_anotacao text, situacao tp_situacao default 'ABERTO',
  nu_completo nu_percentual default 0);
"""
# Texts that a program which edits a dump's lines, or splits them, would stumble over.
HARD_TEXTS = (
    r"E'\\N'", r"E'\\.'", r"E'\\connect outra'", r"E'uma linha\noutra linha\r\ne\tuma coluna'", r"E'barra \\ e aspas \" e '' e $$ e %s'",
    "'ALTER TABLE public.tb_cidadao OWNER TO outra;'", "'GRANT ALL ON TABLE public.tb_cidadao TO PUBLIC;'", "'-- comentário'",
    r"E'-- PostgreSQL database dump complete\n'", "''", "null", "'açúcar, pão, Ünïcödé, 日本語, 🩺'", "repeat('muito longo ', 20000)",
)  # fmt: skip
CODE = """\
create function fn_idade(nascimento date, hoje date) returns integer language sql immutable as
  'select extract(year from age(hoje, nascimento))::integer';
create function fn_sem_acento(texto text) returns text language sql immutable as
  $$select lower(translate(texto, 'ÁÂÃÀÇÉÊÍÓÔÕÚáâãàçéêíóôõú', 'AAAACEEIOOOUaaaaceeiooou'))$$;
create function fn_auditar() returns trigger language plpgsql as
  $$begin new.dt_alteracao := coalesce(new.dt_alteracao, timestamp '2025-01-01'); return new; end$$;
create view vw_cidadao_ativo as select co_seq_cidadao, no_cidadao, public.fn_sem_acento(no_cidadao) as no_filtro
  from tb_cidadao where st_ativo = 1;
create materialized view mv_atend_por_mes as select date_trunc('month', dt_inicio) as mes, count(*) as qt from tb_atend group by 1;
create index in_cidadao_filtro on tb_cidadao (public.fn_sem_acento(no_cidadao));
create index in_cidadao_ativo on tb_cidadao (co_seq_cidadao) where st_ativo = 1;
create index in_cidadao_contatos on tb_cidadao using gin (js_contatos);
"""
LARGE_OBJECTS = """\
create table tb_arquivo_externo (co_seq_arquivo_externo bigserial primary key, no_arquivo varchar(255), id_objeto oid);
insert into tb_arquivo_externo (no_arquivo, id_objeto)
  select 'laudo ' || n || '.pdf', lo_from_bytea((100000 + n)::oid, (
    select string_agg(decode(md5({seed} || '.' || n || '.' || i), 'hex'), ''::bytea) from generate_series(1, {blocks}) i))
  from generate_series(1, {count}) n;
"""


def small_tables(number: int) -> list[str]:
    """Names in PEC's manner, without one that the large tables have."""
    taken = {table.name for table in LARGE}
    names = (f"{prefix}_{noun}_{detail}" for noun, detail, prefix in itertools.product(NOUNS.split(), DETAILS.split(), PREFIXES))
    return list(itertools.islice((name for name in names if name not in taken), number))


def small_table(name: str, index: int, seed: int) -> Iterator[str]:
    """A table of a few rows. With two foreign keys and three indexes, like most of PEC's."""
    key = f"co_seq_{name[3:]}"
    yield f"""create table {name} ({key} bigserial primary key, no_item varchar(255) not null, ds_item text, st_ativo integer default 1,
  co_pai bigint, co_outro bigint, dt_inclusao timestamp, dt_alteracao timestamp, js_extra jsonb, check (st_ativo in (0, 1)));"""
    yield f"""insert into {name} (no_item, ds_item, co_pai, co_outro, dt_inclusao, js_extra) select 'Opção nº ' || n,
  'Descrição da opção ' || n || ' de {name}', 1 + n % 3, 1 + n % 5, timestamp '2020-01-01' + (n * {index + seed}) % 1500 * interval '1 day',
  jsonb_build_object('ordem', n, 'código', md5('{name}' || n)) from generate_series(1, {8 + index % 40}) n;"""
    if index % 3 == 0:
        yield f"comment on table {name} is 'Tabela de exemplo nº {index}: opções que o usuário escolhe';"


def small_table_keys(name: str, index: int, names: list[str]) -> Iterator[str]:
    """The indexes, foreign keys and triggers of a small table, whose rows are there by now."""
    yield f"create index in_{name}_1 on {name} (co_pai);"
    yield f"create index in_{name}_2 on {name} (st_ativo, dt_inclusao);"
    for column, step in (("co_pai", 1), ("co_outro", 7)):
        other = names[(index + step) % len(names)]
        yield f"alter table {name} add constraint fk_{name}_{step} foreign key ({column}) references {other};"
    if index % 8 == 0:
        yield f"create view vw_{name} as select * from {name} where st_ativo = 1;"
    if index % 4 == 0:
        yield f"create trigger tg_{name} before update on {name} for each row execute procedure fn_auditar();"


def large_table(table: Large, scale: float, seed: int) -> Iterator[str]:
    rows = table.rows_at(scale)
    columns = ", ".join(f"{name} {kind}" for name, kind, _value in table.columns)
    values = ",\n  ".join(expand(value, scale, seed) for _name, _kind, value in table.columns)
    yield f"create table {table.name} ({table.key} bigserial, {columns}, primary key ({table.key}));"
    # Random large columns would be compressed in vain.
    for name, kind, _value in table.columns:
        if kind == "bytea":
            yield f"alter table {table.name} alter column {name} set storage external;"
    names = ", ".join(name for name, _kind, _value in table.columns)
    yield f"insert into {table.name} ({names}) select {values}\n  from generate_series(1, {rows}) n, {constants()};"
    yield f"select setval('{table.name}_{table.key}_seq', {rows} + 1000);"


def large_table_keys(table: Large) -> Iterator[str]:
    for number, index in enumerate(table.indexes, 1):
        yield f"create index in_{table.name}_{number} on {table.name} ({index});"
    for column, other in table.references:
        yield f"alter table {table.name} add constraint fk_{table.name}_{column} foreign key ({column}) references {other};"


def script(scale: float, tables: int, seed: int, version: str) -> Iterator[str]:
    fixed = {"tb_config_sistema", "tb_migracao", "tb_anotacao_livre", "tb_arquivo_externo"}
    names = small_tables(max(10, tables - len(LARGE) - len(fixed)))
    yield HEAD
    yield CORE.replace("{version}", version.replace("'", "''"))
    yield "insert into tb_anotacao_livre (ds_anotacao) values " + ", ".join(f"({text})" for text in HARD_TEXTS) + ";"
    for table in LARGE:
        yield from large_table(table, scale, seed)
    yield CODE
    for index, name in enumerate(names):
        yield from small_table(name, index, seed)
    for index, name in enumerate(names):
        yield from small_table_keys(name, index, names)
    for table in LARGE:
        yield from large_table_keys(table)
    yield LARGE_OBJECTS.format(seed=seed, count=max(5, round(400 * scale)), blocks=4000)
    # Installations have a role for reports; the rights it has on each table are part of a dump.
    yield f"""do $$begin if exists (select from pg_roles where rolname = '{READ_ONLY_ROLE}') then
  grant usage on schema public to {READ_ONLY_ROLE};
  grant select on all tables in schema public to {READ_ONLY_ROLE};
  alter default privileges in schema public grant select on tables to {READ_ONLY_ROLE};
end if; end$$;"""
    yield "analyze;"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=float, default=1.0, help="1 is a database of about 1.9 GB")
    parser.add_argument("--tables", type=int, default=TABLES, help=f"how many tables, {len(LARGE) + 14} or more (default {TABLES})")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--pec-version", default="5.4.37")
    options = parser.parse_args()
    for statement in script(options.scale, options.tables, options.seed, options.pec_version):
        print(statement)


if __name__ == "__main__":
    main()
