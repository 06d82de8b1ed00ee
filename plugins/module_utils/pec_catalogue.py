# SPDX-License-Identifier: GPL-3.0-or-later
"""The operations of PEC's GraphQL that this collection uses, as data: one entry to correct when a real server differs.

Evidence: C official or two independent sources; S one source; I inferred. The letters of a source are those of docs/contract.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

GRAPHQL_PATH = "/api/graphql"
"""C (V FD MC)."""

HEADERS = {"Api-Consumer-Id": "ESUS_WEB_CLIENT", "apollographql-client-name": "PEC Web"}
"""C: a login requires the first (MC), FD sends it always; the second is PEC's own page's. The version is sent where it is known."""

VERSION_HEADER = "apollographql-client-version"

XSRF_COOKIE, XSRF_HEADER = "XSRF-TOKEN", "X-XSRF-TOKEN"
"""C (V FD) for REST; GraphQL accepts requests without (FD V)."""

FIRST_RUN_DONE = ("ativado", "linkInstalacaoConfigurado")
"""The first run is over when one of these is true in the answer of `Configuracoes`.

S that they exist and are told without a session (V asks for them before the first run). I what they mean: `Instalar` always carries a
link, so afterwards `linkInstalacaoConfigurado` holds; `ativado` is accepted too, because no installation can be active before it exists.
"""


@dataclass(frozen=True)
class Operation:
    """One GraphQL document. C(root) is the field of the answer; C(writes) keeps it from ever being sent twice."""

    name: str
    root: str
    document: str
    evidence: str
    source: str
    writes: bool = False


CONFIGURACOES = Operation(
    name="Configuracoes",
    root="info",
    document="query Configuracoes { info { ativado linkInstalacaoConfigurado } }",
    evidence="S",
    source="V",
)

INSTALAR = Operation(
    name="Instalar",
    root="instalar",
    document="mutation Instalar($input: InstalacaoInput!) { instalar(input: $input) }",
    evidence="S",
    source="V",
    writes=True,
)

PUBLIC_FACTS = (
    ("ativado", "linkInstalacaoConfigurado", "smtpConfigurado", "internetHabilitada", "govBREnabled", "serverTimezoneOffset"),
    ("versao", "treinamento"),
)
"""What `info` tells without a session, in groups that are asked for together.

S (V) for the first group, on PEC 5.4.37. The second is only in another author's imitation of PEC 5.4.36, so it is asked for by itself: to a
server that does not know a field the whole question is wrong.
"""


def public_facts(fields: Sequence[str]) -> Operation:
    """The question for some of these fields."""
    return Operation("Configuracoes", "info", f"query Configuracoes {{ info {{ {' '.join(fields)} }} }}", "S", "V")


OPERATIONS = {operation.name: operation for operation in (CONFIGURACOES, INSTALAR)}
