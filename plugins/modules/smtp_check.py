#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: smtp_check
short_description: Test the mail server that PEC will use
description:
  - Tests a mail server from the host that PEC runs on, before PEC gets its server, port, login, password and sender.
  - Takes one step after the other and fails at the first that does not work, with the step, the server's words, and what to do next.
  - The steps are C(connect), C(greeting), C(tls), C(login), C(sender), C(recipient) and C(message). Those that were not asked for are left
    out. With O(security=tls), C(tls) comes before C(greeting).
  - There is only one attempt to log in, so that a wrong password does not lock the account.
  - Nothing is stored, neither on the host nor in PEC.
author: ["esus.pec contributors (@esus-pec)"]
version_added: 0.1.0
options:
  host:
    description: Name or address of the mail server. Its certificate must name it.
    type: str
    required: true
  port:
    description: TCP port. By default V(587) with O(security=starttls), V(465) with O(security=tls) and V(25) with O(security=none).
    type: int
  security:
    description:
      - How the connection is encrypted. V(starttls) begins without encryption and switches to TLS, V(tls) begins with TLS.
      - With V(none), a password crosses the network in clear text, and the module warns. With the others it never does.
    type: str
    choices: [starttls, tls, none]
    default: starttls
  username:
    description: Name of the account that PEC will log in with. Without it there is no login. Requires O(password).
    type: str
  password:
    description: Password of the account. It may have characters outside ASCII, which are sent as UTF-8.
    type: str
  sender:
    description: E-mail address that PEC will send from. The server is asked to accept it; this alone sends nothing.
    type: str
  recipient:
    description:
      - E-mail address to send a test message to. Requires O(sender).
      - The message says, in Portuguese, that it is a test of PEC's e-mail and that nothing has to be done.
    type: str
  validate_certs:
    description: Require a certificate that is valid, names O(host), and is signed by a trusted authority.
    type: bool
    default: true
  ca_path:
    description:
      - File with the certificate authorities to trust. By default those of the host.
      - PEC's Java has authorities of its own, so a server that is trusted here may not be trusted there.
    type: path
  timeout:
    description: Seconds for each step. The time of a DNS query depends on the host's resolver.
    type: int
    default: 15
attributes:
  check_mode:
    description: Can run in check mode and predict the change. It takes the same steps without C(recipient) and C(message).
    support: full
  diff_mode:
    description: "Not applicable: nothing on the host changes."
    support: N/A
  idempotent:
    description: Each run with O(recipient) sends a message. Without it nothing changes.
    support: partial
extends_documentation_fragment:
  - esus.pec.attributes
seealso:
  - module: esus.pec.served_certificate
"""

EXAMPLES = r"""
- name: Test the mail server as PEC will use it
  esus.pec.smtp_check:
    host: smtp.municipio.uf.gov.br
    username: pec@municipio.uf.gov.br
    password: "{{ vault_smtp_password }}"
    sender: pec@municipio.uf.gov.br
  become: true

- name: Also send a test message
  esus.pec.smtp_check:
    host: smtp.municipio.uf.gov.br
    security: tls
    username: pec@municipio.uf.gov.br
    password: "{{ vault_smtp_password }}"
    sender: pec@municipio.uf.gov.br
    recipient: informatica@municipio.uf.gov.br
  become: true
  register: mail

- name: Show what the server answered
  ansible.builtin.debug:
    msg: "{{ mail.steps }}"
"""

RETURN = r"""
changed:
  description: True if a test message was sent, or would be without check mode.
  returned: success
  type: bool
  sample: false
steps:
  description: The steps in their order, up to the first that failed.
  returned: when the server was asked
  type: list
  elements: dict
  contains:
    name: {description: Name of the step., type: str, sample: login}
    ok: {description: True if it worked., type: bool, sample: true}
    said: {description: The server's words or what was found., type: str, sample: 235 2.7.0 Authentication successful}
tls:
  description: The encryption and the server's certificate. Null if there was none.
  returned: when the server was asked
  type: dict
  contains:
    version: {description: Version of TLS., type: str, sample: TLSv1.3}
    cipher: {description: Cipher by OpenSSL's name., type: str, sample: TLS_AES_256_GCM_SHA384}
    trusted: {description: True if the certificate was accepted. Null with O(validate_certs=false)., type: bool, sample: true}
    subject: {description: Its owner., type: str, sample: CN=smtp.municipio.uf.gov.br}
    issuer: {description: The authority that signed it., type: str, sample: "CN=R11,O=Let's Encrypt,C=US"}
    dns_names: {description: The hosts that it names., type: list, elements: str, sample: [smtp.municipio.uf.gov.br]}
    not_after: {description: End of its validity., type: str, sample: "2027-01-30T00:00:00Z"}
    days_left: {description: Whole days until then; negative once it has expired., type: int, sample: 68}
auth_methods:
  description: The login methods that the server offers, in its order. Empty if it offers none or the test did not get that far.
  returned: when the server was asked
  type: list
  elements: str
  sample: [PLAIN, LOGIN]
"""

import email.message
import email.policy
import email.utils
from dataclasses import asdict
from functools import partial
from typing import Any

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.module import PecModule, Result, run_module
from ansible_collections.esus.pec.plugins.module_utils.settings import mail_server

ARGUMENTS = {
    "host": {"type": "str", "required": True},
    "port": {"type": "int"},
    "security": {"type": "str", "choices": list(mail_server.PORTS), "default": "starttls"},
    "username": {"type": "str"},
    "password": {"type": "str", "no_log": True},
    "sender": {"type": "str"},
    "recipient": {"type": "str"},
    "validate_certs": {"type": "bool", "default": True},
    "ca_path": {"type": "path"},
    "timeout": {"type": "int", "default": 15},
}
FEW_DAYS = 15
TEXT = """\
Esta é uma mensagem de teste do e-mail do e-SUS PEC.

Ela foi enviada para verificar o servidor de e-mail {place}
antes de o PEC usá-lo. Se você a recebeu, o envio funciona.

Não é preciso fazer nada, nem responder a esta mensagem.
"""


def server_from(params: dict[str, Any]) -> mail_server.Server:
    port = mail_server.PORTS[params["security"]] if params["port"] is None else params["port"]
    return mail_server.Server(params["host"], port, params["security"], params["validate_certs"], params["ca_path"], params["timeout"])


def account_from(params: dict[str, Any]) -> mail_server.Account:
    return mail_server.Account(*(params[name] or "" for name in ("username", "password", "sender", "recipient")))


def compose(place: str, account: mail_server.Account) -> bytes:
    message = email.message.EmailMessage(email.policy.SMTP)
    message["Subject"] = "Teste do e-mail do PEC"
    message["From"], message["To"] = account.sender, account.recipient
    message["Date"] = email.utils.localtime()
    message["Message-ID"] = email.utils.make_msgid(domain=account.sender.rpartition("@")[2])
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(TEXT.format(place=place), cte="quoted-printable")
    return message.as_bytes()


def warnings(server: mail_server.Server, report: mail_server.Report) -> list[str]:
    """What works, and may not for long, or not safely."""
    found, tls = [], report.tls or {}
    if server.security == "none" and any(step.name == "login" for step in report.steps):
        found.append(f"the login at {server.place} is not encrypted (security is none), so whoever is in between can read the password")
    days = tls.get("days_left")
    if isinstance(days, int) and days < FEW_DAYS:
        found.append(f"the certificate of {server.place} is valid for only {days} more days, until {tls['not_after']}")
    return found


def run(module: PecModule) -> Result:
    """Test the server. Raises PecError with the steps that were taken if one failed."""
    server, account = server_from(module.params), account_from(module.params)
    message = None if module.check_mode else partial(compose, server.place, account)
    report = mail_server.probe(server, account, message)
    for warning in warnings(server, report):
        module.warn(warning)
    result = {"steps": [asdict(step) for step in report.steps], "tls": report.tls, "auth_methods": report.auth_methods}
    failure = mail_server.complaint(server, report)
    if failure:
        raise PecError(failure, **result)
    return {"changed": bool(account.recipient), **result}


def main() -> None:
    run_module(run, root=False, argument_spec=ARGUMENTS)


if __name__ == "__main__":
    main()
