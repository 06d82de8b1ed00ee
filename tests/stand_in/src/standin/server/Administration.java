// SPDX-License-Identifier: GPL-3.0-or-later
package standin.server;

import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.HashMap;
import java.util.Map;
import standin.common.Database;
import standin.common.StandIn;

/**
 * What the instalador changes and reads (contract 4, Configuration operations). Only the names of the operations and of some
 * arguments are known; how they check, what they say and what they return are guesses [?].
 */
final class Administration {
    private static final int MILLISECONDS = 3_000;

    private final Database database;

    Administration(Database database) {
        this.database = database;
    }

    /** Stores arguments, or the fields of an input, under these keys. */
    void store(Map<String, Configuration> keys, Map<String, Object> input) throws SQLException {
        for (Map.Entry<String, Configuration> entry : keys.entrySet()) {
            Graphql.require(entry.getValue().admits(input.get(entry.getKey())), "Valor inválido: " + entry.getValue().description());
        }
        try (Connection connection = database.connect()) {
            connection.setAutoCommit(false);
            for (Map.Entry<String, Configuration> entry : keys.entrySet()) {
                entry.getValue().put(connection, input.get(entry.getKey()));
            }
            connection.commit();
        }
    }

    /** The values of these keys: a truth where it is written as one, otherwise a number. */
    Map<String, Object> read(Map<String, Configuration> keys) throws SQLException {
        Map<String, Object> values = new HashMap<>();
        try (Connection connection = database.connect()) {
            for (Map.Entry<String, Configuration> entry : keys.entrySet()) {
                int number = entry.getValue().number(connection);
                values.put(entry.getKey(), entry.getKey().equals("habilitado") ? (Object) (number == 1) : (Object) (long) number);
            }
        }
        return values;
    }

    /** That it looks whether anybody answers there is a guess [?]. */
    void changeMailServer(Map<String, Object> input) throws SQLException {
        if (!StandIn.command("smtp.check", "connect").equals("accept")) {
            Graphql.require(answers((String) input.get("endereco"), ((Long) input.get("porta")).intValue()),
                    "Não foi possível conectar ao servidor de e-mail");
        }
        Map<String, Object> values = new HashMap<>(input);
        values.put("habilitado", true);
        store(Map.of("habilitado", Configuration.SMTPHABILITADO, "endereco", Configuration.SMTPENDERECO, "porta",
                Configuration.SMTPPORTA, "usuario", Configuration.SMTPUSUARIO, "senha", Configuration.SMTPSENHA, "email",
                Configuration.SMTPEMAIL), values);
    }

    private static boolean answers(String host, int port) {
        try (Socket socket = new Socket()) {
            socket.connect(new InetSocketAddress(host, port), MILLISECONDS);
            return true;
        } catch (IOException | IllegalArgumentException error) {
            return false;
        }
    }

    /** An event for each change (contract 3, tb_ativacao_agendamento_online); the contra-chave itself is opaque (contract 5). */
    void switchOnlineAgenda(long person, boolean on, Object key) throws SQLException {
        Graphql.require(!on || !key.toString().isBlank(), "Contra-chave: campo obrigatório");
        try (Connection connection = database.connect()) {
            Database.update(connection, "insert into tb_ativacao_agendamento_online (co_prof, dt_evento, st_ativado)"
                    + " values (?, clock_timestamp(), ?)", person, on ? 1 : 0);
        }
    }
}
