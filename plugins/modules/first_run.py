#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: first_run
short_description: Answer PEC's first questions
description:
  - Gives a new PEC its name, its link, its type and its instalador, as its first page does in a browser.
  - A PEC that has been through its first run is left as it is, whatever the answers are.
  - Name, CPF and password are checked before anything is sent. There is only one attempt.
author: ["esus.pec contributors (@esus-pec)"]
version_added: 0.1.0
options:
  name:
    description: Name of the installation, such as the município's.
    type: str
    required: true
  link:
    description: Address under which people open PEC, such as V(https://esus.municipio.uf.gov.br). PEC opens it to check it.
    type: str
    required: true
  type:
    description: Type of the installation.
    type: str
    choices: [PRONTUARIO, CENTRALIZADORA]
    default: PRONTUARIO
  instalador:
    description: The person who administers the installation.
    type: dict
    required: true
    suboptions:
      name: {description: Full name., type: str, required: true}
      cpf: {description: CPF with or without dots and dash., type: str, required: true}
      password: {description: "8 to 20 characters, with a letter and a digit, without personal data.", type: str, required: true}
  timeout:
    description: Seconds for one request. PEC opens the link before it answers.
    type: int
    default: 120
attributes:
  check_mode:
    description: Can run in check mode and predict the change. If PEC does not run, its database is read instead.
    support: full
  diff_mode:
    description: Shows the name, link and type.
    support: full
extends_documentation_fragment:
  - esus.pec.attributes
  - esus.pec.api
seealso:
  - module: esus.pec.installer
  - module: esus.pec.setting
"""

EXAMPLES = r"""
- name: Answer the first questions
  esus.pec.first_run:
    name: Município de Exemplo
    link: https://esus.municipio.uf.gov.br
    instalador:
      name: Maria da Silva
      cpf: 529.982.247-25
      password: "{{ pec_instalador_password }}"
  become: true
"""

RETURN = r"""
url: {description: The address of PEC., returned: success, type: str, sample: "http://127.0.0.1:8080"}
done: {description: True if the first run was already over., returned: success, type: bool, sample: false}
"""

from typing import Any

from ansible_collections.esus.pec.plugins.module_utils import brazil
from ansible_collections.esus.pec.plugins.module_utils.api import options
from ansible_collections.esus.pec.plugins.module_utils.api.client import Client, FirstRun, PecUnreachableError
from ansible_collections.esus.pec.plugins.module_utils.api.operations import Catalogue
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.module import PecModule, Result, run_module
from ansible_collections.esus.pec.plugins.module_utils.postgres import psql
from ansible_collections.esus.pec.plugins.module_utils.redact import Redactor

PATIENCE = 8
"""Seconds."""

ARGUMENTS = {
    **options.ARGUMENTS,
    "name": {"type": "str", "required": True},
    "link": {"type": "str", "required": True},
    "type": {"type": "str", "choices": ["PRONTUARIO", "CENTRALIZADORA"], "default": "PRONTUARIO"},
    "instalador": {
        "type": "dict",
        "required": True,
        "options": {
            "name": {"type": "str", "required": True},
            "cpf": {"type": "str", "required": True},
            "password": {"type": "str", "required": True, "no_log": True},
        },
    },
    "timeout": {"type": "int", "default": 120},
}


def read_current(params: dict[str, Any], check_mode: bool) -> tuple[Client, bool]:
    """Return how to reach PEC, and True if its first run is over. Raises PecError without an answer, unless check mode can do without."""
    here = options.installation_here()
    clients = options.clients(params, here, Catalogue(params["operations"]), PATIENCE)
    if check_mode and here.state == "absent" and not params["url"]:
        return clients[0], False
    try:
        return options.answering(clients, 0)
    except PecUnreachableError as error:
        if not check_mode or error.final:
            raise
        return clients[0], done_by_database(here.connection)


def done_by_database(connection: psql.Connection | None) -> bool:
    """For check mode, in which PEC may be stopped: the first run leaves the link in the database."""
    return connection is not None and psql.read_facts(connection).installation_link is not None


def plan(done: bool, answers: FirstRun) -> bool:
    """Return True if the answers have to be sent. Raises PecError with everything that PEC would refuse in them."""
    if done:
        return False
    problems = ["the name of the installation is empty; give for example the município's"] if not answers.name.strip() else []
    problems.extend(brazil.link_problems(answers.link))
    if not answers.instalador_name.strip():
        problems.append("the instalador's name is empty; give the person's full name")
    problems += brazil.cpf_problems(answers.cpf)
    problems += brazil.instalador_password_problems(answers.password, answers.instalador_name, answers.cpf)
    if problems:
        raise PecError("\n".join(["nothing was sent, because PEC would refuse these answers of the first run:", *problems]))
    return True


def apply(client: Client, answers: FirstRun) -> None:
    """Send the answers, in one attempt. Raises PecError."""
    try:
        client.install(answers)
    except PecUnreachableError as error:
        raise PecError(f"{error}. PEC may or may not have taken the answers; run again, which sends them only if it did not") from None
    except PecError as error:
        remedy = "correct the answers, then run again; a link must open from this server itself (DNS, /etc/hosts, certificate)"
        raise PecError(Redactor([answers.password])(f"{error}; {remedy}")) from None
    if not client.first_run_done():
        raise PecError(f"PEC at {client.server.url} took the answers of the first run and still asks for them; look into its log")


def answers_from(params: dict[str, Any]) -> FirstRun:
    person = params["instalador"]
    digits = brazil.cpf_digits(person["cpf"])
    return FirstRun(params["name"].strip(), params["link"].strip(), params["type"], person["name"].strip(), digits, person["password"])


def run(module: PecModule) -> Result:
    """Answer PEC's first questions if nobody has. Raises PecError."""
    answers = answers_from(module.params)
    client, done = read_current(module.params, module.check_mode)
    needed = plan(done, answers)
    if needed and not module.check_mode:
        apply(client, answers)
    after = f"name: {answers.name}\nlink: {answers.link}\ntype: {answers.type}\n" if needed else ""
    return {"changed": needed, "done": done, "url": client.server.url, "diff": {"before": "", "after": after}}


def main() -> None:
    run_module(run, root=False, argument_spec=ARGUMENTS)


if __name__ == "__main__":
    main()
