# SPDX-License-Identifier: GPL-3.0-or-later
"""The base of every module: a module is its arguments and one function that returns its result. Private to the collection."""

from __future__ import annotations

import copy
import os
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, Dict

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.common.parameters import remove_values

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.pec import stopping
from ansible_collections.esus.pec.plugins.module_utils.redact import MASK, Redactor, looks_secret
from ansible_collections.esus.pec.plugins.module_utils.system import signals

Result = Dict[str, Any]

UNQUOTED = (
    "has no quotes, so that YAML read it as a number or as true or false and changed it (a zero at its start makes it octal); "
    "write it in quotes"
)
"""Why a secret that is no text is refused: what was written cannot be known any more."""


# A time, a path, a digest with colons, or one word, such as a digest, a version and the name of a database.
_EXACT = re.compile(
    r"""\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z | (?:/[^/\s:=@?&"']+)+/? | [0-9A-F]{2}(?::[0-9A-F]{2})+ | \w+(?:[.-]\w+)*""",
    re.ASCII | re.VERBOSE,
)

# A number, a word, or few characters. PEC's own passwords are none of these: they have 8 characters or more, with a letter and a digit.
_FOUND_BY_CHANCE = re.compile(r"\d{1,14}|[^\W\d_]+|.{1,7}", re.DOTALL)


def unquoted(given: Mapping[str, Any], options: Mapping[str, Any], inside: str = "") -> Iterator[str]:
    """Yield the names of the secret options that are numbers or truth values instead of texts."""
    for name, spec in options.items():
        value = given.get(name)
        if spec.get("no_log") and isinstance(value, (int, float)):
            yield inside + name
        for each in value if isinstance(value, list) else [value]:
            if spec.get("options") and isinstance(each, Mapping):
                yield from unquoted(each, spec["options"], f"{inside}{name}.")


INVENTORY_NAME = "ESUS_PEC_INVENTORY_NAME"
"""The variable of the environment with the server's name in the inventory. The action of the modules sets it."""

UMASK = 0o022
"""The umask of root's login. sudo's may be 077, and then the account of PEC's PostgreSQL could not read what the installer and other
programs write. Private files get their mode when they are made."""


def diff(path: str | None, before: str, after: str) -> dict[str, str]:
    """Return the change of one file in the form that Ansible shows with --diff."""
    return {"before": before, "after": after, "before_header": path or "", "after_header": path or ""}


class PecModule(AnsibleModule):  # type: ignore[misc]  # Ansible has no types
    """A module that keeps its arguments out of the host's journal, and shows of them only what can be no secret.

    Ansible writes a dictionary there as Python text and then looks for the secrets in it; one that holds a backslash or both kinds
    of quotes is written with escapes, and so not found. It also returns every argument, and knows a secret only by the option that it
    was given in.
    """

    no_log_values: set[str]
    _accepted = False
    _unquoted = ""

    def __init__(self, **arguments: Any) -> None:
        self._server = os.environ.pop(INVENTORY_NAME, "")  # not for the programs that the module starts
        super().__init__(**arguments)
        self._accepted = True
        if self._unquoted:
            self.fail_json(msg=self._unquoted)

    def _load_params(self) -> None:
        super()._load_params()
        found = " and ".join(unquoted(self.params, self.argument_spec))  # before Ansible makes texts of them
        self._unquoted = f"the value of {found} {UNQUOTED}" if found else ""

    def _log_invocation(self) -> None:
        pass

    def exit_json(self, **result: Any) -> None:
        chance: set[str] = set()
        hidden = _hidden(self._with_invocation(result), self.no_log_values, chance)
        self.no_log_values = self.no_log_values - chance
        super().exit_json(**hidden)

    def fail_json(self, msg: str, **result: Any) -> None:
        clean = Redactor(only_known=self._accepted)  # Ansible's own error about an argument may quote it
        if self._unquoted and not self._accepted:
            msg = f"{self._unquoted}; {msg}"
        super().fail_json(msg=clean(str(msg)), **self._with_invocation(result))

    def warn(self, warning: str, **more: Any) -> None:
        """Show a warning that names its server, because Ansible shows equal warnings of several servers once."""
        super().warn(f"{self._server}: {warning}" if self._server else warning, **more)

    def say(self, *warnings: str) -> None:
        """Show warnings at once, so that they are not lost when the module fails later."""
        for warning in warnings:
            self.warn(remove_values(warning, self.no_log_values))

    def _with_invocation(self, result: dict[str, Any]) -> dict[str, Any]:
        return {"invocation": {"module_args": shown(self.params, self.argument_spec)}, **result}


def _hidden(value: Any, secrets: Collection[str], chance: set[str]) -> Any:
    """Return a result without secrets, and add to C(chance) those that are in it by chance.

    Ansible masks a secret wherever its characters are: with the password 2026 a date, a path and a fingerprint have asterisks, which
    gives the password away, and a role that compares such a value or passes it on fails. So a longer value is kept that can only be what
    was computed, or the name of something, if the secret is one that such a value may hold by chance.
    """
    if isinstance(value, Mapping):
        return {key: _hidden(each, secrets, chance) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_hidden(each, secrets, chance) for each in value]
    if value is None or isinstance(value, bool):
        return value
    found = {secret for secret in secrets if secret in str(value)}
    computed = isinstance(value, (int, float)) or (value not in found and _EXACT.fullmatch(value))
    if found and computed and all(map(_FOUND_BY_CHANCE.fullmatch, found)):
        chance |= found
        return value
    return remove_values(value, secrets) if found else value


def _left_stopped() -> list[str]:
    """What any run says about a PEC that a killed run left stopped."""
    left = stopping.find()
    return [str(left)] if left else []


def shown(given: object, options: Mapping[str, Any] | None = None, name: str = "") -> object:
    """Return arguments without what is or may be a secret: an option that does not exist may be a secret's with a typing error.

    options are the known ones; without them every key may be given, and its name decides.
    """
    if isinstance(given, Mapping):
        if options is None:
            return {key: shown(value, None, f"{name}.{key}") for key, value in given.items()}
        return {key: _shown_option(key, value, options.get(key)) for key, value in given.items()}
    if isinstance(given, (list, tuple)):
        return [shown(value, options, name) for value in given]
    if given in (None, "") or isinstance(given, bool):
        return given
    # With options a mapping was expected, and this is something else.
    return MASK if options is not None or looks_secret(name, str(given)) else given


def _shown_option(name: str, value: object, spec: Mapping[str, Any] | None) -> object:
    if value is None or (spec is not None and isinstance(value, bool)):
        return value
    if spec is None or spec.get("no_log"):
        return MASK
    if spec.get("type") == "dict" and "options" not in spec:
        return shown(value, None, name) if isinstance(value, Mapping) else MASK
    return shown(value, spec.get("options"))


def run_module(work: Callable[[PecModule], Mapping[str, Any]], *, root: bool = True, stoppable: bool = False, **arguments: Any) -> None:
    """Parse the arguments, call C(work), and end the module with what it returns.

    The result's "warnings" are shown as warnings. A PecError ends the module as a failure, with the error's facts beside the message.
    root: refuse to run as another account. stoppable: raise signals.Stopped in C(work) when the run is told to end, so that it can undo
    what it began. arguments are AnsibleModule's; check mode is supported unless they say otherwise.
    """
    # Ansible writes the defaults of suboptions into the specification, which tests and documentation read too.
    module = PecModule(**{"supports_check_mode": True, **copy.deepcopy(arguments)})
    os.umask(UMASK)
    if stoppable:
        signals.listen()
    try:
        if root and os.geteuid() != 0:
            raise PecError("this module requires root, because only root can read PEC's files; use become: true")
        result = {"changed": False, **work(module)}
    except (PecError, signals.Stopped) as error:
        module.fail_json(msg="\n".join([str(error), *_left_stopped()]), **getattr(error, "facts", {}))
    module.say(*result.pop("warnings", ()), *_left_stopped())
    module.exit_json(**result)
