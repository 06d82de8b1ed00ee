# SPDX-License-Identifier: GPL-3.0-or-later
"""The stand-in with its own database, against the contract with PEC.

The server goes through an installation, the first run and an update. A fixture brings it where a test begins unless it is there already,
so that each test runs alone, and all of them quickly in their order.
"""

from __future__ import annotations

import json
import ssl

import pytest
from pec_host import GENERATE_LOCALE, NOTICE, SAMPLE_CITIZENS, PecHost, fetch, message

ROOT_TEXT = "Esta ferramenta necessita executar com privilégios de administrador."
VERSION = "select ds_texto from tb_config_sistema where co_config_sistema = 'VERSAOBANCODADOS'"
LOGIN = "mutation Login($input: LoginInput!){login(input:$input){success}}"
INSTALAR = "mutation Instalar($input: InstalacaoInput!){instalar(input:$input)}"
PERSON = {"nomeCivil": "Fulana de Souza", "cpf": "529.982.247-25", "endereco": None}
FIRST_RUN = {
    "dadosInstalacao": {"linkInstalacao": "http://127.0.0.1:8080", "nomeInstalacao": "PEC de Teste"},
    "tipoInstalacao": "PRONTUARIO",
    "novaSenha": "Trocar2026",
    "profissional": PERSON,
}


@pytest.fixture
def installed(bundled: PecHost) -> PecHost:
    """PEC 5.4.36 or newer is installed and answers."""
    if bundled.run("test", "-e", "/opt/e-SUS/webserver", check=False).returncode != 0:
        bundled.sh(GENERATE_LOCALE)
        assert bundled.install("5.4.36").returncode == 0
        bundled.wait()
    return bundled


@pytest.fixture
def activated(installed: PecHost) -> PecHost:
    """It has been through its first run."""
    if not installed.graphql("{ info { ativado } }").json["data"]["info"]["ativado"]:
        assert installed.graphql(INSTALAR, {"input": FIRST_RUN}).json == {"data": {"instalar": True}}
    return installed


@pytest.fixture
def filled(installed: PecHost) -> PecHost:
    """It has the sample data."""
    if installed.sql("select count(*) from tb_atend") == "0":
        installed.load_sample_data()
    return installed


@pytest.fixture
def updated(filled: PecHost) -> PecHost:
    """It is 5.4.37, and the update made a backup."""
    if filled.sql(VERSION) != "5.4.37":
        assert filled.install("5.4.37", "-backup").returncode == 0
        filled.wait()
    return filled


def login(host: PecHost, password: str, **more: object):
    return host.graphql(LOGIN, {"input": {"username": "52998224725", "password": password, **more}})


def test_help_and_wrong_options(bundled: PecHost) -> None:
    """Contract 1, Options: the help without -cert-*; `-console S` is an unmatched argument."""
    text = bundled.java("5.4.36", "-help")
    assert text.returncode == 0
    for option in ("-url=", "-username=", "-password=", "-restore=", "-backup", "-console", "-continue", "-help", "-treinamento"):
        assert option in text.stdout
    assert "-cert-domain" not in text.stdout
    wrong = bundled.java("5.4.36", "-console", "S")
    assert wrong.returncode != 0 and "Unmatched argument at index 1: 'S'" in wrong.stdout


def test_headless_needs_console(bundled: PecHost) -> None:
    """Contract 6.21: without -console and without a display, No X11 DISPLAY."""
    run = bundled.java("5.4.36", "-continue")
    assert run.returncode != 0 and "No X11 DISPLAY" in run.stdout


def test_checks(bundled: PecHost) -> None:
    """Contract 1, Checks: root alone is reported; cwd / looks like it; systemd and 64 bit by the real commands."""
    bundled.sh("mkdir -p /srv/fake /srv/fakeid")
    for program, says in (("fake/ps", "init"), ("fake/file", "32-bit"), ("fakeid/id", "1000")):
        bundled.server.put(f"#!/bin/sh\necho {says}\n", f"/srv/{program}", "0755")
    user = bundled.install("5.4.36", environment=("LC_ALL=C.UTF-8", "PATH=/srv/fakeid:/srv/fake:/usr/bin:/bin"))
    assert user.returncode != 0 and ROOT_TEXT in user.stdout and "suporta apenas" not in user.stdout
    slash = bundled.java("5.4.36", "-console", "-continue", cwd="/")
    assert slash.returncode != 0 and ROOT_TEXT in slash.stdout
    assert 'Cannot run program "/bin/sh" (in directory "")' in slash.stdout
    fake = bundled.install("5.4.36", environment=("LC_ALL=C.UTF-8", "PATH=/srv/fake:/usr/bin:/bin"))
    assert fake.returncode != 0 and "Essa ferramenta suporta apenas d" in fake.stdout and "64 bits" in fake.stdout
    assert "Shell: Executando: /bin/sh -c ps --no-headers -o comm 1" in fake.stdout
    assert "Shell: Executando: /bin/sh -c file -L /sbin/init" in fake.stdout
    assert bundled.run("test", "-e", "/opt/e-SUS", check=False).returncode != 0


def test_asks_without_continue(bundled: PecHost) -> None:
    """Contract 1, Options: without -continue it asks; anything but S or s changes nothing."""
    run = bundled.java("5.4.36", "-console", stdin="N\n")
    assert run.returncode != 0 and "(S/N)" in run.stdout
    assert bundled.run("test", "-e", "/opt/e-SUS", check=False).returncode != 0


def test_fails_without_the_locale_and_converges_with_it(bundled: PecHost) -> None:
    """Contract 6.4: pt_BR.UTF-8 missing is an invalid value when PostgreSQL starts. S on stdin lets the next run go on."""
    run = bundled.install("5.4.36")
    assert run.returncode != 0 and 'invalid value for parameter "lc_messages": "pt_BR.UTF-8"' in run.stdout
    bundled.sh(GENERATE_LOCALE)
    again = bundled.java("5.4.36", "-console", stdin="s\n")
    assert again.returncode == 0, again.stdout
    assert NOTICE in again.stdout
    assert bundled.wait().status == 200


def test_tree_and_modes(installed: PecHost) -> None:
    """Contract 2, Tree, credenciais.txt and Users."""
    webserver = ["pec-bundle.jar", "e-SUS-PEC.service", "certmgr/certmgr.jar", "logs/pec.log"]
    for path in ["jre/current/bin/java", "database/current/bin/postgres", "database/tools/migrador.jar"]:
        installed.run("test", "-e", f"/opt/e-SUS/{path}")
    for path in webserver:
        installed.run("test", "-e", f"/opt/e-SUS/webserver/{path}")
    assert installed.run("test", "-e", "/opt/e-SUS/webserver/chaves", check=False).returncode != 0
    assert installed.mode("/opt/e-SUS/webserver/config/credenciais.txt") == "root:root 600"
    assert installed.mode("/opt/e-SUS/webserver/standalone.sh") == "root:root 755"
    assert installed.mode("-L /opt/e-SUS/database/current/data") == "postgres:postgres 700"
    assert installed.sh("id -u postgres; id -g postgres").split() == ["1000", "1000"]


def test_pec_config(installed: PecHost) -> None:
    """Contract 2, /etc/pec.config: keys and `"key" : value`; which of them the bundled database has is [?]."""
    text = installed.sh("cat /etc/pec.config")
    assert '"success" : true,' in text and '"version" : "5.4.36",' in text
    found = json.loads(text)
    assert found["directory"] == "/opt/e-SUS" and found["production"] is True and found["customDatabase"] is False
    assert found["jreDirectory"] == f"/opt/e-SUS/jre/{found['jreVersion']}"


def test_units_and_ports(installed: PecHost) -> None:
    """Contract 2, Units and Ports."""
    for unit in ("e-SUS-PEC.service", "e-SUS-AB-PostgreSQL.service"):
        assert installed.unit(unit, "ActiveState") == "active" and installed.unit(unit, "UnitFileState") == "enabled"
        assert installed.unit(unit, "FragmentPath").endswith(f"/lib/systemd/system/{unit}")
    assert "/opt/e-SUS/webserver/standalone.sh" in installed.unit("e-SUS-PEC.service", "ExecStart")
    listening = installed.sh("ss -Hltn | awk '{print $4}'").split()
    assert "0.0.0.0:8080" in listening and "127.0.0.1:5433" in listening


def test_credentials_open_the_database(installed: PecHost) -> None:
    """Contract 2, credenciais.txt: URL, full access, read access, `senha:` at the start of a line; both logins work."""
    lines = [line for line in installed.sh("cat /opt/e-SUS/webserver/config/credenciais.txt").splitlines() if line]
    assert lines[0] == "Url de conexão: jdbc:postgresql://127.0.0.1:5433/esus"
    assert lines[1].startswith("Usuário com acesso completo") and lines[2] == "usuário: postgres"
    assert lines[4].startswith("Usuário com acesso de leitura") and lines[5] == "usuário: esus_leitura"
    assert installed.sql("select 1", ("postgres", lines[3].removeprefix("senha: "))) == "1"
    reading = ("esus_leitura", lines[6].removeprefix("senha: "))
    assert installed.sql(VERSION, reading) == "5.4.36"


def test_schema(installed: PecHost) -> None:
    """Contract 3: about 1101 tables, pt_BR collation, exact tb_config_sistema, Liquibase's columns, md5 (6.2), no extension."""
    assert 1050 < int(installed.sql("select count(*) from pg_tables where schemaname = 'public'")) < 1200
    assert installed.sql("select pg_encoding_to_char(encoding), datcollate from pg_database where datname = 'esus'") == "UTF8|pt_BR.UTF-8"
    columns = "select string_agg(column_name, ' ' order by ordinal_position) from information_schema.columns where table_name = "
    assert installed.sql(f"{columns} 'tb_config_sistema'").startswith("co_config_sistema ds_config_sistema ds_texto ds_inteiro")
    liquibase = "id author filename dateexecuted orderexecuted exectype md5sum description"
    assert installed.sql(f"{columns} 'tb_migracao'").startswith(liquibase)
    assert installed.sql("select extname from pg_extension") == "plpgsql"
    assert installed.sql("select current_setting('password_encryption'), current_setting('lc_messages')") == "md5|pt_BR.UTF-8"


def test_rest(installed: PecHost) -> None:
    """Contract 4, REST: / 200, /esus/ 401, /api/public/info, and the XSRF token that REST uploads need."""
    page = installed.get("/")
    assert page.status == 200 and NOTICE in page.text
    assert installed.get("/esus/").status == 401
    assert installed.get("/api/public/info").json["versao"] == "5.4.36"
    assert installed.get("/api/cnes/1", body={}).status == 403
    with_token = installed.get("/api/cnes/1", body={}, cookies={"XSRF-TOKEN": "a"}, headers={"X-XSRF-TOKEN": "a"})
    assert with_token.status == 401
    assert installed.get("/actuator/health").status == 401


def test_info_without_a_session(installed: PecHost) -> None:
    """Contract 4, info: unauthenticated, object or array, no XSRF token; unknown fields are refused."""
    query = "query Configuracoes { info { ativado linkInstalacaoConfigurado serverTimezoneOffset versao } }"
    expected = {"ativado": False, "linkInstalacaoConfigurado": False, "serverTimezoneOffset": 0, "versao": "5.4.36"}
    assert installed.graphql(query).json == {"data": {"info": expected}}
    assert installed.get("/api/graphql", body=[{"query": query}]).json == [{"data": {"info": expected}}]
    assert "FieldUndefined" in message(installed.graphql("{ info { senhaDoBanco } }"))
    assert installed.graphql("{ sessao { acesso { id } } }").json == {"data": {"sessao": None}}


def test_first_run_refuses(installed: PecHost) -> None:
    """Contract 4, first run: password of 8 to 20 with letter and digit and no personal data, CPF, and a link that answers."""
    for password in ("curta1", "semdigitos", "12345678", "a" * 20 + "1", "fulana2026", "x52998224725"):
        assert "senha" in message(installed.graphql(INSTALAR, {"input": {**FIRST_RUN, "novaSenha": password}}))
    wrong = {**FIRST_RUN, "profissional": {**PERSON, "cpf": "529.982.247-26"}}
    assert "CPF" in message(installed.graphql(INSTALAR, {"input": wrong}))
    nowhere = {**FIRST_RUN, "dadosInstalacao": {"linkInstalacao": "http://127.0.0.1:9", "nomeInstalacao": "PEC"}}
    installed.command(link__check="reject")
    rejected = installed.graphql(INSTALAR, {"input": FIRST_RUN})
    installed.command()
    for answer in (rejected, installed.graphql(INSTALAR, {"input": nowhere})):
        assert answer.status == 200
        assert message(answer) == "Não foi possível validar este endereço. Tente novamente mais tarde"
    assert installed.graphql("{ info { ativado } }").json["data"]["info"]["ativado"] is False


def test_first_run(installed: PecHost) -> None:
    """Contract 4, first run, and 3, the keys it leaves in tb_config_sistema."""
    assert installed.graphql(INSTALAR, {"input": FIRST_RUN}).json == {"data": {"instalar": True}}
    assert "errors" in installed.graphql(INSTALAR, {"input": FIRST_RUN}).json
    info = installed.graphql("{ info { ativado linkInstalacaoConfigurado tipoInstalacao } }").json["data"]["info"]
    assert info == {"ativado": True, "linkInstalacaoConfigurado": True, "tipoInstalacao": "PRONTUARIO"}
    keys = "select ds_texto from tb_config_sistema where co_config_sistema in ('LINKINSTALACAO', 'NOMEINSTALACAO') order by 1"
    assert installed.sql(keys).splitlines() == ["http://127.0.0.1:8080", "PEC de Teste"]
    assert installed.sql("select ds_senha from tb_usuario").startswith("sha256:64000:32:")


def test_login_and_access(activated: PecHost) -> None:
    """Contract 4, login, sessao, selecionarAcesso, logout: the header, one session a user, force."""
    body = {"query": LOGIN, "variables": {"input": {"username": "52998224725", "password": "Trocar2026"}}}
    assert "errors" in activated.get("/api/graphql", body=body, headers={"Api-Consumer-Id": ""}).json
    first = login(activated, "Trocar2026")
    assert first.json == {"data": {"login": {"success": True}}}
    assert message(login(activated, "Trocar2026")) == "Você já está logado em outra sessão. Deseja continuar nesta aqui?"
    second = login(activated, "Trocar2026", force=True)
    assert activated.get("/esus/", cookies=first.cookies).status == 401
    assert activated.get("/esus/", cookies=second.cookies).status == 200
    query = "{ sessao { acesso { id } profissional { cpf nome acessos { id tipo ... on AdministradorMunicipal { autorizado } } } } }"
    session = activated.graphql(query, cookies=second.cookies).json["data"]["sessao"]
    access = session["profissional"]["acessos"][0]
    assert session["acesso"] is None and session["profissional"]["cpf"] == "52998224725" and access["tipo"] == "ADMINISTRADOR_GERAL"
    select = "mutation S($input: SelecionarAcessoInput!){selecionarAcesso(input:$input){id}}"
    activated.graphql(select, {"input": {"id": access["id"]}}, second.cookies)
    assert activated.graphql(query, cookies=second.cookies).json["data"]["sessao"]["acesso"] == {"id": access["id"]}
    activated.graphql("mutation { logout { id } }", cookies=second.cookies)
    assert activated.get("/esus/", cookies=second.cookies).status == 401


def test_lockout(activated: PecHost) -> None:
    """Contract 4, login: five wrong passwords and the right one no longer helps; the error envelope."""
    for _attempt in range(5):
        answer = login(activated, "errada123")
        assert answer.status == 200 and message(answer) == "Usuário e/ou senha inválidos"
        assert answer.json["errors"][0]["extensions"]["classification"] == "PecAuthenticationException"
    assert "errors" in login(activated, "Trocar2026").json


def test_sample_data(installed: PecHost) -> None:
    """Contract 3: bytea and large objects exist. The data are on demand and the same in every run."""
    assert installed.load_sample_data() == SAMPLE_CITIZENS
    assert installed.sql("select count(*) from tb_atend") == "5000"
    assert installed.sql("select count(*) from pg_largeobject_metadata") == "20"


def test_update_with_backup_and_https(filled: PecHost) -> None:
    """Contract 1 (the same jar updates, -backup, -cert-domain), 2 (backup's name, certmgr) and 6.11; configuration stays."""
    filled.sh("mkdir /opt/e-SUS/webserver/chaves && touch /opt/e-SUS/webserver/chaves/rnds.pfx")
    filled.sh("echo bridge.teste=fica >> /opt/e-SUS/webserver/config/application.properties")
    run = filled.install("5.4.37", "-backup", "-treinamento", "-cert-domain=pec.exemplo.test", "-cert-port=443")
    assert run.returncode == 0, run.stdout
    assert filled.sql(VERSION) == "5.4.37"
    assert filled.sql("select ds_inteiro from tb_config_sistema where co_config_sistema = 'TREINAMENTO'") == "1"
    assert filled.properties()["bridge.teste"] == "fica"
    filled.run("test", "-e", "/opt/e-SUS/webserver/chaves/rnds.pfx")
    name = filled.sh("ls /opt/e-SUS/backup").strip()
    assert name.endswith("-esus-postgres.backup") and name[:14].isdigit()
    address = filled.server.address
    filled.wait(f"https://{address}/", context=ssl._create_unverified_context())
    authority = ssl.create_default_context(cadata=ssl.get_server_certificate((address, 443)))
    authority.check_hostname = False
    assert fetch(f"https://{address}/api/public/info", context=authority).json["versao"] == "5.4.37"
    assert filled.mode("/opt/e-SUS/webserver/certmgr/config/ssl.properties") == "root:root 600"


def test_certificate_is_renewed_at_start_only(updated: PecHost) -> None:
    """Contract 2, standalone.sh: certmgr --renew runs when the service starts."""
    store = "/opt/e-SUS/webserver/certmgr/config/keystore.p12"
    updated.command(certmgr__days="5")
    updated.sh("rm -f /opt/e-SUS/webserver/certmgr/config/ssl.properties")
    assert updated.install("5.4.37", "-cert-domain=pec.exemplo.test").returncode == 0
    address = updated.server.address
    updated.wait(f"https://{address}/", context=ssl._create_unverified_context())
    updated.command()
    before = updated.sh(f"sha256sum {store}")
    updated.restart()
    updated.wait(f"https://{address}/", context=ssl._create_unverified_context())
    assert updated.sh(f"sha256sum {store}") != before
    updated.sh("rm /opt/e-SUS/webserver/certmgr/config/*")
    updated.restart()
    updated.wait()


def test_own_key_store(updated: PecHost) -> None:
    """Contract 2, application.properties: server.ssl.*, the key store relative to pec-bundle.jar."""
    updated.sh(
        "cd /opt/e-SUS/webserver/config && keytool -genkeypair -alias esus -keyalg RSA -dname CN=pec -storetype PKCS12"
        " -keystore esusaps.p12 -storepass segredo1 2>/dev/null && cp application.properties /srv/ && printf"
        " 'server.port=8443\\nserver.ssl.key-store=config/esusaps.p12\\nserver.ssl.key-store-password=segredo1\\n"
        "server.ssl.key-store-type=PKCS12\\nserver.ssl.key-alias=esus\\n' >> application.properties"
    )
    updated.restart()
    context = ssl._create_unverified_context()
    assert updated.wait(f"https://{updated.server.address}:8443/", context=context).status == 200
    updated.sh("cat /srv/application.properties > /opt/e-SUS/webserver/config/application.properties")
    updated.restart()
    updated.wait()


def test_version_mismatch(updated: PecHost) -> None:
    """Contract 6.1: it refuses to start and says why in pec.log; migrador.jar (contract 2, Tree) repairs it."""
    version = "update tb_config_sistema set ds_texto = '5.4.36' where co_config_sistema = 'VERSAOBANCODADOS'"
    updated.sql(version)
    updated.restart()
    updated.sh("while systemctl is-active -q e-SUS-PEC; do sleep 0.1; done")
    log = updated.sh("cat /opt/e-SUS/webserver/logs/pec.log")
    assert "O PEC e o seu banco de dados não estão na mesma versão." in log
    assert "Versao do PEC esperada no banco de dados: 5.4.37" in log and "Versao encontrada: 5.4.36" in log
    values = updated.properties()
    login = [f"-{key}={values[f'spring.datasource.{key}']}" for key in ("url", "username", "password")]
    updated.run("java", "-jar", "/opt/e-SUS/database/tools/migrador.jar", *login)
    updated.restart()
    assert updated.wait().status == 200


def test_restore(updated: PecHost) -> None:
    """Contract 1 and 6.15: -restore may end well without having restored; when it does restore, the data are the dump's."""
    updated.sh("mv /opt/e-SUS/backup/*.backup /srv/dump.backup")
    updated.sql("delete from tb_atend")
    updated.command(installer__restore="ignore")
    assert updated.install("5.4.37", "-restore=/srv/dump.backup").returncode == 0
    assert updated.sql("select count(*) from tb_atend") == "0"
    updated.command()
    run = updated.install("5.4.37", "-restore=/srv/dump.backup")
    assert run.returncode == 0, run.stdout
    assert updated.sql("select count(*) from tb_atend") == "5000"
    assert updated.sql("select count(*) from pg_largeobject_metadata") == "20"
    assert updated.install("5.4.37", "-restore=/srv/nada.backup").returncode != 0


def test_units_without_the_tree(updated: PecHost) -> None:
    """Contract 1, Already installed, and 6.14: with /opt/e-SUS deleted it is still an update, and PostgreSQL does not come up."""
    updated.sh("systemctl stop e-SUS-PEC e-SUS-AB-PostgreSQL; rm -rf /opt/e-SUS")
    run = updated.install("5.4.37")
    assert run.returncode != 0 and "falha ao iniciar e-SUS-AB-PostgreSQL.service" in run.stdout
