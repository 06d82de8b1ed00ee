# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said to the operator, and through him to the sender, about a file that did not arrive. Private to the collection."""

from __future__ import annotations

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError

CHECK_LINK = "correct url, which must be the whole link as the button that shares the file copies it"
FOLDER = "O link é de uma pasta. Envie o link do próprio arquivo do backup (.zip, .sql, .tar.gz, .dump ou .backup)."
DOCUMENT = "O link é de um documento do Google, e não do arquivo do backup. Envie o link do arquivo que o pg_dump ou o PEC gerou."
INCOMPLETE = "O link está incompleto. Copie o link inteiro pelo botão de compartilhar o arquivo e envie de novo."
HTTP = "O link não é seguro (http), e o backup tem dados de pacientes. Envie um link que comece com https://."
ACCESS = 'O arquivo não está aberto para quem tem o link. No compartilhamento, escolha "Qualquer pessoa com o link" e envie o link de novo.'
MISSING = "O link não existe mais ou expirou. Confira se o arquivo ainda está lá e envie um link novo."
QUOTA = "O serviço bloqueou o download por excesso de acessos. Faça uma cópia do arquivo na nuvem e envie o link dela, ou espere um dia."
PAGE = "O link abre uma página, e não o arquivo. Envie um link que baixe o arquivo direto, sem login nem senha."
EMPTY = "O arquivo está vazio (0 bytes). Gere o backup de novo e envie outra vez."
INCOMPLETE_FILE = "O arquivo chegou incompleto. Confira se o envio para a nuvem terminou, com o tamanho certo."
NO_DUMP = "O arquivo não é um backup do banco do PEC. Envie o arquivo que o pg_dump ou o PEC gerou (.zip, .sql, .tar.gz, .dump ou .backup)."
OTHER_FILE = "O arquivo do link não é o mesmo do SHA-256 informado. Envie o arquivo de novo, com o SHA-256 dele."


class NotReceivedError(PecError):
    """What failed, and a sentence in Portuguese that the operator can forward to the sender, also as C(message_to_sender)."""

    def __init__(self, what: str, to_sender: str) -> None:
        super().__init__(f"{what}; forward to the sender: {to_sender}", message_to_sender=to_sender)


class InterruptedDownloadError(NotReceivedError):
    """The file ended too early; what arrived is kept, and another attempt can go on."""
