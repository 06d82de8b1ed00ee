# SPDX-License-Identifier: GPL-3.0-or-later
"""The page in Portuguese that explains the kit, with places to fill in. Private to the collection."""

from __future__ import annotations

TEXT = """EXPORTAÇÃO DO e-SUS PEC: @MUNICIPALITY@

Este kit copia o banco de dados e a configuração do PEC para um arquivo, para que ele seja transferido
para outro servidor. Nada é instalado, e nada muda no PEC.

ANTES
 1. Extraia este kit (botão direito no zip, "Extrair tudo") no servidor do PEC, em um disco com espaço
    livre. O programa confere o espaço antes de começar.
 2. O PEC pode ficar ligado, mas o que for registrado depois do início da exportação não vai junto. Na
    exportação definitiva, pare o serviço do PEC antes, e deixe o do banco de dados (PostgreSQL) ligado.

EXPORTAR
 Windows: botão direito em exportar-pec.cmd, "Executar como administrador". Se o PEC estiver em uma
          pasta diferente, no Prompt de Comando: exportar-pec.cmd "D:\\pasta\\e-SUS"
 Linux:   sudo sh exportar-pec.sh
 No fim aparece o nome do arquivo criado, ou "A EXPORTAÇÃO NÃO FOI FEITA", com o motivo.

ENVIAR
 O quê:      o arquivo .zip (ou .tar.gz) que o programa criou, e o que termina em .sha256.txt.
 Para onde:  @DESTINATION@
 NUNCA por e-mail nem por aplicativo de mensagens. O arquivo não tem senha e contém os dados de saúde de
 todos os cidadãos, os certificados digitais e as senhas do servidor (LGPD, art. 46). Use somente o
 destino acima. O usuário e a senha do Instalador seguem por outro caminho, nunca junto com o arquivo.

DEPOIS
 1. Guarde o kit até que confirmem que os dados foram lidos e conferidos.
 2. Apague então os arquivos criados, e esvazie a lixeira.
 3. Se o PEC guarda anexos em uma pasta do servidor, ela não vai junto: avise quem recebe.

@CONTACT@
"""
