# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from ansible_collections.esus.pec.plugins.module_utils.archive.sql_filter import SqlFilter
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError

HEAD = b"--\n-- PostgreSQL database dump\n--\n\n\\restrict abc123\n\nSET statement_timeout = 0;\n"
TAIL = b"--\n-- PostgreSQL database dump complete\n--\n\n\\unrestrict abc123\n\n"


def through(body: bytes, size: int = 1 << 20, *, server: int = 170000, head: bytes = HEAD, tail: bytes = TAIL) -> bytes:
    """What psql gets of a dump with this body, when the dump comes in pieces of this size; without head and tail."""
    stream = SqlFilter(server)
    whole = head + body + tail
    out = b"".join(stream.feed(whole[at : at + size]) for at in range(0, len(whole), size)) + stream.finish()
    begin = head.replace(b"\\restrict abc123", b"")
    end = tail.replace(b"\\unrestrict abc123", b"") + b"\n"
    assert out.startswith(begin) and out.endswith(end), out
    assert out.count(b"\n") == whole.count(b"\n") + 1, "the line numbers are those of the file"
    return out[len(begin) : len(out) - len(end)]


KEPT = [
    b"CREATE TABLE public.tb_x (\n  a integer,\n  b text DEFAULT 'a;b' NOT NULL\n);\n",
    b"COPY public.tb_x (a, b) FROM stdin;\n1\tGRANT ALL;\n\\N\t\\\\.\n2\tALTER TABLE x OWNER TO y;\n-- 'open\n\\.\n\nSELECT 1;\n",
    b"COPY public.tb_x (a) FROM stdin;\n\\.\nSELECT 1;\n",
    b"COPY public.tb_x (a) FROM stdin;\r\n1\r\n\\.\r\nSELECT 1;\r\n",
    b"COPY public.tb_x (a) FROM stdin;\n-- PostgreSQL database dump complete\n\\\\connect other\n\\.\n",
    b"INSERT INTO public.tb_x VALUES (-1, 'it''s; \\connect', 'GRANT x;\nALTER TABLE y OWNER TO z;\n');\nINSERT INTO t VALUES (2, NULL);\n",
    b"INSERT INTO public.tb_x VALUES (1, E'a\\'; DROP DATABASE x; --', E'\\\\');\n",
    b"INSERT INTO public.tb_x VALUES ('type', 'e', 'C:\\');\n",
    b"CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $_$\nbegin\n  grant x to y;\n  drop database z;\n  \\d\n $$a;$$ end$_$;\n",
    b"CREATE FUNCTION g(a text) RETURNS text LANGUAGE sql AS $$select 'it''s'$$;\n",
    b"CREATE FUNCTION h() RETURNS int BEGIN ATOMIC\n SELECT 1;\n SELECT 2;\nEND;\n",
    b'CREATE TABLE public."a;b" ("c$$" integer, "d\'" integer, e$f$ text);\n',
    b"PREPARE p AS SELECT $1;\n",
    b"/* GRANT; /* nested ' */ still */ SELECT 1; -- it's \xc3\xa9\nSELECT 2/3-1;\n",
    b"ALTER TABLE ONLY public.tb_x ADD CONSTRAINT ck CHECK ((b <> ' OWNER TO '::text));\n",
    b"ALTER SEQUENCE public.s OWNED BY public.tb_x.a;\n",
    b"ALTER TABLE public.tb_x ALTER COLUMN a SET DEFAULT 'x DROP DEFAULT;';\n",
    b"COMMENT ON SCHEMA outro IS 'x';\nCOMMENT ON TABLE public.tb_x IS 'GRANT';\n",
    b"CREATE SCHEMA public_2;\nCREATE USER MAPPING FOR esus SERVER s;\n",
    b"SET default_with_oids = false;\nSET search_path = '';\n",
    b"SELECT pg_catalog.lowrite(0, '\\x5c2e0a');\n",
    b"\n\n  \n",
]
DROPPED = [
    b"ALTER TABLE public.tb_x OWNER TO esus;",
    b'ALTER TABLE public."tb x" OWNER TO "o;utro";',
    b"ALTER FUNCTION public.f(a text, b integer) OWNER TO postgres;",
    b"ALTER LARGE OBJECT 100001 OWNER TO esus;",
    b"GRANT SELECT ON TABLE public.tb_x TO esus_leitura;",
    b"REVOKE ALL ON SCHEMA public FROM PUBLIC;",
    b"ALTER DEFAULT PRIVILEGES FOR ROLE esus IN SCHEMA public GRANT SELECT ON TABLES TO esus_leitura;",
    b"SET SESSION AUTHORIZATION 'esus';",
    b"RESET SESSION AUTHORIZATION;",
    b"SET ROLE esus;",
    b"SET default_tablespace = fast;",
    b"COMMENT ON EXTENSION unaccent IS 'x';",
    b"COMMENT ON SCHEMA public IS 'standard public schema';",
    b"CREATE SCHEMA public;",
    b"SECURITY LABEL FOR x ON TABLE y IS 'z';",
    b"DROP TABLE IF EXISTS public.tb_x;",
    b"ALTER TABLE IF EXISTS ONLY public.tb_x DROP CONSTRAINT IF EXISTS fk;",
    b"ALTER TABLE public.tb_x ALTER COLUMN a DROP DEFAULT;",
]
REFUSED = [
    (b"CREATE DATABASE esus WITH TEMPLATE = template0;", "line 9 has CREATE DATABASE esus"),
    (b"DROP DATABASE IF EXISTS esus;", "line 9 has DROP DATABASE IF"),
    (b"ALTER DATABASE esus OWNER TO postgres;", "ALTER DATABASE"),
    (b"CREATE ROLE x;", "CREATE ROLE"),
    (b"create user x;", "create user"),
    (b"ALTER SYSTEM SET fsync = off;", "ALTER SYSTEM"),
    (b"\\connect esus", r"\\connect"),
    (b"\\! rm -rf /", r"\\!"),
    (b"select 1 \\gexec", r"\\gexec"),
    (b"COPY x FROM PROGRAM 'rm -rf /';", "COPY x FROM"),
    (b"COPY x TO '/tmp/x';", "COPY x TO"),
]


@pytest.mark.parametrize("size", [1 << 20, 1, 2, 3, 7])
@pytest.mark.parametrize("body", KEPT)
def test_passes_untouched(body: bytes, size: int) -> None:
    assert through(body, size) == body


@pytest.mark.parametrize("size", [1 << 20, 1, 5])
@pytest.mark.parametrize("statement", DROPPED)
def test_is_left_out(statement: bytes, size: int) -> None:
    body = b"-- Name: x; Type: y; Owner: z\n\n" + statement + b"\n\n-- it's;\nSELECT 1;\n"
    assert through(body, size) == body.replace(statement, b"")


def test_the_lines_of_a_dropped_statement_stay() -> None:
    assert through(b"REVOKE ALL\n  ON x\n  FROM y;\nSELECT 1;\n") == b"\n\n\nSELECT 1;\n"


@pytest.mark.parametrize(("statement", "says"), REFUSED)
def test_is_refused(statement: bytes, says: str) -> None:
    with pytest.raises(PecError, match=says):
        through(b"\n" + statement + b"\n")


@pytest.mark.parametrize(
    ("setting", "server", "kept"),
    [
        (b"SET transaction_timeout = 0;", 170000, True),
        (b"SET transaction_timeout = 0;", 160011, False),
        (b"SET default_table_access_method = heap;", 120000, True),
        (b"SET default_table_access_method = heap;", 100023, False),
        (b"SET idle_in_transaction_session_timeout = 0;", 90613, True),
    ],
)
def test_settings_that_the_server_does_not_know(setting: bytes, server: int, kept: bool) -> None:
    assert through(setting + b"\n", server=server) == (setting if kept else b"") + b"\n"


@pytest.mark.parametrize(
    "dump",
    [
        pytest.param(HEAD + b"SELECT 1;\n", id="no end"),
        pytest.param(HEAD + b"COPY x FROM stdin;\n1\n" + TAIL, id="within rows"),
        pytest.param(HEAD + b"COPY x FROM stdin;\n1\n-- PostgreSQL database dump complete\n", id="the last words are a row"),
        pytest.param(HEAD + b"SELECT 'a\n" + TAIL, id="within a value"),
        pytest.param(HEAD + b"SELECT 1\n-- PostgreSQL database dump complete\n", id="within a statement"),
        pytest.param(HEAD + b"SELECT " + b"1 + " * 40000 + b"\n-- PostgreSQL database dump complete\n", id="within a long statement"),
        pytest.param(HEAD + TAIL + b"/* a comment", id="within a comment after the end"),
        pytest.param(HEAD + TAIL + b"CREATE TABLE x (a int);\n", id="something after the end"),
        pytest.param(b"", id="empty"),
    ],
)
def test_is_not_whole(dump: bytes) -> None:
    stream = SqlFilter(170000)
    stream.feed(dump)
    with pytest.raises(PecError, match=r"it is cut off: .*; copy the dump again"):
        stream.finish()


def test_an_end_without_line_break() -> None:
    stream = SqlFilter(170000)
    stream.feed(HEAD + b"-- PostgreSQL database dump complete")
    stream.finish()


def test_strings_of_old_servers() -> None:
    body = b"SET standard_conforming_strings = off;\nINSERT INTO x VALUES ('it\\'s; GRANT');\nGRANT y TO z;\n"
    assert through(body) == body.replace(b"GRANT y TO z;", b"")


@pytest.mark.parametrize("size", [1 << 20, 1000])
@pytest.mark.parametrize(
    "statement",
    [
        pytest.param(b"INSERT INTO x VALUES ('" + b"a;'' \n" * 40000 + b"');", id="string"),
        pytest.param(b"INSERT INTO x VALUES (E'" + b"a;\\' \n" * 40000 + b"');", id="escape string"),
        pytest.param(b"CREATE FUNCTION f() RETURNS void AS $x$" + b"grant $y$ ;\n" * 20000 + b"$x$;", id="function"),
        pytest.param(b"CREATE VIEW v AS SELECT " + b"E'\\'', " * 20000 + b"1;", id="many values"),
    ],
)
def test_a_long_statement_is_not_kept_in_memory(statement: bytes, size: int) -> None:
    stream = SqlFilter(170000)
    stream.feed(HEAD)
    held, given, longest = 0, b"", 0
    for at in range(0, len(statement), size):
        piece = stream.feed(statement[at : at + size])
        given += piece
        held += min(size, len(statement) - at) - len(piece)
        longest = max(longest, held)
    assert longest < 70000
    given += stream.feed(b"\nGRANT x TO y;\n" + TAIL) + stream.finish()
    assert given.lstrip() == statement + b"\n\n" + TAIL.replace(b"\\unrestrict abc123", b"") + b"\n"


def test_a_long_comment_before_a_statement() -> None:
    body = b"/* " + b"it's; " * 40000 + b"*/ GRANT x TO y;\n"
    assert through(body, 1000) == body.replace(b"GRANT x TO y;", b"").replace(b"*/ ", b"*/")


def test_what_is_not_sql_is_not_read_to_its_end() -> None:
    with pytest.raises(PecError, match="line 1 is not SQL"):
        SqlFilter(170000).feed(b"--" + b"x" * (2 << 20))
    with pytest.raises(PecError, match=r"line 1 has \\restrict"):
        SqlFilter(170000).feed(b"\\restrict " + b"x" * 70000)


def test_extensions_and_counts() -> None:
    made: list[tuple[str, str | None]] = []
    stream = SqlFilter(170000, lambda name, schema: made.append((name, schema)))
    stream.feed(
        HEAD
        + b'CREATE EXTENSION IF NOT EXISTS unaccent WITH SCHEMA public;\nCREATE EXTENSION "uuid-ossp";\nCREATE EXTENSION x SCHEMA "Y";\n'
    )
    stream.feed(b"CREATE TABLE a (b int);\nCREATE UNLOGGED TABLE c (d int);\nCOPY a FROM stdin;\nCREATE TABLE\n\\.\n" + TAIL)
    stream.finish()
    assert made == [("unaccent", "public"), ("uuid-ossp", None), ("x", "Y")]
    assert (stream.tables, stream.copies) == (2, 1)
