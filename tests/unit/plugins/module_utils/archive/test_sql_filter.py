# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from hostile_dumps import GOOD, PLAIN

from ansible_collections.esus.pec.plugins.module_utils.archive import sql_filter
from ansible_collections.esus.pec.plugins.module_utils.archive.skipping import Skip
from ansible_collections.esus.pec.plugins.module_utils.archive.sql_filter import SqlFilter, extensions_in
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
    b"ALTER TABLE ONLY public.tb_x ALTER COLUMN a SET DEFAULT 'x DROP DEFAULT y'::text;\n",
    b'ALTER TABLE public.tb_x ADD CONSTRAINT "a DROP CONSTRAINT b" CHECK (c);\n',
    b"-- a comment\rSELECT 'for psql it ends there';\n",
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
    b"DROP DATABASE IF EXISTS esus;",
    b"COMMENT ON DATABASE esus IS 'PEC';",
    b"SELECT pg_catalog.lo_unlink('100001');",
    b"SET default_with_oids = true;",
    b"ALTER TABLE IF EXISTS ONLY public.tb_x DROP CONSTRAINT IF EXISTS fk;",
    b"ALTER TABLE public.tb_x ALTER COLUMN a DROP DEFAULT;",
    b'ALTER TABLE ONLY public."tb x" DROP CONSTRAINT "fk;";',
]
REFUSED = [
    (b"CREATE DATABASE esus WITH TEMPLATE = template0;", "line 9 has CREATE DATABASE esus"),
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


@pytest.mark.parametrize("off", [b"= off", b"TO off", b"TO 'off'"])
def test_strings_of_old_servers(off: bytes) -> None:
    body = b"SET standard_conforming_strings " + off + b";\nINSERT INTO x VALUES ('it\\'s; GRANT');\nGRANT y TO z;\n"
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
    stream = SqlFilter(170000)
    stream.feed(
        HEAD
        + b'CREATE EXTENSION IF NOT EXISTS unaccent WITH SCHEMA public;\nCREATE EXTENSION "uuid-ossp";\nCREATE EXTENSION x SCHEMA "Y";\n'
    )
    stream.feed(b"CREATE TABLE a (b int);\nCREATE UNLOGGED TABLE c (d int);\nCOPY a FROM stdin;\nCREATE TABLE\n\\.\n" + TAIL)
    stream.finish()
    assert stream.extensions == [("unaccent", "public"), ("uuid-ossp", None), ("x", "Y")]
    assert (stream.tables, stream.copies) == (2, 1)


def test_what_is_no_table_is_not_counted() -> None:
    """A foreign table, and a view that a pg_dump before 10 first creates as a table."""
    stream = SqlFilter(150000)
    stream.feed(
        HEAD + b"CREATE FOREIGN TABLE public.f (a int)\nSERVER s;\nCREATE TABLE public.a (b int);\nCREATE TABLE public.v (b int);\n"
    )
    stream.feed(b'CREATE RULE "_RETURN" AS\n    ON SELECT TO public.v DO INSTEAD  SELECT a.b FROM public.a GROUP BY a.b;\n')
    stream.feed(
        b"CREATE RULE other AS\n    ON INSERT TO public.a DO INSTEAD NOTHING;\nCREATE OR REPLACE VIEW public.w AS SELECT 1;\n" + TAIL
    )
    stream.finish()
    assert stream.tables == 1


@pytest.mark.parametrize(
    ("head", "found"),
    [
        pytest.param(HEAD, [], id="none"),
        pytest.param(
            HEAD + b'CREATE EXTENSION IF NOT EXISTS unaccent WITH SCHEMA public;\nCREATE EXTENSION "uuid-ossp";\nSELECT \'cut',
            [("unaccent", "public"), ("uuid-ossp", None)],
            id="cut off",
        ),
        pytest.param(HEAD + b"SELECT 'CREATE EXTENSION a;'; /* CREATE EXTENSION b; */ -- CREATE EXTENSION c;\n", [], id="only words"),
        pytest.param(HEAD + b"CREATE EXTENSION a;\nCREATE TABLE x (y int);\nCREATE EXTENSION b;\n", [("a", None)], id="after a table"),
        pytest.param(HEAD + b"CREATE EXTENSION a;\n\\! id\nCREATE EXTENSION b;\n", [("a", None)], id="what the load refuses"),
        pytest.param(b"", [], id="empty"),
    ],
)
def test_extensions_in_the_beginning_of_a_dump(head: bytes, found: list[tuple[str, str | None]]) -> None:
    assert extensions_in(head) == found


WIDE_COPY = (
    b"COPY public.tb_x ("
    + b", ".join(b"a_column_with_a_name_that_is_as_long_as_it_can_be_%013d" % i for i in range(1600))
    + b") FROM stdin;"
)


@pytest.mark.parametrize("size", [1 << 20, 65537, 4096])
def test_a_copy_of_as_many_columns_as_a_table_can_have(size: int) -> None:
    body = WIDE_COPY + b"\nGRANT;\t'\n\\.\nGRANT x TO y;\nSELECT 1;\n"
    assert len(WIDE_COPY) > 65536
    assert through(body, size) == body.replace(b"GRANT x TO y;", b"")


def test_the_byte_order_mark_is_left_out() -> None:
    for size in (1, 2, 1 << 20):
        stream, whole = SqlFilter(170000), b"\xef\xbb\xbf" + HEAD + TAIL
        out = b"".join(stream.feed(whole[at : at + size]) for at in range(0, len(whole), size)) + stream.finish()
        assert out.startswith(b"--\n-- PostgreSQL database dump\n")


@pytest.mark.parametrize("size", [1, 7, 1 << 20])
@pytest.mark.parametrize(
    "ahead", [b"Password: \n", b"Senha: \r\npg_dump: warning: x; y\n", b"\xef\xbb\xbfPassword for user postgres: --\n"]
)
def test_a_prompt_or_warning_ahead_of_the_dump_is_left_out(ahead: bytes, size: int) -> None:
    stream, whole = SqlFilter(170000), ahead + HEAD + b"SELECT 1;\n" + TAIL
    out = b"".join(stream.feed(whole[at : at + size]) for at in range(0, len(whole), size)) + stream.finish()
    assert out.lstrip(b"\n").startswith(b"--\n-- PostgreSQL database dump\n")
    assert out.count(b"\n") == whole.count(b"\n") + 1


def test_a_message_within_the_dump_is_named() -> None:
    with pytest.raises(PecError, match="line 8 is a message of pg_dump, mixed in by 2>&1"):
        through(b"pg_dump: warning: x\nSELECT 1;\n")


ENDLESS = {
    "dollar quote": (b"SELECT $x$", b"$y$\n" * 5000),
    "string": (b"SELECT '", b"a''\n" * 5000),
    "identifier": (b'SELECT "', b"a\n" * 5000),
    "word": (b"SELECT ", b"a" * 20000),
    "blanks": (b"SELECT", b" \n" * 10000),
    "comment": (b"/*", b"a*\n" * 5000),
    "nested comments": (b"", b"/*\n" * 5000),
    "lines of comment": (b"", b"-- a\n" * 5000),
    "statement": (b"SELECT 1", b", 1\n" * 5000),
    "columns of COPY": (b"COPY x (a", b", b\n" * 5000),
    "line of statements": (b"", b"SELECT 1;" * 2000),
    "dollars": (b"SELECT $", b"a" * 20000),
}


@pytest.mark.parametrize("name", ENDLESS)
def test_what_has_no_end_is_refused_before_it_fills_the_memory(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sql_filter, "_LONGEST", 1 << 21)
    begin, more = ENDLESS[name]
    stream, fed, given, longest = SqlFilter(170000), 0, 0, 0
    stream.feed(HEAD + begin)
    with pytest.raises(PecError, match=r"line \d+ .*(?:more than 2 MiB, which would fill the memory|has COPY x|is not SQL)"):
        while fed < 4 << 20:
            given += len(stream.feed(more * 4))
            fed += len(more) * 4
            longest = max(longest, fed - given)
    assert longest < 1200000


def test_a_row_may_be_as_long_as_it_is() -> None:
    stream, row = SqlFilter(170000), b"x" * (1 << 20)
    stream.feed(HEAD + b"COPY x FROM stdin;\n")
    for _piece in range(20):
        assert len(stream.feed(row)) > len(row) - 10
    stream.feed(b"\n\\.\n" + TAIL)
    stream.finish()
    assert stream.copies == 1


@pytest.mark.parametrize("size", [1 << 20, 1, 13])
def test_a_good_dump_of_the_hostile_ones_passes_as_it_is(size: int) -> None:
    stream, dump = SqlFilter(170000), GOOD.dump()
    out = b"".join(stream.feed(dump[at : at + size]) for at in range(0, len(dump), size)) + stream.finish()
    assert out == dump + b"\n"
    assert (stream.tables, stream.copies, extensions_in(dump)) == (1, 1, [])


@pytest.mark.parametrize("name", PLAIN)
def test_a_hostile_dump_is_refused_or_passed_on_but_breaks_nothing(name: str) -> None:
    """What it may do is not decided here: tests/integration loads it."""
    dump, answers = PLAIN[name].dump(), set()
    for size in (1 << 20, 1, 13):
        stream = SqlFilter(170000)
        try:
            answers.add(b"".join(stream.feed(dump[at : at + size]) for at in range(0, len(dump), size)) + stream.finish())
        except PecError as error:
            answers.add(str(error).encode())
    assert len(answers) == 1, "the answer does not depend on where the pieces end"
    assert extensions_in(dump) in ([], [("dblink", "public")])


def of(kind: bytes, name: bytes, *statements: bytes, schema: bytes = b"public") -> bytes:
    """An object of a plain dump, with its comment."""
    return b"--\n-- Name: %b; Type: %b; Schema: %b; Owner: esus\n--\n\n%b\n\n" % (name, kind, schema, b"\n\n".join(statements))


CREATED = of(
    b"DATABASE", b"esus", b"CREATE DATABASE esus WITH TEMPLATE = template0;", b"ALTER DATABASE esus OWNER TO postgres;", schema=b"-"
)
CONNECTED = b"\\unrestrict abc123\n\\connect esus\n\\restrict abc123\n\nSET statement_timeout = 0;\n"
PROPERTIES = of(b"DATABASE PROPERTIES", b"esus", b"ALTER DATABASE esus SET default_transaction_read_only TO 'on';", schema=b"-")


@pytest.mark.parametrize("size", [1 << 20, 1, 5])
@pytest.mark.parametrize("ahead", [b"", b"DROP DATABASE esus;\n"])
@pytest.mark.parametrize("properties", [b"", PROPERTIES])
def test_the_contents_of_a_dump_made_with_create(ahead: bytes, properties: bytes, size: int) -> None:
    table = of(b"TABLE", b"tb_x", b"CREATE TABLE public.tb_x (a integer);")
    out = through(ahead + CREATED + CONNECTED + properties + table, size)
    statements = [line for line in out.splitlines() if line and not line.startswith(b"--")]
    assert statements == [b"SET statement_timeout = 0;", b"CREATE TABLE public.tb_x (a integer);"]
    stream = SqlFilter(170000)
    stream.feed(HEAD + CREATED)
    assert stream.created and not SqlFilter(170000).created


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(CREATED + CONNECTED + CREATED, id="two databases"),
        pytest.param(CREATED + CONNECTED + CONNECTED, id="two connections"),
        pytest.param(CONNECTED, id="a connection to a database that exists"),
        pytest.param(of(b"TABLE", b"x", b"CREATE TABLE x (a int);") + CREATED, id="after a table"),
        pytest.param(CREATED + of(b"TABLE", b"x", b"CREATE TABLE x (a int);") + CONNECTED, id="a connection after a table"),
        pytest.param(b"CREATE DATABASE esus;", id="written by hand"),
        pytest.param(CREATED + CONNECTED + of(b"TABLE", b"x", b"ALTER DATABASE y SET work_mem TO '1MB';"), id="another one's settings"),
    ],
)
def test_more_than_one_database_is_refused(body: bytes) -> None:
    with pytest.raises(PecError, match=r"line \d+ has .*which leads out of the database"):
        through(body)


VIEW = of(b"VIEW", b"vw_velha", b"CREATE VIEW public.vw_velha AS SELECT " + b"1, " * 30000 + b"2;")
ROWS = (
    b"--\n-- Data for Name: tb_x; Type: TABLE DATA; Schema: public; Owner: esus\n--\n\n"
    b"COPY public.tb_x (a) FROM stdin;\n1\n'; SELECT 9;\n\\.\n\n"
)
LEFT_OUT = (
    VIEW,
    of(b"COMMENT", b"VIEW vw_velha", b"COMMENT ON VIEW public.vw_velha IS 'x';"),
    of(b"EVENT TRIGGER", b"et", b"CREATE EVENT TRIGGER et ON ddl_command_end\n   EXECUTE FUNCTION public.f();", schema=b"-"),
    of(b"PUBLICATION", b"bi", b"CREATE PUBLICATION bi WITH (publish = 'insert');", schema=b"-"),
    of(b"POLICY", b"tb_y p", b"CREATE POLICY p ON public.tb_y TO bi USING (true);"),
    of(b"SERVER", b"longe", b"CREATE SERVER longe FOREIGN DATA WRAPPER postgres_fdw;", schema=b"-"),
    of(b"FOREIGN TABLE", b"tb_longe", b"CREATE FOREIGN TABLE public.tb_longe (a int) SERVER longe;"),
    of(b"TABLE", b"tb_x", b"CREATE TABLE public.tb_x (a abstime);", b"ALTER TABLE public.tb_x OWNER TO esus;"),
    of(b"TRIGGER", b"tb_x tg", b"CREATE TRIGGER tg BEFORE INSERT ON public.tb_x EXECUTE FUNCTION f();"),
    of(b"TABLE DATA", b"tb_x", b"INSERT INTO public.tb_x VALUES ('a;b');\nINSERT INTO public.tb_x VALUES (2);"),
    ROWS,
)


@pytest.mark.parametrize("size", [1 << 20, 1000, 7])
def test_objects_that_are_left_out(size: int) -> None:
    skip = Skip(["VIEW public.vw_velha", "TABLE tb_x", "VIEW vw_outra"])
    kept = of(b"TABLE", b"tb_xy", b"CREATE TABLE public.tb_xy (a integer);")
    stream = SqlFilter(170000, skip=skip)
    whole = HEAD + b"".join(part + kept for part in LEFT_OUT) + b"SET row_security = on;\n" + TAIL
    out = b"".join(stream.feed(whole[at : at + size]) for at in range(0, len(whole), size)) + stream.finish()
    assert out.count(b"\n") == whole.count(b"\n") + 1, "the line numbers are those of the file"
    statements = [line for line in out.splitlines() if line.strip() and not line.lstrip().startswith(b"--")]
    assert statements == [
        b"SET statement_timeout = 0;",
        *[b"CREATE TABLE public.tb_xy (a integer);"] * len(LEFT_OUT),
        b"SET row_security = on;",
    ]
    assert (stream.tables, stream.copies) == (len(LEFT_OUT), 0)
    assert skip.labels == [
        *("VIEW public.vw_velha", "EVENT TRIGGER et", "PUBLICATION bi", "POLICY public.tb_y p", "SERVER longe"),
        *("FOREIGN TABLE public.tb_longe", "TABLE public.tb_x"),
    ]
    assert skip.unused == ["VIEW vw_outra"]


def test_what_is_left_out_ends_with_the_next_object() -> None:
    skip = Skip(["VIEW public.v"])
    stream = SqlFilter(170000, skip=skip)
    body = of(b"VIEW", b"v", b"CREATE VIEW public.v AS SELECT 1;", b"SET xmloption = content;")
    out = stream.feed(HEAD + body + of(b"VIEW", b"w", b"CREATE VIEW public.w AS SELECT 1;") + TAIL)
    assert b"public.v AS" not in out
    assert b"SET xmloption = content;" in out and b"CREATE VIEW public.w AS" in out


def test_the_object_on_a_line() -> None:
    stream = SqlFilter(170000)
    whole = HEAD + of(b"TABLE", b"tb_x", b"CREATE TABLE public.tb_x (\n a int\n);") + of(b"VIEW", b"v", b"CREATE VIEW\npublic.v;") + TAIL
    stream.feed(whole)
    lines = whole.split(b"\n")
    assert stream.object_at(lines.index(b");") + 1) == "TABLE public.tb_x"
    assert stream.object_at(lines.index(b"public.v;") + 1) == "VIEW public.v"
    assert stream.object_at(1) == ""


@pytest.mark.parametrize(("server", "kept"), [(110000, True), (120000, False), (170000, False)])
def test_tables_with_oids(server: int, kept: bool) -> None:
    stream = SqlFilter(server)
    assert (b"default_with_oids" in stream.feed(HEAD + b"SET default_with_oids = true;\n")) == kept
    assert stream.without_oids != kept
    rows = b"COPY public.tb_x (a, b) WITH OIDS FROM stdin;\n16400\t1\t2\n\\.\n"
    if kept:
        assert stream.feed(rows).endswith(rows)
    else:
        with pytest.raises(PecError, match=r"rows of the table public.tb_x come with OIDs, .*without -o"):
            stream.feed(rows)


@pytest.mark.parametrize("size", [1 << 20, 7])
@pytest.mark.parametrize("first", [ROWS, of(b"INDEX", b"i", b"CREATE INDEX i ON public.tb_x (f(a));")])
def test_what_is_run_between_the_tables_and_their_rows(first: bytes, size: int) -> None:
    stream = SqlFilter(170000, before_rows=b"DO $x$ begin end $x$;")
    whole = HEAD + of(b"TABLE", b"tb_x", b"CREATE TABLE public.tb_x (a int);") + first + ROWS + TAIL
    out = b"".join(stream.feed(whole[at : at + size]) for at in range(0, len(whole), size)) + stream.finish()
    assert out.count(b"DO $x$") == 1
    assert out.index(b"CREATE TABLE") < out.index(b"DO $x$") < min(out.index(b"COPY"), out.find(b"CREATE INDEX") % len(out))
    assert out.count(b"\n") == whole.count(b"\n") + 1


def test_a_schema_that_exists_already_is_left_out() -> None:
    stream = SqlFilter(170000, schemas=["ext ra"])
    out = stream.feed(HEAD + b'CREATE SCHEMA "ext ra";\nCREATE SCHEMA outro;\n')
    assert b"ext ra" not in out and b"CREATE SCHEMA outro;" in out
