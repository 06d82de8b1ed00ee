# SPDX-License-Identifier: GPL-3.0-or-later
"""The one PEC of the unit tests: a few lines behind a real HTTP server, with sessions, some settings, and every way of saying no.

It validates what it is asked against the table of operations in the stand-in's source, so the two cannot differ in what they know.
"""

from __future__ import annotations

import json
import re
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

STAND_IN = Path(__file__).resolve().parents[2] / "stand_in" / "src" / "standin" / "server" / "Operations.java"
CPF, PASSWORD, NAME = "52998224725", "Segredo2026", "Maria da Silva"
WRONG = "Usuário e/ou senha inválidos"
ELSEWHERE = "Você já está logado em outra sessão. Deseja continuar nesta aqui?"
SMTP_FIELDS = ("endereco", "porta", "usuario", "senha", "email")
ROW = re.compile(r'\b(?:add\("(?P<kind>Query|Mutation)", |reads\(|(?P<writes>stores|changes)\()"(\w+)(?:\((.*?)\))?: (\w+)"')
TYPE = re.compile(r"\b(?:type|input) (\w+) \{([^}]*)\}")
MEMBER = re.compile(r"(\w+): (\[?\w+!?\]?!?)")
DOCUMENT = re.compile(r"(query|mutation) (\w+)(?:\(([^)]*)\))? \{ (\w+)(?:\([^)]*\))?(?P<skip> @skip\(if: true\))?(?: \{ (.*) \})? \}")


class RefusalError(Exception):
    def __init__(self, message: str, classification: str = "PecValidationException") -> None:
        super().__init__(message)
        self.classification = classification


@dataclass(frozen=True)
class Field:
    """A root field of the stand-in's: query or mutation, its arguments with their types, and the type of its result."""

    kind: str
    arguments: dict[str, str]
    result: str


def stand_in_schema() -> tuple[dict[str, Field], dict[str, dict[str, str]]]:
    """The stand-in's root fields, and the members of its types."""
    text = STAND_IN.read_text(encoding="utf-8")
    fields = {}
    for row in ROW.finditer(text):
        kind = "mutation" if row["writes"] or row["kind"] == "Mutation" else "query"
        fields[row[3]] = Field(kind, dict(MEMBER.findall(row[4] or "")), row[5])
    return fields, {name: dict(MEMBER.findall(body)) for name, body in TYPE.findall(text)}


FIELDS, TYPES = stand_in_schema()


class FakePec:
    """C(calls) has the name of each operation, its variables, and True if it was only to be checked; C(requests) the raw requests."""

    def __init__(self) -> None:
        self.info: dict[str, Any] = {
            "ativado": True,
            "linkInstalacaoConfigurado": True,
            "internetHabilitada": True,
            "smtpConfigurado": False,
            "govBREnabled": False,
            "anexoArquivosEnabled": False,
            "isPrescricaoDigitalEnabled": False,
        }
        self.security: dict[str, Any] = {"periodoRedefinicaoSenha": 6, "periodoInatividade": 60, "tentativasLogin": 5}
        self.video = False
        self.smtp: dict[str, Any] = {}
        self.password = PASSWORD
        self.accesses = [{"id": "7", "tipo": "LOTACAO"}, {"id": "3", "tipo": "ADMINISTRADOR_GERAL"}]
        self.user: dict[str, Any] = {"forcarTrocaSenha": False, "aceitouTermosUso": True}
        self.session: str | None = None
        self.selected: str | None = None
        self.sessions = 0
        self.calls: list[tuple[str, dict[str, Any], bool]] = []
        self.requests: list[tuple[str, dict[str, str], Any]] = []
        # Operations by their names: not known, refused with a text, accepted without effect, at which sessions end, and those whose result
        # is an object where the stand-in's is a plain value, or the reverse.
        self.unknown: set[str] = set()
        self.refused: dict[str, str] = {}
        self.ignored: set[str] = set()
        self.forgets_at: set[str] = set()
        self.objects: set[str] = set()
        # In place of the next answers: a status of HTTP, or a whole answer.
        self.statuses: list[int] = []
        self.prepared: list[tuple[int, Any, dict[str, str]]] = []
        # By operation: a status of HTTP in place of an answer, once, before or after the work is done.
        self.broken: dict[str, int] = {}
        self.broken_afterwards: dict[str, int] = {}
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def say(self, answer: Any, status: int = 200, **headers: str) -> None:
        """Prepare an answer in place of one of its own."""
        self.prepared.append((status, answer, {name.replace("_", "-"): value for name, value in headers.items()}))

    def done(self, *names: str) -> list[str]:
        """The operations that were really to be done; of the given ones only."""
        return [name for name, _variables, skipped in self.calls if not skipped and (not names or name in names)]

    def answer(self, question: dict[str, Any], cookie: str) -> tuple[dict[str, Any], str | None]:
        name, variables = question["operationName"], question["variables"]
        document = DOCUMENT.fullmatch(question["query"])
        assert document and document[2] == name, question["query"]
        skipped = bool(document["skip"])
        self.calls.append((name, variables, skipped))
        try:
            result = self._validated(document)
            if skipped:
                return {"data": {}}, None
            value = self.do(name, variables, document[6] or "", cookie)
            if value is True and result:
                value = {"id": "1"}
            return {"data": {document[4]: value}}, self.session
        except RefusalError as refusal:
            return {"errors": [{"message": str(refusal), "extensions": {"classification": refusal.classification}}], "data": None}, None

    def _validated(self, document: re.Match[str]) -> str:
        """The type of the result if it is an object, else nothing. Raises RefusalError in graphql-java's words."""
        kind, name, declared, root, selection = document[1], document[2], document[3], document[4], document[6] or ""
        field = FIELDS.get(root)
        if field is None or field.kind != kind or name in self.unknown:
            raise RefusalError(f"Validation error (FieldUndefined@[{root}])", "ValidationError")
        if dict(MEMBER.findall(declared or "")) != field.arguments:
            raise RefusalError(f"Validation error (VariableTypeMismatch@[{root}])", "ValidationError")
        members = dict.fromkeys(self.info, "Boolean") if field.result == "Info" else TYPES.get(field.result, {})
        is_object = bool(members) != (name in self.objects)
        if is_object != bool(selection):
            rule = "SubselectionRequired" if is_object else "SubselectionNotAllowed"
            raise RefusalError(f"Validation error ({rule}@[{root}])", "ValidationError")
        outer = re.sub(r"\{[^{}]*\}", "", re.sub(r"\{[^{}]*\}", "", selection)).split()
        if not set(outer) <= {*members, "__typename"}:
            raise RefusalError(f"Validation error (FieldUndefined@[{root}])", "ValidationError")
        return field.result if is_object else ""

    def do(self, name: str, variables: dict[str, Any], selection: str, cookie: str) -> Any:
        """Do an operation and return the value of its root field."""
        given = variables.get("input", {})
        if name == "Configuracoes":
            return {field: self.info[field] for field in selection.split()}
        if name == "Instalar":
            if name in self.refused:
                raise RefusalError(self.refused[name])
            self.info["linkInstalacaoConfigurado"] = name not in self.ignored
            return True
        if name == "Login":
            if given["password"] != self.password:
                raise RefusalError(WRONG, "PecAuthenticationException")
            if self.session and not given["force"]:
                raise RefusalError(ELSEWHERE, "PecAuthenticationException")
            self.sessions += 1
            self.session, self.selected = f"S{self.sessions}", None
            return {"success": True}
        alive = self.session is not None and f"JSESSIONID={self.session}" in cookie
        if name == "Sessao":
            return self._session() if alive else None
        if name in self.forgets_at:
            self.forgets_at.discard(name)
            self.session, alive = None, False
        if name == "Logout":
            self.session = None
            return {"id": "1"}
        if name == "SelecionarAcesso":
            self.selected = given["id"]
            return {"id": given["id"]}
        if not alive or self.selected != "3":
            raise RefusalError("Acesso negado", "AccessDeniedException")
        if name in self.refused:
            raise RefusalError(self.refused[name])
        return self._read(name) or self._write(name, variables, given)

    def _session(self) -> dict[str, Any]:
        access = next((each for each in self.accesses if each["id"] == self.selected), None)
        return {"acesso": access, "profissional": {"id": "1", "nome": NAME, "cpf": CPF, "usuario": self.user, "acessos": self.accesses}}

    def _read(self, name: str) -> Any:
        return {
            "ConfiguracaoVideochamada": {"habilitado": self.video},
            "ConfiguracoesSeguranca": self.security,
            "ConfiguracaoRequisicoes": {"qtdRequisicoesSimultaneas": 16},
        }.get(name)

    def _write(self, name: str, variables: dict[str, Any], given: dict[str, Any]) -> Any:
        if name in self.ignored:
            return True
        if name == "AlternarConexaoInternet":
            self.info["internetHabilitada"] = variables["habilitado"]
        elif name == "AlterarVideochamada":
            self.video = given["habilitado"]
        elif name == "AlterarPeriodoInatividade":
            self.security["periodoInatividade"] = variables["periodo"]
        elif name == "AlterarNumeroTentativasLogin":
            self.security["tentativasLogin"] = variables["tentativas"]
        elif name == "AlterarServidorSMTP":
            self.smtp = {field: given[field] for field in SMTP_FIELDS}
            self.info["smtpConfigurado"] = True
        elif name == "DesabilitarConexaoSMTP":
            self.info["smtpConfigurado"] = False
        elif name == "AlterarConfiguracaoPrescricaoDigital":
            self.info["isPrescricaoDigitalEnabled"] = given["habilitado"]
        elif name == "SolicitarRedefinicaoSenha":
            return {"value": f"{self.url}/redefinirSenha/token-1"}
        elif name == "RedefinirSenha":
            if given["token"] != "token-1":
                raise RefusalError("Link inválido")
            self.password, self.session = given["novaSenha"], None
        return True


def _handler(pec: FakePec) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            pec.requests.append((self.path, {key.lower(): value for key, value in self.headers.items()}, question))
            status, answer, headers = pec.prepared.pop(0) if pec.prepared else self._own(question)
            data = answer.encode() if isinstance(answer, str) else json.dumps(answer).encode()
            self.send_response(status)
            for name, value in {"Content-Length": str(len(data)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        def _own(self, question: dict[str, Any]) -> tuple[int, Any, dict[str, str]]:
            name = question["operationName"]
            status = pec.statuses.pop(0) if pec.statuses else pec.broken.pop(name, 200)
            answer, session = pec.answer(question, self.headers.get("Cookie", "")) if status == 200 else ({}, None)
            if status == 200 and "@skip" not in question["query"]:
                status = pec.broken_afterwards.pop(name, 200)
            cookie = {"Set-Cookie": f"JSESSIONID={session}; Path=/; HttpOnly"} if session else {}
            return status, answer if status == 200 else {}, cookie

        def log_message(self, *_arguments: object) -> None:
            pass

    return Handler
