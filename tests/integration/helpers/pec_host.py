# SPDX-License-Identifier: GPL-3.0-or-later
"""Shared by the tests of the stand-in itself. They check it from outside: console, HTTP, SQL, systemd, file modes."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SAMPLE_DATA = Path(__file__).resolve().parents[2] / "stand_in" / "sample_data.sql"
# The digest of tb_cidadao with the sample data at scale 1; the same on every server and in every run.
SAMPLE_CITIZENS = "c7cd429ca4d02dde6ff178d981623171"
NOTICE = "ESTE NÃO É O PEC"
PACKAGES = "default-jre-headless file locales procps"
GENERATE_LOCALE = "echo 'pt_BR.UTF-8 UTF-8' >> /etc/locale.gen && locale-gen >/dev/null"


@dataclass(frozen=True)
class Answer:
    status: int
    text: str
    cookies: dict[str, str]

    @property
    def json(self) -> Any:
        return json.loads(self.text)


@dataclass
class PecHost:
    """A server of the lab on which the stand-in is or will be installed."""

    server: Any
    database: list[str] = field(default_factory=list)

    def run(self, *argv: str, check: bool = True, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        return self.server.run(*argv, check=check, stdin=stdin)

    def sh(self, script: str, check: bool = True) -> str:
        return self.run("sh", "-c", script, check=check).stdout

    def prepare(self, packages: str) -> None:
        install = "DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends"
        self.sh(f"apt-get update -qq && {install} {packages} >/dev/null")

    def command(self, **commands: str) -> None:
        """Write the command file, with __ for the dot of a key; without commands it is empty."""
        lines = "".join(f"{key.replace('__', '.')} = {value}\n" for key, value in commands.items())
        self.server.put(lines, "/etc/pec-stand-in.conf")

    def java(
        self, version: str, *options: str, cwd: str = "/root", stdin: str = "", environment: tuple[str, ...] = ("LC_ALL=C.UTF-8",)
    ) -> subprocess.CompletedProcess[str]:
        """Run the installer; return its exit code and console output."""
        script = 'cd "$0" && exec env "$@" 2>&1'
        argv = ["sh", "-c", script, cwd, *environment, "java", "-jar", f"/srv/{version}.jar", *options]
        return self.run(*argv, check=False, stdin=stdin)

    def install(self, version: str, *options: str, environment: tuple[str, ...] = ("LC_ALL=C.UTF-8",)) -> subprocess.CompletedProcess[str]:
        return self.java(version, "-console", "-continue", *self.database, *options, environment=environment)

    def properties(self) -> dict[str, str]:
        lines = self.sh("cat /opt/e-SUS/webserver/config/application.properties").splitlines()
        return dict(line.split("=", 1) for line in lines if line)

    def sql(self, statement: str, login: tuple[str, str] | None = None) -> str:
        values = self.properties()
        user, password = login or (values["spring.datasource.username"], values["spring.datasource.password"])
        url = values["spring.datasource.url"].removeprefix("jdbc:")
        argv = ["env", f"PGPASSWORD={password}", "psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-U", user, "-d", url, "-f", "-"]
        return self.run(*argv, stdin=statement).stdout.strip()

    def load_sample_data(self) -> str:
        """Load the sample data and return the digest of its citizens."""
        self.sql("\\set scale 1\n" + SAMPLE_DATA.read_text(encoding="utf-8"))
        row = "no_cidadao || js_contatos::text || dt_nascimento || coalesce(md5(im_foto), '')"
        return self.sql(f"""select md5(string_agg({row}, '' order by co_unico_cidadao collate "C")) from tb_cidadao""")

    def mode(self, path: str) -> str:
        return self.sh(f"stat -c '%U:%G %a' {path}").strip()

    def unit(self, name: str, key: str) -> str:
        return self.sh(f"systemctl show -P {key} {name}").strip()

    def get(self, path: str, **kwargs: Any) -> Answer:
        return fetch(f"http://{self.server.address}:8080{path}", **kwargs)

    def graphql(self, query: str, variables: dict[str, Any] | None = None, cookies: dict[str, str] | None = None) -> Answer:
        return self.get("/api/graphql", body={"query": query, "variables": variables or {}}, cookies=cookies)

    def restart(self) -> None:
        """Restart PEC. Frequent restarts would look like a loop to systemd, so its counter is reset."""
        self.sh("systemctl reset-failed e-SUS-PEC; systemctl restart e-SUS-PEC")

    def wait(self, url: str = "", seconds: float = 120, context: Any = None) -> Answer:
        end = time.monotonic() + seconds
        while True:
            try:
                return fetch(url or f"http://{self.server.address}:8080/", context=context)
            except OSError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.2)


def fetch(
    url: str, body: Any = None, cookies: dict[str, str] | None = None, headers: dict[str, str] | None = None, context: Any = None
) -> Answer:
    data = None if body is None else json.dumps(body).encode()
    sent = {"Content-Type": "application/json", "Api-Consumer-Id": "ESUS_WEB_CLIENT", **(headers or {})}
    if cookies:
        sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in cookies.items())
    request = urllib.request.Request(url, data=data, headers={name: value for name, value in sent.items() if value})
    try:
        with urllib.request.urlopen(request, timeout=20, context=context) as response:
            return answer(response)
    except urllib.error.HTTPError as error:
        return answer(error)


def answer(response: Any) -> Answer:
    pairs = (value.split(";")[0].split("=", 1) for value in response.headers.get_all("Set-Cookie", []))
    return Answer(response.status, response.read().decode(), dict(pairs))


def message(reply: Answer) -> str:
    return reply.json["errors"][0]["message"]
