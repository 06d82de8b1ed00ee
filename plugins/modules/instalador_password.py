#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: instalador_password
short_description: Change the password of PEC's instalador
version_added: 0.1.0
author: ["esus.pec contributors (@esus-pec)"]
description:
  - Logs in with the current password, gives PEC the new one, and proves it by a login. The new one is checked against PEC's rules first.
  - One source only tells that PEC's API does this (see C(docs/contract.md)). Where it does not, nothing is changed and the error says so.
  - A salted hash of the new password stays on the host, so that a second run, which still has the old one, tries no wrong password.
options:
  new_password:
    description: The new password, of 8 to 20 characters, with a letter and a digit, without personal data.
    type: str
    required: true
attributes:
  check_mode:
    description: Logs in with the current password, and predicts the change.
    support: full
  diff_mode:
    description: There is nothing that could be shown.
    support: none
  idempotent:
    description: A second run on the same host only logs in with the new password.
    support: full
extends_documentation_fragment:
  - esus.pec.attributes
  - esus.pec.api
  - esus.pec.api.instalador
seealso:
  - module: esus.pec.setting
"""

EXAMPLES = r"""
- name: Rotate the password after a transfer
  esus.pec.instalador_password:
    instalador:
      cpf: 529.982.247-25
      password: "{{ vault_pec_instalador_password }}"
    new_password: "{{ vault_pec_instalador_new_password }}"
  become: true
"""

RETURN = r"""
url: {description: The address that was asked., returned: success, type: str, sample: "http://127.0.0.1:8080"}
"""

from dataclasses import replace
from typing import Any

from ansible_collections.esus.pec.plugins.module_utils import brazil
from ansible_collections.esus.pec.plugins.module_utils.api import options
from ansible_collections.esus.pec.plugins.module_utils.api.client import Client, PecApiError
from ansible_collections.esus.pec.plugins.module_utils.api.operations import Catalogue
from ansible_collections.esus.pec.plugins.module_utils.api.session import Account, LoggedInElsewhereError, RefusedPasswordError, Session
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.module import QuietModule
from ansible_collections.esus.pec.plugins.module_utils.redact import Redactor
from ansible_collections.esus.pec.plugins.module_utils.system import remembered

ROTATED = "rotated-password"
ARGUMENTS = {
    **options.ARGUMENTS,
    **options.INSTALADOR,
    "new_password": {"type": "str", "required": True, "no_log": True},
}


def rotate(session: Session, new: Account, database: str) -> bool:
    """Give PEC the new password. Returns whether PEC said that it took it; False where its answer was lost.

    Raises PecError, in PEC's words and without secrets, where it did not take it.
    """
    operations = session.client.catalogue.operations
    try:
        link = session.execute(operations["solicitar_redefinicao_senha"], {"username": new.username})
    except PecApiError as error:
        raise not_changed(error, session.account, new) from None
    token = str(link.get("value") or "").rstrip("/").rpartition("/")[2] if isinstance(link, dict) else ""
    if not token:
        raise PecError("the password was not changed: PEC gave no link to change it by. Change it in PEC, and in the vault")
    # From here on the next run has to begin with the new one, unless PEC says that it has not taken it.
    remembered.add(remembered.SENT, ROTATED, new.secret, database, only=True)
    values = {"username": new.username, "token": token, "new_password": new.password}
    refusal: PecError = PecError("PEC says no")
    try:
        # By the client, as the session would log in again with the old password, which may be wrong by then.
        if session.client.execute(operations["redefinir_senha"], values) is not False:
            return True
    except PecApiError as error:
        if not error.not_done:
            return False
        refusal = error
    remembered.forget(remembered.SENT, ROTATED)
    raise not_changed(refusal, session.account, new)


def not_changed(error: PecError, *accounts: Account) -> PecError:
    said = Redactor([account.password for account in accounts], only_known=True)(str(error))
    return PecError(f"the password was not changed: {said}. Change it in PEC, and in the vault")


def prove(client: Client, new: Account, database: str, sure: bool) -> None:
    """Log in with the new password. Raises PecError."""
    remembered.forget(remembered.REFUSED, "instalador", new.secret, database)
    try:
        with Session(client, replace(new, force=True), database) as session:
            session.open()
    except PecError as error:
        doubt = (
            "PEC said that it took the new password"
            if sure
            else "whether PEC took the new password is not known, because its answer was lost"
        )
        raise PecError(f"{doubt}, and a login with it does not work: {error}. Log in in a browser to see which one counts") from None


def change(client: Client, current: Account, new: Account, database: str, check_mode: bool) -> bool:
    """Return whether it changes. A login with either password is the proof that it is the one that PEC has."""
    rotated = remembered.find(remembered.SENT, ROTATED, new.secret, database)
    if rotated or current.password == new.password:
        try:
            with Session(client, new, database) as session:
                session.open()
        except RefusedPasswordError as error:
            remembered.forget(remembered.SENT, ROTATED)
            hint = ". An earlier run had given it to PEC; the next one begins with the current password again" if rotated else ""
            raise PecError(f"{error}{hint}") from None
        return False
    with Session(client, current, database) as session:
        problems = brazil.instalador_password_problems(new.password, session.open(), current.username)
        if problems:
            raise PecError("\n".join(["the password was not changed, because PEC would refuse the new one:", *problems]))
        if check_mode:
            return True
        sure = rotate(session, new, database)
    prove(client, new, database, sure)
    return True


def run(params: dict[str, Any], check_mode: bool) -> tuple[bool, str | None]:
    here, current = options.look(), options.account(params, check_mode)
    client, _reason = options.reach(params, here, Catalogue(params["operations"]), check_mode)
    if client is None:
        return True, None
    new = replace(current, password=params["new_password"])
    try:
        return change(client, current, new, options.database(here, client), check_mode), client.server.url
    except LoggedInElsewhereError:
        if not (check_mode and params["force"]):
            raise
        return True, client.server.url


def main() -> None:
    module = QuietModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    try:
        changed, url = run(module.params, module.check_mode)
    except PecError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=changed, url=url)


if __name__ == "__main__":
    main()
