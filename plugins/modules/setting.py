#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: setting
short_description: Set what the instalador sets in PEC's screens
version_added: 0.1.0
author: ["esus.pec contributors (@esus-pec)"]
description:
  - Reads the settings inside PEC, compares them with those that are wanted, writes what differs, and reads it again.
  - Each setting ends in one of three ways. V(confirmed), where it was written and PEC, or its database, then told the new value;
    V(not_needed), where that was so before; or V(manual), where a person has to do it or look at it, with the path in PEC's screens and
    the reason.
  - Only part of PEC's API is known for certain. What is believed of it, with its evidence, is in C(docs/contract.md); every operation is
    checked by PEC itself before it is done, one that this PEC does not know changes nothing and becomes V(manual), and O(operations)
    corrects it without another release.
  - What nothing reads, such as a password, is compared with what this host sent last, of which it keeps a salted hash. Where nothing else
    of a setting differs, PEC cannot confirm it, and a person has to look.
options:
  settings:
    description: The settings that are wanted. What is not given stays as it is.
    type: dict
    required: true
    suboptions:
      nome_instalacao: {description: Name of the installation. Needs O(database_writes)., type: str}
      link_instalacao: {description: Address under which people open PEC. Needs O(database_writes)., type: str}
      treinamento: {description: Whether this is a training installation. Needs O(database_writes)., type: bool}
      internet: {description: Whether PEC uses the internet., type: bool}
      periodo_redefinicao_senha: {description: Months after which a password has to be changed., type: int, choices: [1, 2, 3, 4, 5, 6]}
      periodo_inatividade: {description: Minutes after which an idle session ends., type: int, choices: [30, 60, 120, 180, 240]}
      tentativas_login:
        description: How many wrong passwords in a row lock an account.
        type: int
        choices: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]
      smtp:
        description: The server that PEC sends e-mail by. M(esus.pec.smtp_check) tells before whether it works.
        type: dict
        suboptions:
          enabled: {description: Whether PEC sends e-mail., type: bool, default: true}
          host: {description: Name or address of the server., type: str}
          port: {description: TCP port of the server., type: int}
          username: {description: Login., type: str}
          password: {description: Password of the login., type: str}
          sender: {description: E-mail address of the sender; by default the login., type: str}
      anexos:
        description: Attachments of files to records.
        type: dict
        suboptions:
          enabled: {description: Whether files can be attached., type: bool, default: true}
          directory: {description: Directory of the server where they are kept., type: str}
      cadsus:
        description: The national register of citizens. Switched off, PEC switches it on again after a month at most.
        type: bool
      horus: {description: The pharmacy system Hórus., type: bool}
      videochamada: {description: Video calls. Need HTTPS., type: bool}
      agenda_online:
        description: Online appointments. Need the contra-chave for V(agendamento) that M(esus.pec.contra_chave) keeps on this host.
        type: bool
      prescricao_digital:
        description: Digital prescription. Needs HTTPS, SMTP, a certificate in PEC's directory chaves, and PEC 5.2.6 or newer.
        type: dict
        suboptions:
          enabled: {description: Whether it is on., type: bool, default: true}
          username: {description: Login that the support of PEC sent., type: str}
          password: {description: Its password., type: str}
      requisicoes_simultaneas: {description: How many requests PEC works on at a time., type: int}
      busca_cidadao_por_propriedades: {description: Whether citizens are searched by single properties., type: bool}
      cadastro_domiciliar_via_cds: {description: Whether homes and families are registered by CDS., type: bool}
  database_writes:
    description:
      - Whether the settings for which no operation is known are written into PEC's table of settings. Those are
        O(settings.nome_instalacao), O(settings.link_instalacao) and O(settings.treinamento), and no other cell is ever written.
      - PEC is stopped for it, and started again. Needs the Python library psycopg2 on the host.
    type: bool
    default: false
  on_manual:
    description: Whether a setting that a person has to set is only reported, or ends the run as a failure once the others are done.
    type: str
    choices: [report, fail]
    default: report
attributes:
  check_mode:
    description:
      - Logs in, reads, and lets PEC check each operation without doing it, so that it tells what a run would do. It cannot foretell
        what PEC refuses only when it is done.
    support: full
  diff_mode:
    description: Shows what differs; of a secret only that it is set.
    support: full
  idempotent:
    description: A second run changes nothing, and needs no login where everything can be read without.
    support: full
extends_documentation_fragment:
  - esus.pec.attributes
  - esus.pec.api
  - esus.pec.api.instalador
seealso:
  - module: esus.pec.first_run
  - module: esus.pec.smtp_check
  - module: esus.pec.instalador_password
"""

EXAMPLES = r"""
- name: Switch on what the município asked for
  esus.pec.setting:
    instalador:
      cpf: 529.982.247-25
      password: "{{ vault_pec_instalador_password }}"
    settings:
      cadsus: true
      horus: false
      videochamada: true
      tentativas_login: 5
      smtp:
        host: smtp.municipio.uf.gov.br
        port: 587
        username: pec@municipio.uf.gov.br
        password: "{{ vault_pec_smtp_password }}"
  become: true
  register: set

- name: Say what is left for a person
  ansible.builtin.debug:
    msg: "{{ item.screen }}: {{ item.reason }}"
  loop: "{{ set.manual }}"

- name: Correct an operation that this PEC takes in another way
  esus.pec.setting:
    instalador:
      cpf: 529.982.247-25
      password: "{{ vault_pec_instalador_password }}"
    settings:
      videochamada: true
    operations:
      videochamada:
        write:
          document: "mutation AlterarVideochamada($input: VideochamadaInput!) { alterarVideochamada(input: $input) { id } }"
          variables: {input: {ativo: $enabled}}
  become: true
"""

RETURN = r"""
url: {description: The address that was asked., returned: success, type: str, sample: "http://127.0.0.1:8080"}
results:
  description: How each setting that was given ended, in the order in which they are set. In check mode, how it would end.
  returned: when PEC could be asked
  type: list
  elements: dict
  contains: &result
    setting: {description: Its name., type: str, sample: cadsus}
    result: {description: "V(confirmed), V(not_needed) or V(manual).", type: str, sample: confirmed}
    changed: {description: Whether it was written., type: bool, sample: true}
    before: {description: The fields that differ as they were., type: dict, sample: {enabled: false}}
    after: {description: The same as they are wanted., type: dict, sample: {enabled: true}}
    screen: {description: Where a person sets it., type: str, sample: "Configurações da instalação > Conexão > CADSUS"}
    evidence:
      description:
        - "How well the operation is known: V(C) official or two sources, V(S) one, V(I) inferred, V(?) a guess, V(site) a correction."
      type: str
      sample: S
    reason_code:
      description:
        - Why a person has to do it. V(unknown_operation), this PEC does not know the operation. V(refused), PEC refused it.
          V(prerequisite), something is missing. V(version), PEC is too old. V(unreadable), its value is not told.
          V(database_not_allowed), it needs O(database_writes). V(unconfirmed), PEC took it and does not tell the new value.
          V(interrupted), the run broke off. Otherwise empty.
      type: str
      sample: ""
    reason: {description: The same in words., type: str, sample: ""}
    missing:
      description: "With V(prerequisite), what is missing: V(internet), V(https), V(smtp), V(certificate), V(contra_chave)."
      type: list
      elements: str
      sample: []
    said: {description: "PEC's own words, where it said something.", type: str, sample: ""}
manual:
  description: Those of RV(results) that a person has to set.
  returned: when PEC could be asked
  type: list
  elements: dict
  contains: *result
"""

from dataclasses import asdict
from typing import Any

from ansible_collections.esus.pec.plugins.module_utils.api import options
from ansible_collections.esus.pec.plugins.module_utils.api.operations import Catalogue
from ansible_collections.esus.pec.plugins.module_utils.api.session import LoggedInElsewhereError, Session
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.module import QuietModule
from ansible_collections.esus.pec.plugins.module_utils.settings import planning
from ansible_collections.esus.pec.plugins.module_utils.settings.applying import Pec
from ansible_collections.esus.pec.plugins.module_utils.system import signals

ARGUMENTS = {
    **options.ARGUMENTS,
    **options.INSTALADOR,
    "settings": {
        "type": "dict",
        "required": True,
        "options": {name: setting.argument_spec() for name, setting in Catalogue().settings.items()},
    },
    "database_writes": {"type": "bool", "default": False},
    "on_manual": {"type": "str", "choices": ["report", "fail"], "default": "report"},
}


def run(module: QuietModule) -> dict[str, Any]:
    """The result of the module. Raises PecError."""
    params, here = module.params, options.look()
    catalogue = Catalogue(params["operations"])
    account, wanted = options.account(params, module.check_mode), planning.wanted_from(params["settings"], catalogue.settings)
    client, reason = options.reach(params, here, catalogue, module.check_mode)
    if client is None:
        return pending(reason)
    database, problem = options.database(here, client), ""
    try:
        with Session(client, account, database) as session:
            pec = Pec(here, session, catalogue.settings, params["database_writes"], params["wait"], database)
            plan, writers = pec.look(wanted)
            outcomes = plan.outcomes
            if plan.changed and not module.check_mode:
                outcomes, problem = pec.apply(wanted, plan, writers)
    except LoggedInElsewhereError:
        if not (module.check_mode and params["force"]):
            raise
        return pending("somebody works as the instalador, whose session a run would end")
    results = [asdict(outcome) for outcome in outcomes]
    return {
        "changed": any(outcome.changed for outcome in outcomes),
        "url": client.server.url,
        "results": results,
        "manual": [result for result in results if result["result"] == planning.MANUAL],
        "diff": planning.diff(outcomes),
        "warnings": [*plan.warnings, *session.warnings],
        "problem": problem,
    }


def pending(reason: str) -> dict[str, Any]:
    """Check mode where PEC cannot be asked yet."""
    return {"changed": True, "url": None, "warnings": [f"{reason}, so how each setting would end is not known"], "problem": ""}


def main() -> None:
    module = QuietModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    signals.listen()  # so that PEC does not stay stopped
    try:
        result = run(module)
    except (PecError, signals.Stopped) as error:
        module.fail_json(msg=str(error))
    for warning in result.pop("warnings"):
        module.warn(warning)
    problem = result.pop("problem")
    left = [f"{one['setting']}: {one['reason']} (in PEC: {one['screen']})" for one in result.get("manual", ())]
    if problem:
        module.fail_json(msg="\n".join([f"the run broke off: {problem}", *left]), **result)
    if left and module.params["on_manual"] == "fail":
        module.fail_json(msg="\n".join(["these settings are left for a person, and on_manual is fail:", *left]), **result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
