# SPDX-License-Identifier: GPL-3.0-or-later
"""The beliefs about PEC's installer and about what PEC's programs say. Private to the collection."""

from __future__ import annotations

import posixpath

from ansible_collections.esus.pec.plugins.module_utils import beliefs
from ansible_collections.esus.pec.plugins.module_utils.doctor.facts import Facts, JarSeen
from ansible_collections.esus.pec.plugins.module_utils.doctor.model import JAR, Answer, belief, judged, listing

_TEXTS = {
    "text-not-root": "Instalador sem root",
    "text-no-directory": "Instalador executado em /",
    "text-os-family": "Instalador em outro sistema",
    "text-custom-database": "Instalador com banco próprio",
    "text-migration-failed": "Migração que falhou",
    "text-out-of-memory": "Migração sem memória",
    "text-changeset-failed": "Etapa da migração que falhou",
    "text-checksum": "Etapa da migração alterada",
    "text-scram": "Driver diante de SCRAM, em português",
    "text-scram-english": "Driver diante de SCRAM, em inglês",
    "text-semaphores": "Semáforos perdidos",
    "text-version-mismatch": "Banco de outra versão",
    "text-version-expected": "Registro: versão esperada",
    "text-version-found": "Registro: versão encontrada",
    "text-link-rejected": "Link recusado na primeira execução",
    "text-logged-in-elsewhere": "Login com outra sessão aberta",
    "text-wrong-login": "Usuário ou senha errados",
    "text-https-required": "Transmissão sem HTTPS",
}


def _jar(facts: Facts) -> JarSeen:
    return facts.jar or JarSeen("")  # the need JAR makes sure that there is one


@belief("jar-name", "Nome do instalador", "eSUS-AB-PEC-<versão>-Linux64.jar", anywhere=True, needs=(JAR,))
def _jar_name(facts: Facts) -> Answer:
    name = posixpath.basename(_jar(facts).path)
    return judged(beliefs.JAR_NAME.fullmatch(name) is not None, name)


@belief("jar-main-class", "Classe principal do instalador", anywhere=True, needs=(JAR,))
def _jar_main_class(facts: Facts) -> Answer:
    jar = _jar(facts)
    return judged(jar.main_class == beliefs.JAR_MAIN_CLASS, jar.problem or jar.main_class or "nenhuma")


@belief("jar-contents", "Conteúdo do instalador", "todos: {value}", anywhere=True, needs=(JAR,))
def _jar_contents(facts: Facts) -> Answer:
    jar = _jar(facts)
    missing = f"faltam: {listing(jar.missing)}" if jar.missing else ""
    return judged(not jar.problem and not missing, jar.problem or missing or "todos presentes")


def _enter_options(name: str, title: str) -> None:
    @belief(name, title, anywhere=True, needs=(JAR,))
    def _judge(facts: Facts) -> Answer:
        if name in _jar(facts).constants:
            return Answer.ok("todas estão nas classes do instalador")
        return Answer.not_verifiable("nem todas foram encontradas nas classes do instalador; compare com a saída de -help")


_enter_options("options", "Opções do instalador")
_enter_options("certificate-options", "Opções de certificado do instalador")


@belief("exit-code-zero", "Término 0 do instalador não prova a instalação", "instalador que termina com 0 sem efeito", anywhere=True)
@belief("root-directory", "Instalador executado em /", "falha com mensagem enganosa", anywhere=True)
def _not_here(_facts: Facts) -> Answer:
    return Answer.not_verifiable("não é verificável num servidor já instalado, só durante a execução do instalador")


def _enter_text(name: str, title: str) -> None:
    """A text of the product can only be confirmed: by a log that has it, or by the program that carries it."""

    @belief(name, title, "o texto: {value}", anywhere=True)
    def _judge(facts: Facts) -> Answer:
        if name in facts.said:
            return Answer.ok(f"aparece em {facts.said[name]}")
        if name in _jar(facts).constants:
            return Answer.ok("está nas classes do instalador")
        return Answer.not_verifiable(f"não aparece em {len(facts.logs)} registro(s) lido(s); só a própria falha o mostraria")


for _name, _title in _TEXTS.items():
    _enter_text(_name, _title)
