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
  - Reads the settings inside PEC, compares them with O(settings), writes what differs, and reads it again.
  - Each setting ends as V(confirmed), if it was written and PEC, or its database, then reported the new value; as V(not_needed), if it
    already had the value; or as V(manual), if it has to be set or looked at by hand, with the path in PEC's screens and the reason.
  - Only part of PEC's API is known for certain. C(docs/contract.md) has what is believed of it, with the evidence. PEC validates every
    operation before it is executed. One that this PEC does not know changes nothing and ends as V(manual); O(operations) corrects it
    without another release.
  - A field that nothing reads, such as a password, is compared with what this host sent last, of which it keeps a salted hash. If nothing
    else of a setting differs, PEC cannot confirm it, and the screen has to be looked at.
options:
  settings:
    description: The wanted settings. Those that are not given stay as they are.
    type: dict
    required: true
    suboptions:
      nome_instalacao: {description: Name of the installation. Requires O(database_writes)., type: str}
      link_instalacao: {description: Address under which people open PEC. Requires O(database_writes)., type: str}
      treinamento: {description: Make this a training installation. Requires O(database_writes)., type: bool}
      internet: {description: Let PEC use the internet., type: bool}
      periodo_redefinicao_senha: {description: Months after which a password expires., type: int, choices: [1, 2, 3, 4, 5, 6]}
      periodo_inatividade: {description: Minutes after which an idle session ends., type: int, choices: [30, 60, 120, 180, 240]}
      tentativas_login:
        description: Number of wrong passwords in a row that lock an account.
        type: int
        choices: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]
      smtp:
        description: Server through which PEC sends e-mail. M(esus.pec.smtp_check) tests it beforehand.
        type: dict
        suboptions:
          enabled: {description: Send e-mail., type: bool, default: true}
          host: {description: Name or address of the server., type: str}
          port: {description: TCP port of the server., type: int}
          username: {description: Login., type: str}
          password: {description: Password of the login., type: str}
          sender: {description: E-mail address of the sender. By default the login., type: str}
      anexos:
        description: Attachments of files to records.
        type: dict
        suboptions:
          enabled: {description: Allow attachments., type: bool, default: true}
          directory: {description: Directory for them on the server., type: str}
      cadsus:
        description: The national register of citizens. If it is switched off, PEC switches it on again after a month at most.
        type: bool
      horus: {description: The pharmacy system Hórus., type: bool}
      videochamada: {description: Video calls. Require HTTPS., type: bool}
      agenda_online:
        description: Online appointments. Require the contra-chave for V(agendamento) that M(esus.pec.contra_chave) keeps on this host.
        type: bool
      prescricao_digital:
        description: Digital prescription. Requires HTTPS, SMTP, a certificate in PEC's directory chaves, and PEC 5.2.6 or newer.
        type: dict
        suboptions:
          enabled: {description: Switch it on., type: bool, default: true}
          username: {description: Login from PEC's support., type: str}
          password: {description: Password of the login., type: str}
      requisicoes_simultaneas: {description: Number of requests that PEC handles at a time., type: int}
      busca_cidadao_por_propriedades: {description: Search citizens by single properties., type: bool}
      cadastro_domiciliar_via_cds: {description: Register homes and families by CDS., type: bool}
  database_writes:
    description:
      - Write the settings for which no operation is known into PEC's table of settings. These are O(settings.nome_instalacao),
        O(settings.link_instalacao) and O(settings.treinamento); no other cell is ever written.
      - PEC is stopped for it and started again. If the run is killed meanwhile, the next one starts PEC. Requires the Python library
        psycopg2 on the host.
    type: bool
    default: false
  on_manual:
    description: V(report) returns the settings that have to be set by hand, V(fail) also fails, after the others are done.
    type: str
    choices: [report, fail]
    default: report
attributes:
  check_mode:
    description:
      - Logs in, reads, and lets PEC validate each operation without executing it, so the result is that of a run. It cannot predict
        what PEC refuses only when an operation is executed.
    support: full
  diff_mode:
    description: Shows what differs. Secrets are masked.
    support: full
  idempotent:
    description: A second run changes nothing, and does not log in if everything can be read without a session.
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

- name: Show what has to be set by hand
  ansible.builtin.debug:
    msg: "{{ item.screen }}: {{ item.reason }}"
  loop: "{{ set.manual }}"

- name: Correct an operation that has another form in this PEC
  esus.pec.setting:
    instalador:
      cpf: 529.982.247-25
      password: "{{ vault_pec_instalador_password }}"
    settings:
      videochamada: true
    operations:
      videochamada:
        write:
          mutation: alterarVideochamada
          arguments: {input: VideochamadaInput!}
          selection: id
          variables: {input: {ativo: $enabled}}
  become: true
"""

RETURN = r"""
url: {description: The address of PEC., returned: success, type: str, sample: "http://127.0.0.1:8080"}
results:
  description: How each given setting ended, in the order in which settings are set. In check mode, how it would end.
  returned: when PEC could be asked
  type: list
  elements: dict
  contains: &result
    setting: {description: Its name., type: str, sample: cadsus}
    result: {description: "V(confirmed), V(not_needed) or V(manual).", type: str, sample: confirmed}
    changed: {description: True if it was written., type: bool, sample: true}
    before: {description: "The fields that differed, as they were.", type: dict, sample: {enabled: false}}
    after: {description: "The same fields, as wanted.", type: dict, sample: {enabled: true}}
    screen: {description: Where it is set by hand., type: str, sample: "Configurações da instalação > Conexão > CADSUS"}
    evidence:
      description:
        - "How well the operation is known: V(C) official or two sources, V(S) one, V(I) inferred, V(?) a guess, V(site) a correction."
      type: str
      sample: S
    reason_code:
      description:
        - Why it has to be set by hand. V(unknown_operation), this PEC does not know the operation. V(refused), PEC refused it.
          V(prerequisite), something is missing. V(version), PEC is too old. V(unreadable), its value cannot be read.
          V(database_not_allowed), it requires O(database_writes). V(unconfirmed), PEC accepted it and does not report the new value.
          V(interrupted), the run was interrupted. Otherwise empty.
      type: str
      sample: ""
    reason: {description: The same in words., type: str, sample: ""}
    missing:
      description: "With V(prerequisite), what is missing: V(internet), V(https), V(smtp), V(certificate), V(contra_chave)."
      type: list
      elements: str
      sample: []
    said: {description: "PEC's own words, if there are any.", type: str, sample: ""}
manual:
  description: Those of RV(results) that have to be set by hand.
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
from ansible_collections.esus.pec.plugins.module_utils.module import PecModule, Result, run_module
from ansible_collections.esus.pec.plugins.module_utils.pec import stopping
from ansible_collections.esus.pec.plugins.module_utils.settings import planning
from ansible_collections.esus.pec.plugins.module_utils.settings.applying import Pec
from ansible_collections.esus.pec.plugins.module_utils.settings.reading import Reader
from ansible_collections.esus.pec.plugins.module_utils.settings.sent import Sent

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


def run(module: PecModule) -> Result:
    """Bring the settings to what is wanted. Raises PecError, with the results that there are."""
    params, check_mode = module.params, module.check_mode
    here, catalogue = options.installation_here(), Catalogue(params["operations"])
    account, wanted = options.account(params, check_mode), planning.wanted_from(params["settings"], catalogue.settings)
    resumed = "" if check_mode else stopping.resume()
    if resumed:
        module.warn(resumed)
    client, reason = options.reach(params, here, catalogue, check_mode)
    if client is None:
        return unknown_yet(reason)
    database, problem = options.database(here, client), ""
    try:
        with Session(client, account, database) as session:
            pec = Pec(Reader(here, session, catalogue.settings), Sent(database), params["wait"])
            plan = pec.plan(wanted, params["database_writes"])
            outcomes = plan.outcomes
            if plan.writers and not check_mode:
                outcomes, problem = pec.apply(wanted, plan)
    except LoggedInElsewhereError:
        if not (check_mode and params["force"]):
            raise
        return unknown_yet("the instalador has a session, which a run would end")
    for warning in (*plan.warnings, *session.warnings):
        module.warn(warning)
    result = finished(client.server.url, outcomes, problem, params["on_manual"])
    return {**result, "changed": result["changed"] or bool(resumed)}


def unknown_yet(reason: str) -> Result:
    """The result of a check mode that cannot ask PEC yet."""
    return {"changed": True, "url": None, "warnings": [f"{reason}, so how each setting would end is unknown"]}


def finished(url: str, outcomes: tuple[planning.Outcome, ...], problem: str, on_manual: str) -> Result:
    """The result of a run. Raises PecError with it if the run was interrupted, or may leave nothing to be set by hand."""
    results = [asdict(outcome) for outcome in outcomes]
    manual = [one for one in results if one["result"] == planning.MANUAL]
    result: dict[str, Any] = {
        "changed": any(outcome.changed for outcome in outcomes),
        "url": url,
        "results": results,
        "manual": manual,
        "diff": planning.diff(outcomes),
    }
    left = [f"{one['setting']}: {one['reason']} (in PEC: {one['screen']})" for one in manual]
    if problem:
        raise PecError("\n".join([f"the run was interrupted: {problem}", *left]), **result)
    if left and on_manual == "fail":
        raise PecError("\n".join(["these settings have to be set by hand, and on_manual is fail:", *left]), **result)
    return result


def main() -> None:
    run_module(run, stoppable=True, argument_spec=ARGUMENTS)  # stoppable, so that PEC does not stay stopped


if __name__ == "__main__":
    main()
