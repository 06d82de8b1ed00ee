# SPDX-License-Identifier: GPL-3.0-or-later
"""A PEC of a few lines behind a real HTTP server: its sessions, some of its settings, and every way of saying no."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

CPF, PASSWORD, NAME = "52998224725", "Segredo2026", "Maria da Silva"
WRONG = "Usuário e/ou senha inválidos"
ELSEWHERE = "Você já está logado em outra sessão. Deseja continuar nesta aqui?"
SMTP_FIELDS = ("endereco", "porta", "usuario", "senha", "email")


class RefusalError(Exception):
    def __init__(self, message: str, classification: str = "PecValidationException") -> None:
        super().__init__(message)
        self.classification = classification


class FakePec:
    """C(calls) has the name of each operation, its variables, and whether it was only to be checked."""

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
        # Operations by their names: not known, refused with a text, taken without effect, wanting a selection, at which sessions end.
        self.unknown: set[str] = set()
        self.refused: dict[str, str] = {}
        self.ignored: set[str] = set()
        self.objects: set[str] = set()
        self.forgets_at: set[str] = set()
        self.statuses: list[int] = []
        # By operation: a status of HTTP in place of an answer, once, before or after the work is done.
        self.broken: dict[str, int] = {}
        self.broken_afterwards: dict[str, int] = {}
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def done(self, *names: str) -> list[str]:
        """The operations that were really to be done; of the given ones only."""
        return [name for name, _variables, skipped in self.calls if not skipped and (not names or name in names)]

    def answer(self, question: dict[str, Any], cookie: str) -> tuple[dict[str, Any], str | None]:
        name, query, variables = question["operationName"], question["query"], question["variables"]
        skipped = "@skip(if: true)" in query
        self.calls.append((name, variables, skipped))
        try:
            if name in self.unknown:
                raise RefusalError(f"Validation error (FieldUndefined@[{name}])", "ValidationError")
            if query.startswith("mutation") and (name in self.objects) != ("__typename" in query) and name not in ("Login", "Logout"):
                rule = "SubselectionRequired" if name in self.objects else "SubselectionNotAllowed"
                if name != "SelecionarAcesso" and name != "SolicitarRedefinicaoSenha":
                    raise RefusalError(f"Validation error ({rule}@[{name}])", "ValidationError")
            if skipped:
                return {"data": {}}, None
            root = name[0].lower() + name[1:]
            return {"data": {"info" if name == "Configuracoes" else root: self.do(name, variables, query, cookie)}}, self.session
        except RefusalError as refusal:
            return {"errors": [{"message": str(refusal), "extensions": {"classification": refusal.classification}}], "data": None}, None

    def do(self, name: str, variables: dict[str, Any], query: str, cookie: str) -> Any:
        given = variables.get("input", {})
        if name == "Configuracoes":
            fields = query.partition("info { ")[2].partition(" }")[0].split()
            if not set(fields) <= set(self.info):
                raise RefusalError("Validation error (FieldUndefined@[info])", "ValidationError")
            return {field: self.info[field] for field in fields}
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
        return self._read(name) if query.startswith("query") else name in self.ignored or self._write(name, variables, given)

    def _session(self) -> dict[str, Any]:
        access = next((each for each in self.accesses if each["id"] == self.selected), None)
        return {"acesso": access, "profissional": {"id": "1", "nome": NAME, "cpf": CPF, "usuario": self.user, "acessos": self.accesses}}

    def _read(self, name: str) -> Any:
        return {"ConfiguracaoVideochamada": {"habilitado": self.video}, "ConfiguracoesSeguranca": self.security}[name]

    def _write(self, name: str, variables: dict[str, Any], given: dict[str, Any]) -> Any:
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
            status = pec.statuses.pop(0) if pec.statuses else pec.broken.pop(question["operationName"], 200)
            answer, session = pec.answer(question, self.headers.get("Cookie", "")) if status == 200 else ({}, None)
            if status == 200 and "@skip" not in question["query"]:
                status = pec.broken_afterwards.pop(question["operationName"], 200)
            data = json.dumps(answer if status == 200 else {}).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            if session:
                self.send_header("Set-Cookie", f"JSESSIONID={session}; Path=/; HttpOnly")
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_arguments: object) -> None:
            pass

    return Handler
