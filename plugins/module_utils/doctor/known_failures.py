# SPDX-License-Identifier: GPL-3.0-or-later
"""Failures known from real servers (contract, section 6), each turned into a question to this one, with what to do in Portuguese."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable

from ansible_collections.esus.pec.plugins.module_utils import beliefs
from ansible_collections.esus.pec.plugins.module_utils.doctor.facts import Facts
from ansible_collections.esus.pec.plugins.module_utils.doctor.model import (
    Answer,
    diverges,
    judged,
    listing,
    not_applicable,
    not_verifiable,
    ok,
)
from ansible_collections.esus.pec.plugins.module_utils.doctor.words import STOPPED
from ansible_collections.esus.pec.plugins.module_utils.preflight.database import USABLE_AUTHENTICATION
from ansible_collections.esus.pec.plugins.module_utils.preflight.host import HTTP_CHALLENGE_PORT

CERTIFICATE_DAYS = 30
"""A certificate of 90 days is renewed when 30 are left; one with less was not renewed, because PEC was not restarted."""

_FAILURES = (
    "text-migration-failed", "text-out-of-memory", "text-checksum", "text-scram", "text-scram-english", "text-semaphores",
    "text-version-mismatch", "text-version-expected",
)  # fmt: skip


@dataclass(frozen=True)
class Rule:
    """One known failure. C(needs_pec) is false for what concerns the machine alone."""

    id: str
    section: str
    evidence: str
    source: str
    title: str
    expected: str
    beliefs: tuple[str, ...]
    check: Callable[[Facts], Answer]
    remedy: str
    needs_pec: bool = True


def _database_unasked(facts: Facts) -> Answer:
    return not_verifiable(f"o banco não pôde ser consultado: {facts.database.error or facts.database.facts_error or 'sem resposta'}")


def _same_version(facts: Facts) -> Answer:
    database = facts.database.facts
    if database is None:
        return _database_unasked(facts)
    application = facts.web.version or facts.installation.version
    if not application or not database.pec_version:
        return not_verifiable(f"aplicação: {application or 'desconhecida'}; banco: {database.pec_version or 'desconhecida'}")
    return judged(application == database.pec_version, f"aplicação: {application}; banco: {database.pec_version}")


def _authentication(facts: Facts) -> Answer:
    method = facts.database.authentication
    if method is None:
        return _database_unasked(facts)
    if method.startswith("rejected"):
        return diverges("o servidor recusa o usuário do PEC")
    return judged(method in USABLE_AUTHENTICATION, f"o servidor pede {method}")


def _migration_lock(facts: Facts) -> Answer:
    if facts.database.error:
        return _database_unasked(facts)
    locked = facts.database.migration_locked
    if locked is None:
        return not_verifiable("a tabela da trava não existe ou não se lê")
    return judged(not locked, "presa" if locked else "livre")


def _read_only_grants(facts: Facts) -> Answer:
    if facts.database.error:
        return _database_unasked(facts)
    reads = facts.database.read_only_reads
    if reads is None:
        return not_applicable("o usuário de leitura ou a tabela não existe")
    return judged(reads, "lê a tabela de configurações" if reads else "não lê a tabela de configurações")


def _health(facts: Facts) -> Answer:
    unit = facts.host.units.get(beliefs.PEC_UNIT)
    state = unit.active_state if unit and unit.active_state else "desconhecido"
    if not facts.web.reachable:
        return diverges(f"serviço {state}; {facts.web.url} não responde")
    bad = [str(status) for status in facts.web.statuses.values() if status is None or status >= 500]
    return judged(not bad, f"serviço {state}; {facts.web.url} responde" + (f", mas com {listing(bad)}" if bad else ""))


def _installation(facts: Facts) -> Answer:
    if facts.installation.state == "installed":
        return ok(f"versão {facts.installation.version or 'desconhecida'}")
    return diverges(f"incompleta ({'; '.join(facts.installation.reasons) or 'sem detalhe'})")


def _stale_units(facts: Facts) -> Answer:
    units = [path for path in (facts.installation.pec_unit_file, facts.installation.database_unit_file) if path]
    if not units:
        return not_applicable("nenhum serviço do PEC instalado")
    program = facts.files.paths.get("standalone")
    there = program is not None and program.exists
    return judged(there, f"{listing(units)}; {program}" if there else f"{listing(units)}, mas a aplicação não está no lugar")


def _unit_present(facts: Facts) -> Answer:
    unit = facts.host.units.get(beliefs.PEC_UNIT)
    if unit is None or unit.load_state is None:
        return not_verifiable("o systemd não respondeu")
    enabled = "habilitado" if unit.enabled else "não habilitado"
    return judged(unit.load_state == "loaded" and bool(unit.enabled), f"{unit.load_state}, {enabled}")


def _certmgr_ports(facts: Facts) -> Answer:
    if facts.installation.https.mode != "certmgr":
        return not_applicable("sem HTTPS do certmgr")
    https = facts.host.listeners.get(facts.installation.https.port or beliefs.HTTPS_PORT)
    challenge = facts.host.listeners.get(HTTP_CHALLENGE_PORT)
    taken = [f"porta {HTTP_CHALLENGE_PORT}: {challenge.process}"] if challenge and challenge.process != "java" else []
    taken += [f"porta HTTPS: {https.process}"] if https and https.process != "java" else []
    return judged(not taken, f"ocupada por outro programa ({listing(taken)})" if taken else "livres ou do PEC")


def _certificate(facts: Facts) -> Answer:
    if facts.installation.https.mode == "none":
        return not_applicable("sem HTTPS do PEC; se há um proxy na frente, o certificado é dele")
    days = facts.web.certificate_days
    if days is None:
        return not_verifiable(f"{STOPPED} por HTTPS, ou falta o openssl")
    since = "" if facts.host.unit_days is None else f"; PEC iniciado há {facts.host.unit_days} dia(s)"
    return judged(days >= CERTIFICATE_DAYS, f"vence em {days} dia(s){since}")


def _renewal(facts: Facts) -> Answer:
    if facts.files.standalone_renews is None:
        return not_verifiable("o script que inicia a aplicação não existe")
    return judged(facts.files.standalone_renews, "renova" if facts.files.standalone_renews else "não menciona certmgr --renew")


def _timezone(facts: Facts) -> Answer:
    here = facts.host.utc_offset_minutes
    zone = f"sistema: {facts.host.timezone or 'sem fuso'} ({here} min)"
    offset = facts.web.timezone_offset
    if not -300 <= here <= -120:  # from Acre to Fernando de Noronha
        return diverges(f"{zone}; não é um fuso do Brasil")
    return not_verifiable(f"{zone}; o PEC não informou o seu") if offset is None else judged(offset == here, f"{zone}; PEC: {offset} min")


def _link(facts: Facts) -> Answer:
    resolves, opens = facts.web.link_resolves, facts.web.link_opens
    if resolves is None:
        return not_applicable("nenhum link gravado no banco, ou o banco não respondeu")
    if not resolves:
        return diverges("este servidor não resolve o nome do link")
    return judged(bool(opens), "o nome resolve e a porta abre" if opens else "o nome resolve, mas a porta não abre a partir daqui")


def _govbr_secret(facts: Facts) -> Answer:
    keys = facts.files.application
    names = [name for name in keys.names if ".govbr." in name] if keys else []
    if not keys or not names:
        return not_applicable("o login gov.br não está configurado")
    bad = [name for name in names if name in keys.blank_at_end]
    return judged(not bad, f"termina em espaço: {listing(bad)}" if bad else "nenhum valor termina em espaço")


def _clock(facts: Facts) -> Answer:
    synchronized = facts.host.clock_synchronized
    if synchronized is None:
        return not_verifiable("o timedatectl não respondeu")
    return judged(synchronized, "sincronizado" if synchronized else "não sincronizado")


def _inline_comments(facts: Facts) -> Answer:
    seen = [keys for keys in (facts.files.application, facts.files.ssl) if keys is not None]
    if not seen:
        return not_verifiable("nenhum arquivo properties")
    bad = [name for keys in seen for name in keys.commented]
    odd = sum(keys.odd for keys in seen)
    problems = [keys.problem for keys in seen if keys.problem]
    strange = f"{odd} linha(s) que não parecem chave e valor" if odd else ""
    found = "; ".join(part for part in (f"valor com comentário: {listing(bad)}" if bad else "", strange, *problems) if part)
    return judged(not found, found or "nenhum")


def _secret_files(facts: Facts) -> Answer:
    keys = {"config-file": facts.files.config, "application-properties": facts.files.application}
    holders = [name for name, content in keys.items() if content and any("password" in key.lower() for key in content.names)]
    holders += ["credentials-file"]
    there = [facts.files.paths[name] for name in holders if name in facts.files.paths and facts.files.paths[name].exists]
    if not there:
        return not_applicable("nenhum arquivo com senha")
    opened = [str(seen) for seen in there if seen.mode & 0o007]
    return judged(not opened, f"qualquer usuário alcança: {listing(opened)}" if opened else "só o dono e o grupo leem")


def _temporary_files(facts: Facts) -> Answer:
    user, owners = facts.host.unit_user, facts.files.temporary_owners
    if user is None:
        return not_verifiable("não se sabe com que usuário o serviço roda")
    others = sorted(set(owners) - {user})
    return judged(not others, f"o serviço roda como {user}; há /tmp/PEC-* de {listing(others)}" if others else f"{len(owners)}, de {user}")


def _log_failures(facts: Facts) -> Answer:
    if not facts.logs:
        return not_verifiable("nenhum registro encontrado")
    found = [beliefs.REAL_TEXTS[name[len("text-") :]] for name in _FAILURES if name in facts.said]
    return diverges(f"aparece: {'; '.join(found)}") if found else ok(f"nada em {len(facts.logs)} registro(s)")


RULES = (
    Rule("installation", "6.19", "I", "-", "Instalação completa", "arquivos e serviços no lugar", ("config-file", "standalone", "bundle"),
         _installation, "rode o instalador de novo com a mesma versão; antes, faça um backup do banco"),
    Rule("health", "1", "S", "V DM", "PEC no ar", "serviço ativo e página que responde", ("root-path", "esus-path", "http-port"),
         _health, "veja webserver/logs/pec.log e journalctl -u e-SUS-PEC; depois de instalar, espere alguns minutos"),
    Rule("version-mismatch", "6.1", "C", "FD V", "Banco e aplicação na mesma versão", "versões iguais",
         ("version-key", "text-version-mismatch", "migrator"), _same_version,
         "banco mais velho: rode o instalador desta versão (ou o migrador.jar); banco mais novo: instale a versão do banco "
         "ou volte um backup; nunca mude a versão à mão"),
    Rule("scram", "6.2", "C", "FD RS", "Autenticação do banco", "md5, password ou trust", ("password-encryption", "text-scram"),
         _authentication, "no PostgreSQL: SET password_encryption = 'md5', dê a senha de novo ao usuário e ponha md5 no pg_hba.conf"),
    Rule("read-only-grants", "6.16", "I", "-", "Usuário de leitura consegue ler", "permissão de SELECT", ("read-only-role",),
         _read_only_grants,
         "depois de restaurar um backup, devolva as permissões: GRANT SELECT ON ALL TABLES IN SCHEMA public TO esus_leitura"),
    Rule("migration-lock", "6.17", "C", "AN DJ", "Trava da migração", "livre", (), _migration_lock,
         "confira que nenhum instalador está rodando; só então: UPDATE tb_migracao_trava SET locked = false"),
    Rule("log-failures", "6.1-6.6", "S", "V FD CB PANEL RS", "Falhas conhecidas nos registros", "nenhuma",
         _FAILURES, _log_failures, "podem ser antigas: veja a data no registro e a linha desta tabela que trata da falha"),
    Rule("timezone", "6.8", "S", "V", "Fuso horário", "o mesmo no sistema e no PEC, do Brasil", (), _timezone,
         "timedatectl set-timezone America/Sao_Paulo (ou o fuso local) e reinicie o PEC"),
    Rule("govbr-secret", "6.9", "S", "V", "Segredo do gov.br sem espaço no fim", "nenhum valor termina em espaço",
         ("application-properties",), _govbr_secret, "apague os espaços no fim da linha em application.properties e reinicie o PEC"),
    Rule("clock", "6.9", "S", "V", "Relógio do servidor", "sincronizado", (), _clock,
         "instale chrony ou ative o systemd-timesyncd: o login gov.br falha com o relógio errado", False),
    Rule("link", "6.10", "C", "M RS", "Link da instalação alcançável daqui", "o nome resolve e a porta abre",
         ("link-key", "text-link-rejected"), _link,
         "ponha o nome em /etc/hosts (127.0.0.1) ou corrija o DNS; autoridade própria: inclua no cacerts do Java do PEC"),
    Rule("certmgr-ports", "6.11", "C", "M V", "Portas do certmgr", "80 e a do HTTPS livres ou do PEC", ("https-port", "ssl-properties"),
         _certmgr_ports, "libere as portas 80 e 443 neste servidor e no roteador; o nome precisa de um registro A"),
    Rule("certificate", "6.12", "I", "-", "Validade do certificado", f"pelo menos {CERTIFICATE_DAYS} dias",
         ("ssl-properties", "https-port"), _certificate,
         "reinicie o PEC, pois só então o certmgr renova; com keystore próprio, troque o certificado"),
    Rule("renewal", "6.12", "C", "RD V", "Renovação ao iniciar", "standalone.sh chama certmgr.jar --renew", ("standalone", "certmgr"),
         _renewal,
         "compare standalone.sh com o do instalador; se esta versão renova de outro modo, conte-nos"),
    Rule("stale-units", "6.14", "S", "DM", "Serviço sem aplicação", "serviço e aplicação juntos", ("unit-directories", "standalone"),
         _stale_units,
         "volte o diretório de um backup ou remova os serviços antes de instalar: com eles o instalador só atualiza"),
    Rule("unit-absent", "6.19", "S", "FDI", "PEC inicia com o sistema", "serviço instalado e habilitado", ("pec-unit", "unit-template"),
         _unit_present, "copie webserver/e-SUS-PEC.service para /etc/systemd/system e rode systemctl enable --now e-SUS-PEC"),
    Rule("temporary-files", "6.20", "S", "DM", "Arquivos /tmp/PEC-* de outro usuário", "nenhum", (), _temporary_files,
         "com o PEC parado, apague os /tmp/PEC-* que são de outro usuário"),
    Rule("inline-comments", "6.22", "I", "M", "Comentário no fim da linha em properties", "nenhum",
         ("application-properties", "ssl-properties"), _inline_comments,
         "ponha o comentário em linha própria: em properties tudo depois do = é valor"),
    Rule("secret-files", "2", "S", "FD V", "Arquivos com senhas fechados aos demais", "sem acesso para outros usuários",
         ("config-file", "credentials-file", "application-properties"), _secret_files, "chmod o-rwx nesses arquivos"),
)  # fmt: skip
