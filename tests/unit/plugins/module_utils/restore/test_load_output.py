# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from ansible_collections.esus.pec.plugins.module_utils.restore.load_output import LoadOutput

ERRORS = [
    'psql:<stdin>:812: ERROR:  relation "tb_x" does not exist',
    'psql:<stdin>:812: ERRO:  relação "tb_x" não existe',
    'ERROR:  syntax error at or near "x"',
    'pg_restore: error: could not execute query: ERROR:  relation "tb_x" already exists',
    'pg_restore: error: could not execute query: ERRO:  relação "tb_x" já existe',
    'pg_restore: erro: não pôde executar consulta: ERRO:  relação "tb_x" já existe',
    "pg_restore: error: could not read from input file: end of file",
    "pg_restore: error: could not uncompress data: (null)",
    'pg_restore: [archiver (db)] could not execute query: ERROR:  relation "tb_x" already exists',
    "pg_restore: [custom archiver] could not read from input file: end of file",
    'psql: error: connection to server at "127.0.0.1", port 5432 failed: FATAL:  sorry, too many clients already',
    "psql:<stdin>:5: error: connection to server was lost",
    "psql:<stdin>:5: FATAL:  terminando conexão por causa de um comando do administrador",
]
WARNINGS = [
    "pg_restore: warning: restoring tables WITH OIDS is not supported anymore",
    "pg_restore: aviso: algo",
    'psql:<stdin>:9: WARNING:  column "x" has type "unknown"',
    "psql:<stdin>:9: AVISO:  não há transação em execução",
]
NEITHER = [
    'psql:<stdin>:9: NOTICE:  extension "unaccent" already exists, skipping',
    'psql:<stdin>:9: NOTA:  extensão "unaccent" já existe, ignorando',
    'pg_restore: processing data for table "public.tb_error"',
    'pg_restore: creating TABLE "public.erro"',
    "Command was: CREATE TABLE public.tb_x (ERROR: text);",
    "DETAIL:  Key (nu_cpf)=(52998224725) already exists.",
    'CONTEXT:  COPY tb_cidadao, line 5, column no_cidadao: "ERRO Maria"',
    "pg_restore: while PROCESSING TOC:",
    "pg_restore: [archiver (db)] Error while PROCESSING TOC:",
    "pg_restore: warning: errors ignored on restore: 3",
    "pg_restore: aviso: erros ignorados durante restauração: 3",
    "",
]


def output(*lines: str) -> LoadOutput:
    result = LoadOutput()
    for line in lines:
        result.read("pg_restore", line)
    return result


@pytest.mark.parametrize("line", ERRORS)
def test_errors(line: str) -> None:
    result = output(line)
    assert (result.errors, result.warnings, result.harmless) == (1, 0, 0)
    assert line in result.complaint()


@pytest.mark.parametrize("line", WARNINGS)
def test_warnings(line: str) -> None:
    result = output(line)
    assert (result.errors, result.warnings, result.first_warnings, result.complaint()) == (0, 1, [line], "")


@pytest.mark.parametrize("line", NEITHER)
def test_the_rest(line: str) -> None:
    result = output(line)
    assert (result.errors, result.warnings, result.harmless) == (0, 0, 0)


@pytest.mark.parametrize(
    "line",
    [
        'pg_restore: error: could not execute query: ERROR:  unrecognized configuration parameter "transaction_timeout"',
        'pg_restore: error: could not execute query: ERRO:  parâmetro de configuração "transaction_timeout" desconhecido',
        'pg_restore: error: could not execute query: ERRO:  parâmetro de configuração não reconhecido "default_table_access_method"',
    ],
)
def test_settings_that_an_older_server_does_not_know_do_no_harm(line: str) -> None:
    result = output(line, "Command was: SET transaction_timeout = 0;", "pg_restore: warning: errors ignored on restore: 1")
    assert (result.errors, result.harmless, result.complaint()) == (0, 1, "")


@pytest.mark.parametrize(
    "line", ["pg_restore: warning: errors ignored on restore: 12", "pg_restore: aviso: erros ignorados durante restauração: 12"]
)
def test_what_pg_restore_counted_itself(line: str) -> None:
    assert output("pg_restore: error: pg_restore: from TOC entry 3538; 2604 16905 DEFAULT tb_x co_x esus", line).ignored == 12
    assert output().ignored is None


def test_an_unknown_setting_of_the_dump_itself_is_an_error() -> None:
    assert output('psql:<stdin>:3: ERROR:  unrecognized configuration parameter "my.setting"').errors == 1


def test_the_object_is_named_and_rows_are_not_quoted() -> None:
    result = output(
        "pg_restore: from TOC entry 3456; 1259 16388 FK CONSTRAINT tb_agendado fk_cidadao esus",
        "pg_restore: error: could not execute query: ERROR:  insert or update violates foreign key constraint",
        'DETAIL:  Key (co_cidadao)=(4711) is not present in table "tb_cidadao".',
        "Command was: ALTER TABLE ONLY public.tb_agendado ADD CONSTRAINT ...",
    )
    assert result.errors == 1
    assert "(FK CONSTRAINT tb_agendado fk_cidadao)" in result.complaint()
    assert "4711" not in result.complaint()


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        (
            'psql:<stdin>:9: ERROR:  invalid input syntax for type bigint: "Maria: da "Silva""',
            'invalid input syntax for type bigint: "..."',
        ),
        (
            'psql:<stdin>:9: ERRO:  sintaxe de entrada é inválida para tipo date: "Maria"',
            'sintaxe de entrada é inválida para tipo date: "..."',
        ),
        ('psql:<stdin>:9: ERROR:  could not extend file "base/1/2": No space', 'could not extend file "base/1/2": No space'),
    ],
)
def test_a_value_out_of_a_row_is_not_shown(line: str, shown: str) -> None:
    assert output(line).complaint().endswith(shown)


def test_the_first_five_are_shown_and_all_are_counted() -> None:
    complaint = output(*(f"psql:<stdin>:{number}: ERROR:  no" for number in range(7))).complaint()
    assert complaint.startswith("7 errors: psql:<stdin>:0: ERROR:  no; ")
    assert complaint.endswith("psql:<stdin>:4: ERROR:  no (and 2 more)")


@pytest.mark.parametrize(
    "line",
    [
        'pg_restore: error: could not execute query: ERROR:  could not extend file "base/1/2": No space left on device',
        'psql:<stdin>:9: ERRO:  não pôde estender arquivo "base/1/2": Não há espaço disponível no dispositivo',
        "psql:<stdin>:9: FATAL:  terminating connection due to administrator command",
        "pg_restore: error: could not execute query: server closed the connection unexpectedly",
    ],
)
def test_it_is_stopped_when_it_is_hopeless(line: str) -> None:
    calls = []
    result = LoadOutput(lambda: calls.append(1))
    for _again in range(3):
        result.read("pg_restore", line)
    assert len(calls) == 1
    assert "after which it was stopped" in result.complaint()


def test_it_is_stopped_after_many_errors() -> None:
    calls = []
    result = LoadOutput(lambda: calls.append(1))
    for number in range(30):
        result.read("pg_restore", f"pg_restore: error: {number}")
    assert len(calls) == 1


@pytest.mark.parametrize("value", ['"Maria da Silva"', '"Maria da Silva', '"Maria ""da"" Silva"'])
def test_no_value_of_a_row_is_shown_even_if_it_has_several_lines(value: str) -> None:
    said = LoadOutput()
    said.read("psql", f"psql:<stdin>:7: ERROR:  invalid input syntax for type bigint: {value}")
    assert said.complaint() == '1 error: psql:<stdin>:7: ERROR:  invalid input syntax for type bigint: "..."'


def explained(*pairs: tuple[str, str]) -> LoadOutput:
    """The output about these objects, with the server's error about each."""
    names = {number: name for number, (name, _error) in enumerate(pairs, 1)}
    result = LoadOutput(name_of=lambda number: names.get(number, ""))
    for number, (name, error) in enumerate(pairs, 1):
        result.read("pg_restore", f"pg_restore: from TOC entry {number}; 1259 16388 {name} esus")
        result.read("pg_restore", f"pg_restore: error: could not execute query: ERROR:  {error}")
    return result


@pytest.mark.parametrize(
    ("error", "why"),
    [
        ("column c.relhasoids does not exist", "catalogs"),
        ('column "proisagg" does not exist', "catalogs"),
        ("coluna pg_attrdef.adsrc não existe", "catalogs"),
        ('relation "pg_catalog.pg_pltemplate" does not exist', "catalogs"),
        ('type "abstime" does not exist', "abstime"),
        ('type "pg_catalog.reltime" does not exist', "abstime"),
        ('column "a" has pseudo-type unknown', "unknown"),
        ("tables declared WITH OIDS are not supported", "WITH OIDS"),
    ],
)
def test_what_the_server_cannot_hold_is_explained(error: str, why: str) -> None:
    complaint = explained(("VIEW public.vw_x", error)).complaint()
    assert "1 error: this server cannot hold this object: VIEW public.vw_x: it" in complaint and why in complaint
    assert "skip_objects: ['VIEW public.vw_x'] (role: pec_restore_skip_objects)" in complaint


def test_all_that_the_server_cannot_hold_are_named() -> None:
    result = explained(*[(f"VIEW public.vw_{number}", "column c.relhasoids does not exist") for number in range(50)])
    assert not result.stopped
    assert "these 50 objects" in result.complaint() and "VIEW public.vw_49: it reads" in result.complaint()


def test_rows_are_not_left_out_lightly() -> None:
    complaint = explained(("TABLE public.tb_x", 'type "abstime" does not exist')).complaint()
    assert "skip_objects" not in complaint and "TABLE public.tb_x may hold data: change it on the old server" in complaint
    assert "without -o (--oids)" in explained(("TABLE DATA public.tb_x", 'syntax error at or near "WITH"')).complaint()


@pytest.mark.parametrize("kind", ["TABLE DATA", "INDEX", "MATERIALIZED VIEW DATA", "CONSTRAINT"])
@pytest.mark.parametrize(
    "error", ["function tira(text) does not exist", 'relation "tb_de_para" does not exist', "função tira(text) não existe"]
)
def test_a_name_without_schema_is_explained(kind: str, error: str) -> None:
    complaint = explained((f"{kind} public.x", error)).complaint()
    assert f"a function that {kind} public.x uses names" in complaint and "set function_search_path" in complaint


@pytest.mark.parametrize("error", ['relation "public.tb_x" does not exist', 'duplicate key value violates unique constraint "pk"'])
def test_other_errors_are_not_explained_so(error: str) -> None:
    assert "function_search_path" not in explained(("INDEX public.x", error)).complaint()


def test_the_line_of_a_plain_dump_names_its_object() -> None:
    result = LoadOutput(name_of=lambda line: "VIEW public.vw_x" if line == 12 else "")
    result.read("psql", "psql:<stdin>:12: ERROR:  column c.relhasoids does not exist")
    assert "VIEW public.vw_x: it reads a part" in result.complaint()


def test_text_in_another_encoding_is_explained() -> None:
    complaint = explained(("TABLE DATA public.x", 'invalid byte sequence for encoding "UTF8": 0xe9 0x22')).complaint()
    assert "replace SQL_ASCII in the line SET client_encoding by WIN1252" in complaint
