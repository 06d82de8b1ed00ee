# SPDX-License-Identifier: GPL-3.0-or-later
"""The Portuguese of the doctor: for each belief its name and what is expected ({value} is the belief's own value)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

_TEXT = "o texto: {value}"


@dataclass(frozen=True)
class Words:
    """C(title) names the thing; C(expected) says what it should be like."""

    title: str
    expected: str = "{value}"


BELIEF_WORDS: Mapping[str, Words] = {
    # Files
    "config-file": Words("Arquivo deixado pelo instalador", "{value}, em JSON"),
    "config-keys": Words("Chaves do arquivo do instalador", "exatamente: {value}"),
    "homes": Words("Diretório do produto", "um destes: {value}"),
    "webserver": Words("Diretório da aplicação", "{value}, dentro do diretório do produto"),
    "bundle": Words("Programa da aplicação", "{value}"),
    "standalone": Words("Script que inicia a aplicação", "{value}, executável"),
    "application-properties": Words("Configuração da aplicação", "{value}"),
    "datasource-keys": Words("Chaves do banco na configuração", "todas: {value}"),
    "server-keys": Words("Chaves de porta e de HTTPS na configuração", "se houver, entre: {value}"),
    "keystore-keys": Words("Outras chaves do HTTPS por keystore", "se houver, entre: {value}"),
    "govbr-keys": Words("Chaves do login gov.br na configuração", "se houver, ambas: {value}"),
    "credentials-file": Words("Arquivo das senhas do banco", "{value}, de root, 0600, na ordem URL, acesso completo, acesso de leitura"),
    "log-file": Words("Registro (log) da aplicação", "{value}"),
    "keys-directory": Words("Diretório dos certificados da RNDS", "{value}, criado pelo administrador"),
    "certificate-suffixes": Words("Arquivos que a tela de certificados aceita", "{value}"),
    "certificate-menu": Words("Onde o PEC pede o certificado da RNDS", "{value}"),
    "certificate-status": Words("O que o PEC mostra quando o certificado serve", "{value}"),
    "certmgr": Words("Programa de certificados (certmgr)", "{value}, com certmgr.jar"),
    "certmgr-since": Words("Versão mais antiga com certmgr", "{value}"),
    "ssl-properties": Words("Configuração do certmgr", "{value} existe se, e somente se, o certmgr dá o HTTPS"),
    "ssl-domain-key": Words("Chave do domínio no ssl.properties", "uma chave cuja última palavra é {value}"),
    "unit-template": Words("Texto do serviço quando não instalado", "{value}"),
    "jre-directory": Words("Java que vem com o PEC", "{value}, um diretório por versão"),
    "jre-current": Words("Java em uso", "{value}, com bin/java"),
    "bundled-clients": Words("Programas do PostgreSQL embutido", "{value}/psql"),
    "migrator": Words("Programa de migração do banco", "{value}"),
    # Services, ports, users
    "pec-unit": Words("Serviço da aplicação", "{value} no systemd (pode faltar com banco próprio)"),
    "database-unit": Words("Serviço do PostgreSQL embutido", "{value} no systemd"),
    "unit-directories": Words("Onde ficam os serviços", "um destes: {value}"),
    "http-port": Words("Porta HTTP", "{value}, em todos os endereços, pelo processo java"),
    "https-port": Words("Porta HTTPS do certmgr", "{value}, salvo outra escolhida na instalação"),
    "https-replaces-http": Words("Com HTTPS não há HTTP em outra porta", "só a porta HTTPS aberta"),
    "bundled-port": Words("Porta do PostgreSQL embutido", "{value}, só em 127.0.0.1"),
    "bundled-user": Words("Usuário do PostgreSQL embutido", "conta {value} no sistema, superusuário no banco"),
    # Installer
    "jar-name": Words("Nome do instalador", "eSUS-AB-PEC-<versão>-Linux64.jar"),
    "jar-main-class": Words("Classe principal do instalador", "{value}"),
    "jar-contents": Words("Conteúdo do instalador", "todos: {value}"),
    "options": Words("Opções do instalador", "{value}"),
    "certificate-options": Words("Opções de certificado do instalador", "{value}"),
    "exit-code-zero": Words("Término 0 do instalador não prova instalação", "instalador que termina com 0 sem efeito"),
    "root-directory": Words("Instalador executado em /", "falha com mensagem enganosa"),
    "init-name": Words("Processo 1, como o instalador pergunta", "{value}"),
    "file-program": Words("Programa file, que o instalador usa", "{value} -L /sbin/init responde 64-bit"),
    "java-major": Words("Java mais antigo que serve", "{value} ou mais novo, desde o PEC 5.3"),
    "locale": Words("Locale do PostgreSQL embutido", "{value}"),
    "remove-ipc": Words("Semáforos perdidos quando o usuário sai", "sem RemoveIPC={value}, falha semctl na migração"),
    # Database
    "database-name": Words("Nome do banco", "{value}"),
    "read-only-role": Words("Usuário de leitura no banco", "{value}"),
    "settings-table": Words("Tabela de configurações", "{value}, com co_config_sistema, ds_texto e ds_inteiro"),
    "version-key": Words("Versão gravada no banco", "{value} em ds_texto, três números"),
    "training-key": Words("Marca de treinamento", "{value} em ds_inteiro, 0 ou 1"),
    "name-key": Words("Nome da instalação", "{value} em ds_texto"),
    "link-key": Words("Endereço (link) da instalação", "{value} em ds_texto"),
    "type-key": Words("Tipo da instalação", "{value} em ds_texto: PRONTUARIO ou CENTRALIZADORA"),
    "migrations-table": Words("Tabela das migrações", "{value}"),
    "migration-lock-table": Words("Tabela da trava da migração", "{value}"),
    "password-encryption": Words("Autenticação que o driver do PEC conhece", "no máximo {value}"),
    "postgresql-minimum": Words("PostgreSQL mais antigo que serve", "{value} ou mais novo"),
    # HTTP
    "root-path": Words("Página inicial", "GET {value} responde 200"),
    "esus-path": Words("Área restrita", "GET {value} sem sessão responde 401"),
    "info-path": Words("Informação pública", "GET {value} responde 200 com JSON"),
    "govbr-redirects": Words("Endereços a registrar no gov.br", "abaixo do endereço do PEC: {value}"),
    "info-version-key": Words("Versão na informação pública", "campo {value}, igual à versão instalada"),
    # What the product says
    "text-not-root": Words("Instalador sem root", _TEXT),
    "text-no-directory": Words("Instalador executado em /", _TEXT),
    "text-os-family": Words("Instalador em outro sistema", _TEXT),
    "text-custom-database": Words("Instalador com banco próprio", _TEXT),
    "text-migration-failed": Words("Migração que falhou", _TEXT),
    "text-out-of-memory": Words("Migração sem memória", _TEXT),
    "text-changeset-failed": Words("Etapa da migração que falhou", _TEXT),
    "text-checksum": Words("Etapa da migração alterada", _TEXT),
    "text-scram": Words("Driver diante de SCRAM, em português", _TEXT),
    "text-scram-english": Words("Driver diante de SCRAM, em inglês", _TEXT),
    "text-semaphores": Words("Semáforos perdidos", _TEXT),
    "text-version-mismatch": Words("Banco de outra versão", _TEXT),
    "text-version-expected": Words("Registro: versão esperada", _TEXT),
    "text-version-found": Words("Registro: versão encontrada", _TEXT),
    "text-link-rejected": Words("Link recusado na primeira execução", _TEXT),
    "text-logged-in-elsewhere": Words("Entrada com outra sessão aberta", _TEXT),
    "text-wrong-login": Words("Usuário ou senha errados", _TEXT),
    "text-https-required": Words("Transmissão sem HTTPS", _TEXT),
}

NO_PEC = "não há PEC neste servidor"
STOPPED = "o PEC não responde neste servidor"
NOT_HERE = "não se pode ver num servidor instalado; só observando o instalador"
NO_JAR = "não se encontrou o instalador neste servidor; indique-o com pec_doctor_jar"
EXTERNAL = "o banco é próprio, não o embutido"
EXTERNAL_UNKNOWN = "com banco próprio não se sabe se o instalador o cria"
