// SPDX-License-Identifier: GPL-3.0-or-later
package standin.server;

import java.sql.Connection;
import java.sql.SQLException;
import java.util.List;
import standin.common.Database;

/**
 * The settings of an installation, rows of tb_config_sistema (contract 3). Of these keys the contract knows the two HABILITADO,
 * and not in which column their value is [?]; all others are invented [?], with their defaults. A row that is not there yet
 * stands for its default, so that any database will do.
 */
enum Configuration {
    INTERNETHABILITADA("Conexão com a internet", 1),
    CADSUSHABILITADO("CADSUS habilitado", 0),
    CADSUSINTERVALO("Intervalo da desativação do CADSUS", null, Configuration.INTERVALS),
    HORUSHABILITADO("Hórus habilitado", 0),
    HORUSINTERVALO("Intervalo da desativação do Hórus", null, Configuration.INTERVALS),
    VIDEOCHAMADAHABILITADA("Videochamada habilitada", 0),
    PRESCRICAODIGITALHABILITADA("Prescrição digital habilitada", 0),
    PRESCRICAODIGITALUSUARIO("Usuário da prescrição digital", null),
    PRESCRICAODIGITALSENHA("Senha da prescrição digital", null),
    SMTPHABILITADO("Servidor SMTP habilitado", 0),
    SMTPENDERECO("Endereço do servidor SMTP", null),
    SMTPPORTA("Porta do servidor SMTP", null),
    SMTPUSUARIO("Usuário do servidor SMTP", null),
    SMTPSENHA("Senha do servidor SMTP", null),
    SMTPEMAIL("E-mail do remetente", null),
    PERIODOREDEFINICAOSENHA("Período para redefinição de senha", 6, "1 2 3 4 5 6"),
    PERIODOINATIVIDADE("Período máximo de inatividade", 60, "30 60 120 180 240"),
    NUMEROTENTATIVASLOGIN("Máximo de tentativas de login", 5, "1 2 3 4 5 6 7 8 9 10"),
    ANEXOARQUIVOSHABILITADO("Anexo de arquivos habilitado", 0),
    ANEXOARQUIVOSDIRETORIO("Diretório dos anexos", null),
    QTDREQUISICOESSIMULTANEAS("Número de requisições simultâneas", 16),
    BUSCACIDADAOPORPROPRIEDADES("Busca de cidadão por propriedades", 0),
    CADASTRODOMICILIARVIACDS("Cadastro domiciliar via CDS", 0);

    private static final String INTERVALS = "TRINTA_MINUTOS UMA_HORA DUAS_HORAS QUATRO_HORAS OITO_HORAS UMA_SEMANA UM_MES INDETERMINADO";

    private final String description;
    private final Integer otherwise;
    private final String choices;

    Configuration(String description, Integer otherwise) {
        this(description, otherwise, null);
    }

    Configuration(String description, Integer otherwise, String choices) {
        this.description = description;
        this.otherwise = otherwise;
        this.choices = choices;
    }

    String description() {
        return description;
    }

    /** Null is a choice: that the type of the argument forbids it is checked elsewhere. */
    boolean admits(Object value) {
        return choices == null || value == null || List.of(choices.split(" ")).contains(value.toString());
    }

    boolean isOn(Connection connection) throws SQLException {
        return number(connection) == 1;
    }

    int number(Connection connection) throws SQLException {
        String found = Database.value(connection, "select ds_inteiro from tb_config_sistema where co_config_sistema = ?", name());
        return found == null ? otherwise : Integer.parseInt(found);
    }

    /** A truth or a number as ds_inteiro, anything else as ds_texto. */
    void put(Connection connection, Object value) throws SQLException {
        Object number = value instanceof Boolean truth ? (Object) (truth ? 1 : 0) : value instanceof Number given ? given.intValue() : null;
        Database.update(connection, "insert into tb_config_sistema (co_config_sistema, ds_config_sistema, ds_inteiro, ds_texto)"
                + " values (?, ?, ?, ?) on conflict (co_config_sistema)"
                + " do update set ds_inteiro = excluded.ds_inteiro, ds_texto = excluded.ds_texto",
                name(), description, number, number == null ? value : null);
    }
}
