# SPDX-License-Identifier: GPL-3.0-or-later
"""Scripts in place of PostgreSQL's clients, for the tests of dumps. The file C(mode) beside them chooses a failure."""

from __future__ import annotations

from pathlib import Path

PG_DUMP = r"""#!/usr/bin/python3
import os, pathlib, sys, time
here = pathlib.Path(__file__).parent
mode = (here / "mode").read_text()
if "--version" in sys.argv:
    print("pg_dump (PostgreSQL) 17.11")
    sys.exit()
if "--dbname=probe" in sys.argv:
    sys.exit("pg_dump: error: " + ("this build does not support compression with zstd" if mode == "no zstd" else "connection failed"))
(here / "argv").write_text("\n".join(sys.argv[1:]))
options = dict(word.split("=", 1) for word in sys.argv[1:] if "=" in word)
path, form = options.get("--file"), options["--format"]
secret = os.environ["PGPASSWORD"]
for table in ("a", "b"):
    print('pg_dump: dumping contents of table "public.%s"' % table, file=sys.stderr)
    if "--jobs" in options:
        print("pg_dump: finished item 12 TABLE DATA %s" % table, file=sys.stderr)
for number in range({"warn": 1, "warn much": 12}.get(mode, 0)):
    print('pg_dump: warning: WITH OIDS is not supported anymore (table "t%d")' % number, file=sys.stderr)
body = b"x" * 3000000
if form == "plain":
    data = body + b"\n--\n-- PostgreSQL database dump complete\n--\n\n" if mode != "short" else body
else:
    data = b"PGDMP" + body if mode != "garbage" else body
if mode == "interrupt":
    os.kill(os.getppid(), 2)
    time.sleep(60)
if form == "directory":
    os.makedirs(path, exist_ok=True)
    for name in ("toc.dat", "12.dat"):
        pathlib.Path(path, name).write_bytes(data)
else:
    out = open(path, "wb") if path else sys.stdout.buffer
    out.write(data)
    out.flush()
if mode == "fail":
    print('pg_dump: error: Dumping the contents of table "a" failed: PQgetCopyData() failed.', file=sys.stderr)
    sys.exit("pg_dump: detail: Error message from server: server closed the connection unexpectedly, %s" % secret)
if mode == "locked":
    print("pg_dump: error: query failed: ERRO:  cancelando comando por causa do tempo de espera (timeout) do comando", file=sys.stderr)
    sys.exit("pg_dump: detail: Query was: LOCK TABLE public.a IN ACCESS SHARE MODE")
if mode == "denied":
    print("pg_dump: error: query failed: ERRO:  permissão negada para tabela a", file=sys.stderr)
    sys.exit("pg_dump: detail: Query was: LOCK TABLE public.a IN ACCESS SHARE MODE")
if mode == "full":
    sys.exit("pg_dump: error: could not write to output file: No space left on device")
if mode == "killed":
    os.kill(os.getpid(), 9)
"""

# Reads only the table of contents, from a file or its input, as the real one does.
PG_RESTORE = r"""#!/usr/bin/python3
import os, pathlib, sys
mode = (pathlib.Path(__file__).parent / "mode").read_text()
path = sys.argv[2] if len(sys.argv) > 2 else "/dev/stdin"
if os.path.isdir(path):
    path += "/toc.dat"
if open(path, "rb", buffering=0).read(5) != b"PGDMP":
    sys.exit("pg_restore: error: input file does not appear to be a valid archive")
print(";\n; Archive created at 2026-11-22\n;")
entries = {"long": 40000, "empty": 0}.get(mode, 2)
for number in range(entries):
    print("%d; 1259 16384 TABLE public a_table_with_a_name_of_some_length_%d esus" % (number, number))
"""

PSQL = r"""#!/usr/bin/python3
import pathlib, sys
log = pathlib.Path(__file__).parent / "statements"
for line in sys.stdin:
    if line.startswith("\\echo "):
        print(line[6:].strip(), flush=True)
        continue
    with log.open("a") as file:
        file.write(line)
    if "pg_export_snapshot" in line:
        print('"00000003-0000001B-1"')
"""


def install(directory: Path) -> Path:
    """Put the clients, without a failure, into a directory."""
    directory.mkdir(exist_ok=True)
    for name, text in (("pg_dump", PG_DUMP), ("pg_restore", PG_RESTORE), ("psql", PSQL)):
        (directory / name).write_text(text)
        (directory / name).chmod(0o755)
    (directory / "mode").write_text("")
    return directory
