// SPDX-License-Identifier: GPL-3.0-or-later
package standin.server;

import java.sql.Connection;
import java.sql.SQLException;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import standin.common.Database;
import standin.common.Passwords;

/**
 * solicitarRedefinicaoSenha and redefinirSenha (contract 4). That the value is a link, that it is good once, and all texts are
 * guesses [?]. Links are lost at a restart.
 */
final class PasswordReset {
    private static final String HERE = "http://127.0.0.1:8080";
    private static final String USER = "select co_seq_usuario from tb_usuario where no_login = ?";
    private static final String INVALID = "Link inválido ou expirado";

    private final Database database;
    private final Sessions sessions;
    private final Map<String, String> tokens = new ConcurrentHashMap<>();

    PasswordReset(Database database, Sessions sessions) {
        this.database = database;
        this.sessions = sessions;
    }

    /** A newer link takes the older one's place. */
    Map<String, Object> request(Map<String, Object> input) throws SQLException {
        String name = (String) input.get("usuario");
        try (Connection connection = database.connect()) {
            Graphql.require(Database.value(connection, USER, name) != null, "Usuário não encontrado");
            String link = Database.value(connection, "select ds_texto from tb_config_sistema where co_config_sistema = 'LINKINSTALACAO'");
            String token = Sessions.token();
            tokens.put(name, token);
            return Map.of("value", (link == null ? HERE : link.replaceFirst("/+$", "")) + "/redefinirSenha/" + token);
        }
    }

    Object reset(Map<String, Object> input) throws SQLException {
        String name = (String) input.get("usuario");
        String token = (String) input.get("token");
        String password = (String) input.get("novaSenha");
        Graphql.require(token.equals(tokens.get(name)), INVALID);
        try (Connection connection = database.connect()) {
            String person = " from tb_prof p join tb_usuario u on u.co_prof = p.co_seq_prof where u.no_login = ?";
            String fullName = Database.value(connection, "select p.no_civil_profissional" + person, name);
            String cpf = Database.value(connection, "select coalesce(p.nu_cpf, u.no_login)" + person, name);
            Graphql.require(FirstRun.isGood(password, fullName, cpf), FirstRun.PASSWORD);
            Graphql.require(tokens.remove(name, token), INVALID);
            Database.update(connection, "update tb_usuario set ds_senha = ?, nu_tentativas = 0, st_bloqueado = 0,"
                    + " st_forcar_troca_senha = 0 where no_login = ?", Passwords.hash(password), name);
            sessions.closeAllOf(Long.parseLong(Database.value(connection, USER, name)));
        }
        return true;
    }
}
