# SPDX-License-Identifier: GPL-3.0-or-later
"""Failures known from real servers, each as a rule with what to do, in Portuguese. Private to the collection."""

from __future__ import annotations

from ansible_collections.esus.pec.plugins.module_utils import beliefs
from ansible_collections.esus.pec.plugins.module_utils.doctor.check_services import NO_SYSTEMD
from ansible_collections.esus.pec.plugins.module_utils.doctor.facts import Facts
from ansible_collections.esus.pec.plugins.module_utils.doctor.model import (
    DATABASE,
    DATABASE_FACTS,
    STOPPED,
    Answer,
    judged,
    listing,
    rule,
    unasked,
)
from ansible_collections.esus.pec.plugins.module_utils.preflight.database import USABLE_AUTHENTICATION
from ansible_collections.esus.pec.plugins.module_utils.preflight.host import HTTP_CHALLENGE_PORT

CERTIFICATE_DAYS = 30
"""A certificate of 90 days is renewed when 30 are left; one with less was not renewed, because PEC was not restarted."""

_FAILURES = {
    "text-migration-failed": beliefs.TEXT_MIGRATION_FAILED,
    "text-out-of-memory": beliefs.TEXT_OUT_OF_MEMORY,
    "text-checksum": beliefs.TEXT_CHECKSUM,
    "text-scram": beliefs.TEXT_SCRAM,
    "text-scram-english": beliefs.TEXT_SCRAM_ENGLISH,
    "text-semaphores": beliefs.TEXT_SEMAPHORES,
    "text-version-mismatch": beliefs.TEXT_VERSION_MISMATCH,
    "text-version-expected": beliefs.TEXT_VERSION_EXPECTED,
}


@rule("installation", "I", "§6.19", title="Instalação completa", expected="arquivos e serviços no lugar",
      beliefs=("config-file", "standalone", "bundle"),
      remedy="rode o instalador de novo com a mesma versão; antes, faça um backup do banco")  # fmt: skip
def _installation(facts: Facts) -> Answer:
    if facts.installation.state == "installed":
        return Answer.ok(f"versão {facts.installation.version or 'desconhecida'}")
    return Answer.diverges(f"incompleta ({'; '.join(facts.installation.reasons) or 'sem detalhe'})")


@rule("health", "S", "V DM §1", title="PEC no ar", expected="serviço ativo e página que responde",
      beliefs=("root-path", "esus-path", "http-port"),
      remedy="veja webserver/logs/pec.log e journalctl -u e-SUS-PEC; depois de instalar, espere alguns minutos")  # fmt: skip
def _health(facts: Facts) -> Answer:
    unit = facts.host.units.get(beliefs.PEC_UNIT)
    state = unit.active_state if unit and unit.active_state else "desconhecido"
    if not facts.web.reachable:
        return Answer.diverges(f"serviço {state}; {facts.web.url} não responde")
    bad = [str(status) for status in facts.web.statuses.values() if status is None or status >= 500]
    return judged(not bad, f"serviço {state}; {facts.web.url} responde" + (f", mas com {listing(bad)}" if bad else ""))


@rule("version-mismatch", "C", "FD V §6.1", title="Banco e aplicação na mesma versão", expected="versões iguais",
      beliefs=("version-key", "text-version-mismatch", "migrator"), needs=(DATABASE_FACTS,),
      remedy="banco mais velho: rode o instalador desta versão (ou o migrador.jar); banco mais novo: instale a "
             "versão do banco ou restaure um backup; nunca mude a versão à mão")  # fmt: skip
def _same_version(facts: Facts) -> Answer:
    application = facts.web.version or facts.installation.version
    database = facts.database.facts.pec_version if facts.database.facts else None
    found = f"aplicação: {application or 'desconhecida'}; banco: {database or 'desconhecida'}"
    return judged(application == database, found) if application and database else Answer.not_verifiable(found)


@rule("scram", "C", "FD RS §6.2", title="Autenticação do banco", expected="md5, password ou trust",
      beliefs=("password-encryption", "text-scram"),
      remedy="no PostgreSQL: SET password_encryption = 'md5', defina de novo a senha do usuário e use md5 no pg_hba.conf")  # fmt: skip
def _authentication(facts: Facts) -> Answer:
    method = facts.database.authentication
    if method is None:
        return unasked(facts)
    if method.startswith("rejected"):
        return Answer.diverges("o servidor recusa o usuário do PEC")
    return judged(method in USABLE_AUTHENTICATION, f"o servidor pede {method}")


@rule("read-only-grants", "I", "§6.16", title="Usuário de leitura consegue ler", expected="permissão de SELECT",
      beliefs=("read-only-role",), needs=(DATABASE,),
      remedy="depois de restaurar um backup, devolva as permissões: GRANT SELECT ON ALL TABLES IN SCHEMA public TO "
             "esus_leitura")  # fmt: skip
def _read_only_grants(facts: Facts) -> Answer:
    reads = facts.database.read_only_reads
    if reads is None:
        return Answer.not_applicable("o usuário de leitura ou a tabela não existe")
    return judged(reads, "lê a tabela de configurações" if reads else "não lê a tabela de configurações")


@rule("migration-lock", "C", "AN DJ §6.17", title="Trava da migração", expected="livre", needs=(DATABASE,),
      remedy="confira que nenhum instalador está rodando; só então: UPDATE tb_migracao_trava SET locked = false")  # fmt: skip
def _migration_lock(facts: Facts) -> Answer:
    locked = facts.database.migration_locked
    if locked is None:
        return Answer.not_verifiable("a tabela da trava não existe ou não pôde ser lida")
    return judged(not locked, "presa" if locked else "livre")


@rule("log-failures", "S", "V FD CB PANEL RS §6.1-6.6", title="Falhas conhecidas nos registros", expected="nenhuma",
      beliefs=tuple(_FAILURES),
      remedy="podem ser antigas: veja a data no registro e a linha desta tabela que trata da falha")  # fmt: skip
def _log_failures(facts: Facts) -> Answer:
    if not facts.logs:
        return Answer.not_verifiable("nenhum registro encontrado")
    found = [text for name, text in _FAILURES.items() if name in facts.said]
    return Answer.diverges(f"aparece: {'; '.join(found)}") if found else Answer.ok(f"nada em {len(facts.logs)} registro(s)")


@rule("timezone", "S", "V §6.8", title="Fuso horário", expected="o mesmo no sistema e no PEC, do Brasil",
      remedy="timedatectl set-timezone America/Sao_Paulo (ou o fuso local) e reinicie o PEC")  # fmt: skip
def _timezone(facts: Facts) -> Answer:
    here = facts.host.utc_offset_minutes
    zone = f"sistema: {facts.host.timezone or 'sem fuso'} ({here} min)"
    offset = facts.web.timezone_offset
    if not -300 <= here <= -120:  # from Acre to Fernando de Noronha
        return Answer.diverges(f"{zone}; não é um fuso do Brasil")
    if offset is None:
        return Answer.not_verifiable(f"{zone}; o PEC não informou o seu")
    return judged(offset == here, f"{zone}; PEC: {offset} min")


@rule("govbr-secret", "S", "V §6.9", title="Segredo do gov.br sem espaço no fim", expected="nenhum valor termina em espaço",
      beliefs=("application-properties",),
      remedy="apague os espaços no fim da linha em application.properties e reinicie o PEC")  # fmt: skip
def _govbr_secret(facts: Facts) -> Answer:
    keys = facts.files.application
    names = [name for name in keys.names if ".govbr." in name] if keys else []
    if not keys or not names:
        return Answer.not_applicable("o login gov.br não está configurado")
    bad = [name for name in names if name in keys.blank_at_end]
    return judged(not bad, f"termina em espaço: {listing(bad)}" if bad else "nenhum valor termina em espaço")


@rule("clock", "S", "V §6.9", title="Relógio do servidor", expected="sincronizado", anywhere=True,
      remedy="instale chrony ou ative o systemd-timesyncd: o login gov.br falha com o relógio errado")  # fmt: skip
def _clock(facts: Facts) -> Answer:
    synchronized = facts.host.clock_synchronized
    if synchronized is None:
        return Answer.not_verifiable("o timedatectl não respondeu")
    return judged(synchronized, "sincronizado" if synchronized else "não sincronizado")


@rule("link", "C", "M RS §6.10", title="Link da instalação alcançável daqui", expected="o nome resolve e a porta abre",
      beliefs=("link-key", "text-link-rejected"),
      remedy="inclua o nome em /etc/hosts (127.0.0.1) ou corrija o DNS; autoridade própria: inclua no cacerts do Java do PEC")  # fmt: skip
def _link(facts: Facts) -> Answer:
    resolves, opens = facts.web.link_resolves, facts.web.link_opens
    if resolves is None:
        return Answer.not_applicable("nenhum link gravado no banco, ou o banco não respondeu")
    if not resolves:
        return Answer.diverges("este servidor não resolve o nome do link")
    return judged(bool(opens), "o nome resolve e a porta abre" if opens else "o nome resolve, mas a porta não abre a partir daqui")


@rule("certmgr-ports", "C", "M V §6.11", title="Portas do certmgr", expected="80 e a do HTTPS livres ou do PEC",
      beliefs=("https-port", "ssl-properties"),
      remedy="libere as portas 80 e 443 neste servidor e no roteador; o nome precisa de um registro A")  # fmt: skip
def _certmgr_ports(facts: Facts) -> Answer:
    if facts.installation.https.mode != "certmgr":
        return Answer.not_applicable("sem HTTPS do certmgr")
    https = facts.host.listeners.get(facts.installation.https.port or beliefs.HTTPS_PORT)
    challenge = facts.host.listeners.get(HTTP_CHALLENGE_PORT)
    taken = [f"porta {HTTP_CHALLENGE_PORT}: {challenge.process}"] if challenge and challenge.process != "java" else []
    taken += [f"porta HTTPS: {https.process}"] if https and https.process != "java" else []
    return judged(not taken, f"ocupada por outro programa ({listing(taken)})" if taken else "livres ou do PEC")


@rule("certificate", "I", "§6.12", title="Validade do certificado", expected=f"pelo menos {CERTIFICATE_DAYS} dias",
      beliefs=("ssl-properties", "https-port"),
      remedy="reinicie o PEC, pois só então o certmgr renova; com keystore próprio, troque o certificado")  # fmt: skip
def _certificate(facts: Facts) -> Answer:
    if facts.installation.https.mode == "none":
        return Answer.not_applicable("sem HTTPS do PEC; se há um proxy na frente, o certificado é dele")
    days = facts.web.certificate_days
    if days is None:
        return Answer.not_verifiable(f"{STOPPED} por HTTPS")
    since = "" if facts.host.unit_days is None else f"; PEC iniciado há {facts.host.unit_days} dia(s)"
    return judged(days >= CERTIFICATE_DAYS, f"vence em {days} dia(s){since}")


@rule("renewal", "C", "RD V §6.12", title="Renovação ao iniciar", expected="standalone.sh chama certmgr.jar --renew",
      beliefs=("standalone", "certmgr"),
      remedy="compare standalone.sh com o do instalador; se esta versão renova de outro modo, conte-nos")  # fmt: skip
def _renewal(facts: Facts) -> Answer:
    if facts.files.standalone_renews is None:
        return Answer.not_verifiable("o script que inicia a aplicação não existe")
    return judged(facts.files.standalone_renews, "renova" if facts.files.standalone_renews else "não menciona certmgr --renew")


@rule("stale-units", "S", "DM §6.14", title="Serviço sem aplicação", expected="serviço e aplicação juntos",
      beliefs=("unit-directories", "standalone"),
      remedy="restaure o diretório de um backup ou remova os serviços antes de instalar: com eles o instalador só atualiza")  # fmt: skip
def _stale_units(facts: Facts) -> Answer:
    units = [path for path in (facts.installation.pec_unit_file, facts.installation.database_unit_file) if path]
    if not units:
        return Answer.not_applicable("nenhum serviço do PEC instalado")
    program = facts.files.paths.get("standalone")
    exists = program is not None and program.exists
    return judged(exists, f"{listing(units)}; {program}" if exists else f"{listing(units)}, mas a aplicação não está no lugar")


@rule("unit-absent", "S", "FDI §6.19", title="PEC inicia com o sistema", expected="serviço instalado e habilitado",
      beliefs=("pec-unit", "unit-template"),
      remedy="copie webserver/e-SUS-PEC.service para /etc/systemd/system e rode systemctl enable --now e-SUS-PEC")  # fmt: skip
def _unit_present(facts: Facts) -> Answer:
    unit = facts.host.units.get(beliefs.PEC_UNIT)
    if unit is None or unit.load_state is None:
        return Answer.not_verifiable(NO_SYSTEMD)
    enabled = "habilitado" if unit.enabled else "não habilitado"
    return judged(unit.load_state == "loaded" and bool(unit.enabled), f"{unit.load_state}, {enabled}")


@rule("temporary-files", "S", "DM §6.20", title="Arquivos /tmp/PEC-* de outro usuário", expected="nenhum",
      remedy="com o PEC parado, apague os /tmp/PEC-* que são de outro usuário")  # fmt: skip
def _temporary_files(facts: Facts) -> Answer:
    user, owners = facts.host.unit_user, facts.files.temporary_owners
    if user is None:
        return Answer.not_verifiable("não se sabe qual usuário executa o serviço")
    others = sorted(set(owners) - {user})
    return judged(not others, f"o serviço roda como {user}; há /tmp/PEC-* de {listing(others)}" if others else f"{len(owners)}, de {user}")


@rule("inline-comments", "I", "M §6.22", title="Comentário no fim da linha em properties", expected="nenhum",
      beliefs=("application-properties", "ssl-properties"),
      remedy="coloque o comentário numa linha própria: em properties, tudo depois do = é valor")  # fmt: skip
def _inline_comments(facts: Facts) -> Answer:
    seen = [keys for keys in (facts.files.application, facts.files.ssl) if keys is not None]
    if not seen:
        return Answer.not_verifiable("nenhum arquivo properties")
    bad = [name for keys in seen for name in keys.commented]
    odd = sum(keys.odd for keys in seen)
    problems = [keys.problem for keys in seen if keys.problem]
    strange = f"{odd} linha(s) que não parecem chave e valor" if odd else ""
    found = "; ".join(part for part in (f"valor com comentário: {listing(bad)}" if bad else "", strange, *problems) if part)
    return judged(not found, found or "nenhum")


@rule("secret-files", "S", "FD V §2", title="Arquivos com senhas fechados aos demais", expected="sem acesso para outros usuários",
      beliefs=("config-file", "credentials-file", "application-properties"),
      remedy="chmod o-rwx nesses arquivos")  # fmt: skip
def _secret_files(facts: Facts) -> Answer:
    keys = {"config-file": facts.files.config, "application-properties": facts.files.application}
    holders = [name for name, content in keys.items() if content and any("password" in key.lower() for key in content.names)]
    holders += ["credentials-file"]
    holding = [facts.files.paths[name] for name in holders if name in facts.files.paths and facts.files.paths[name].exists]
    if not holding:
        return Answer.not_applicable("nenhum arquivo com senha")
    opened = [str(seen) for seen in holding if seen.mode & 0o007]
    return judged(not opened, f"qualquer usuário alcança: {listing(opened)}" if opened else "só o dono e o grupo leem")
