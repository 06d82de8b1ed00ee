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
  - Logs in with the current password, gives PEC the new one, and verifies it by a login. The new one is checked against PEC's rules first.
  - Only one source says that PEC's API can do this (see C(docs/contract.md)). If it cannot, nothing is changed and the module fails.
  - A salted hash of the new password is kept on the host, so that a second run with the old password in its options tries no wrong one.
options:
  new_password:
    description: New password. 8 to 20 characters, with a letter and a digit, without personal data.
    type: str
    required: true
attributes:
  check_mode:
    description: Logs in with the current password and predicts the change.
    support: full
  diff_mode:
    description: There is nothing to show.
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
url: {description: The address of PEC., returned: success, type: str, sample: "http://127.0.0.1:8080"}
"""

from dataclasses import replace

from ansible_collections.esus.pec.plugins.module_utils import brazil
from ansible_collections.esus.pec.plugins.module_utils.api import options
from ansible_collections.esus.pec.plugins.module_utils.api.client import Client, PecApiError
from ansible_collections.esus.pec.plugins.module_utils.api.operations import Catalogue
from ansible_collections.esus.pec.plugins.module_utils.api.session import Account, LoggedInElsewhereError, RefusedPasswordError, Session
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.module import PecModule, Result, run_module
from ansible_collections.esus.pec.plugins.module_utils.redact import Redactor
from ansible_collections.esus.pec.plugins.module_utils.system import remembered

ROTATED = "rotated-password"
ARGUMENTS = {
    **options.ARGUMENTS,
    **options.INSTALADOR,
    "new_password": {"type": "str", "required": True, "no_log": True},
}


def rotate(session: Session, new: Account, database: str) -> bool:
    """Give PEC the new password. Returns True if PEC confirmed it, False if its answer was lost.

    Raises PecError, in PEC's words and without secrets, if PEC did not take it.
    """
    operations = session.client.catalogue.operations
    try:
        link = session.execute(operations["solicitar_redefinicao_senha"], {"username": new.username})
    except PecApiError as error:
        raise not_changed(error, session.account, new) from None
    token = str(link.get("value") or "").rstrip("/").rpartition("/")[2] if isinstance(link, dict) else ""
    if not token:
        raise PecError("the password was not changed: PEC returned no link for it. Change it in PEC and in the vault")
    # From here on the next run has to begin with the new one, unless PEC answers that it has not taken it.
    remembered.add(remembered.SENT, ROTATED, new.secret, database, only=True)
    values = {"username": new.username, "token": token, "new_password": new.password}
    refusal: PecError = PecError("PEC answered no")
    try:
        # Not by the session, which would log in again with the old password, which may be wrong by then.
        if session.client.execute(operations["redefinir_senha"], values) is not False:
            return True
    except PecApiError as error:
        if not error.not_done:
            return False
        refusal = error
    remembered.forget(remembered.SENT, ROTATED)
    raise not_changed(refusal, session.account, new)


def not_changed(error: PecError, *accounts: Account) -> PecError:
    """The error for a password that is as it was."""
    said = Redactor([account.password for account in accounts], only_known=True)(str(error))
    return PecError(f"the password was not changed: {said}. Change it in PEC and in the vault")


def prove(client: Client, new: Account, database: str, sure: bool) -> None:
    """Log in with the new password. Raises PecError."""
    remembered.forget(remembered.REFUSED, "instalador", new.secret, database)
    try:
        with Session(client, replace(new, force=True), database) as session:
            session.open()
    except PecError as error:
        taken = "PEC confirmed the new password" if sure else "PEC may have taken the new password, but its answer was lost"
        raise PecError(f"{taken}, and a login with it does not work: {error}. Log in with a browser to see which one is valid") from None


def change(client: Client, current: Account, new: Account, database: str, check_mode: bool) -> bool:
    """Return True if the password changes. A login proves that PEC has the password it was made with."""
    rotated = remembered.find(remembered.SENT, ROTATED, new.secret, database)
    if rotated or current.password == new.password:
        try:
            with Session(client, new, database) as session:
                session.open()
        except RefusedPasswordError as error:
            remembered.forget(remembered.SENT, ROTATED)
            hint = ". An earlier run gave it to PEC; the next run begins with the current password again" if rotated else ""
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


def run(module: PecModule) -> Result:
    """Change the password if PEC still has the current one. Raises PecError."""
    params, check_mode = module.params, module.check_mode
    here, current = options.installation_here(), options.account(params, check_mode)
    client, _reason = options.reach(params, here, Catalogue(params["operations"]), check_mode)
    if client is None:
        return {"changed": True, "url": None}
    new = replace(current, password=params["new_password"])
    try:
        changed = change(client, current, new, options.database(here, client), check_mode)
    except LoggedInElsewhereError:
        if not (check_mode and params["force"]):
            raise
        changed = True
    return {"changed": changed, "url": client.server.url}


def main() -> None:
    run_module(run, argument_spec=ARGUMENTS)


if __name__ == "__main__":
    main()
