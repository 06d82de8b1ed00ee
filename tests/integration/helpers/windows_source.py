# SPDX-License-Identifier: GPL-3.0-or-later
"""A server that looks from outside as a PEC on Windows with OpenSSH does: SFTP with its paths, the forwarding of ports, and nothing else.

Windows' sftp-server shows C:/Program Files as /C:/Program Files (PowerShell/Win32-OpenSSH). No Windows can be had for tests.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

HOME = "C:/Program Files/e-SUS"
ATTACHMENTS = "D:/Anexos do PEC"
USER = "Administrador"
PORT = 5433
PASSWORD = "Senha-do-banco-7"  # of PEC's role, and of the superuser
KEYSTORE_PASSWORD = "Senha-do-cofre-8"
GOVBR_SECRET = "segredo-do-govbr-9"
ROOT = "/srv/windows"
WEBSERVER = f"{ROOT}/{HOME}/webserver"

PREPARE = """
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends postgresql locales >/dev/null
echo 'pt_BR.UTF-8 UTF-8' >> /etc/locale.gen
locale-gen >/dev/null
sed -i 's/^port = .*/port = {port}/' /etc/postgresql/*/main/postgresql.conf
systemctl restart postgresql
useradd --no-create-home --home-dir / --shell /usr/sbin/nologin {user}
mkdir -p {root} /etc/ssh/keys
"""
SSHD = """
AuthorizedKeysFile /etc/ssh/keys/%u
PasswordAuthentication no
AllowUsers {user}
ChrootDirectory {root}
ForceCommand internal-sftp -d /C:/Users/{user}
DisableForwarding no
AllowTcpForwarding local
PermitOpen 127.0.0.1:{port}
AllowStreamLocalForwarding no
AllowAgentForwarding no
X11Forwarding no
PermitTTY no
PermitTunnel no
"""
PROPERTIES = f"""\
spring.datasource.url=jdbc:postgresql://localhost:{PORT}/esus
spring.datasource.username=postgres
spring.datasource.password={PASSWORD}
# Cria\xe7\xe3o: 2024
server.port=8443
server.ssl.key-store=C:\\\\Program Files\\\\e-SUS\\\\webserver\\\\config\\\\ESUSAPS.P12
server.ssl.key-store-password={KEYSTORE_PASSWORD}
server.ssl.key-store-type=PKCS12
security.require-ssl=true
bridge.security.oauth2.client.registration.govbr.client-id=pec.agua-clara.ms.gov.br
bridge.security.oauth2.client.registration.govbr.client-secret={GOVBR_SECRET}
server.tomcat.basedir=D:\\\\Tomcat
"""
CREDENTIALS = f"""\
Url de conexão: jdbc:postgresql://localhost:{PORT}/esus

Usuário com acesso completo
usuário: postgres
senha: {PASSWORD}

Usuário com acesso de leitura
usuário: esus_leitura
senha: leitura
"""
# Below webserver. Names and contents as Windows has them.
FILES: dict[str, bytes] = {
    "config/application.properties": PROPERTIES.replace("\n", "\r\n").encode("latin-1"),
    "config/credenciais.txt": CREDENTIALS.replace("\n", "\r\n").encode("utf-16"),
    "config/esusaps.p12": b"\x30\x82a keystore",
    "chaves/Certificado do Município.pfx": b"\x30\x82a certificate",
    "chaves/antigos/São João.p12": b"\x30\x82an old certificate",
    "certmgr/config/ssl.properties": b"server.port=443\r\ndomain=pec.agua-clara.ms.gov.br\r\n",
    "pec-bundle.jar": b"jar",
}
ROLES = f"""
CREATE DATABASE esus TEMPLATE template0 ENCODING 'UTF8' LOCALE 'pt_BR.UTF-8';
ALTER ROLE postgres PASSWORD '{PASSWORD}';
CREATE ROLE esus_leitura LOGIN PASSWORD 'leitura';
"""


@dataclass(frozen=True)
class WindowsSource:
    """The server. Its PostgreSQL listens on 127.0.0.1, port 5433; the database esus is empty."""

    server: Any

    def prepared(self, credentials_encoding: str = "utf-16") -> WindowsSource:
        """Set everything up; return the same."""
        run = self.server.run("sh", "-ec", PREPARE.format(port=PORT, user=USER, root=ROOT), check=False)
        assert run.returncode == 0, run.stderr
        self.sql("postgres", ROLES)
        credentials = CREDENTIALS.replace("\n", "\r\n").encode(credentials_encoding)
        for path, data in {**FILES, "config/credenciais.txt": credentials}.items():
            self.put(f"{WEBSERVER}/{path}", data)
        self.put(f"{ROOT}/{ATTACHMENTS}/2025/ofício nº 1.pdf", b"an attachment")
        self.put(f"{ROOT}/C:/Users/{USER}/Desktop.ini", b"")
        self.server.put(SSHD.format(user=USER, root=ROOT, port=PORT), "/etc/ssh/sshd_config.d/windows.conf")
        # The owner of everything but the roots of the drives, as an administrator of Windows is.
        self.server.shell(f"chown -R {USER}: {ROOT}/*; systemctl restart ssh")
        return self

    def put(self, path: str, data: bytes) -> None:
        """Write a file, as the account that SFTP reads it by."""
        self.server.run(
            "sh",
            "-ec",
            f'mkdir -p "$(dirname "$1")"; base64 -d >"$1"; chown {USER}: "$1"',
            "put",
            path,
            stdin=base64.b64encode(data).decode(),
        )

    def sql(self, database: str, text: str) -> str:
        """Run SQL as the superuser and return the unaligned rows."""
        argv = ["runuser", "-u", "postgres", "--", "psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-p", str(PORT), "-d", database, "-f", "-"]
        run = self.server.run(*argv, stdin=text, check=False)
        assert run.returncode == 0, run.stderr
        return str(run.stdout).strip()

    def allow(self, target: Any, directory: str = "/root/windows") -> dict[str, Any]:
        """Make a key on the target and let it in; return the option C(ssh) of the modules."""
        key, known = f"{directory}/key", f"{directory}/known_hosts"
        make = f"mkdir -m 0700 -p {directory}; [ -e {key} ] || ssh-keygen -q -t ed25519 -N '' -f {key}; cat {key}.pub"
        self.server.put(target.shell(make), f"/etc/ssh/keys/{USER}")
        hosts = self.server.shell("cat /etc/ssh/ssh_host_*_key.pub").splitlines()
        target.put("".join(f"{self.server.address} {line}\n" for line in hosts), known, "0600")
        return {"host": self.server.address, "port": 22, "user": USER, "key_path": key, "known_hosts_path": known}
