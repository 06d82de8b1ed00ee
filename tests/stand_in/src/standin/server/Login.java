// SPDX-License-Identifier: GPL-3.0-or-later
package standin.server;

import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import standin.common.Database;
import standin.common.Passwords;

/** login, sessao, selecionarAcesso and logout (contract 4, GraphQL). */
final class Login {
    private static final String EXCEPTION = "PecAuthenticationException";
    private static final String WRONG = "Usuário e/ou senha inválidos";
    private static final String ELSEWHERE = "Você já está logado em outra sessão. Deseja continuar nesta aqui?";

    private final Database database;
    private final Sessions sessions;

    Login(Database database, Sessions sessions) {
        this.database = database;
        this.sessions = sessions;
    }

    Map<String, Object> login(Call call, Map<String, Object> input) throws SQLException {
        if (call.header("Api-Consumer-Id") == null) {
            // Required; what is said when it is missing is a guess [?].
            throw new Graphql.Refused(EXCEPTION, "Api-Consumer-Id não informado");
        }
        String name = String.valueOf(input.get("username"));
        try (Connection connection = database.connect()) {
            String id = Database.value(connection, "select co_seq_usuario from tb_usuario where no_login = ?", name);
            if (id == null || !passwordFits(connection, Long.parseLong(id), String.valueOf(input.get("password")))) {
                throw new Graphql.Refused(EXCEPTION, WRONG);
            }
            long user = Long.parseLong(id);
            if (sessions.has(user) && !Boolean.TRUE.equals(input.get("force"))) {
                throw new Graphql.Refused(EXCEPTION, ELSEWHERE);
            }
            call.setCookie("JSESSIONID", sessions.open(user), true);
            return Map.of("success", true);
        }
    }

    /** After five wrong ones, or as many as are set, the right one does not help; what the real one then says is not known [?]. */
    private static boolean passwordFits(Connection connection, long user, String password) throws SQLException {
        String locked = Database.value(connection, "select st_bloqueado from tb_usuario where co_seq_usuario = ?", user);
        String stored = Database.value(connection, "select ds_senha from tb_usuario where co_seq_usuario = ?", user);
        boolean fits = locked.equals("0") && Passwords.matches(password, stored);
        Database.update(connection, fits
                ? "update tb_usuario set nu_tentativas = 0 where co_seq_usuario = ?"
                : "update tb_usuario set nu_tentativas = nu_tentativas + 1,"
                    + " st_bloqueado = case when nu_tentativas + 1 >= " + Configuration.NUMEROTENTATIVASLOGIN.number(connection)
                    + " then 1 else st_bloqueado end where co_seq_usuario = ?", user);
        return fits;
    }

    /** Null without a session. */
    Map<String, Object> session(Call call) throws SQLException {
        String session = call.cookie("JSESSIONID");
        Long user = sessions.user(session);
        if (user == null) {
            return null;
        }
        try (Connection connection = database.connect(); Statement statement = connection.createStatement();
                ResultSet row = statement.executeQuery("select p.*, u.st_forcar_troca_senha, u.st_aceitou_termos_uso"
                        + " from tb_usuario u join tb_prof p on p.co_seq_prof = u.co_prof where u.co_seq_usuario = " + user)) {
            row.next();
            List<Object> accesses = accesses(connection, row.getLong("co_seq_prof"));
            Map<String, Object> person = new HashMap<>();
            person.put("id", row.getString("co_seq_prof"));
            person.put("nome", row.getString("no_civil_profissional"));
            person.put("cpf", row.getString("nu_cpf"));
            person.put("cns", row.getString("nu_cns"));
            person.put("usuario", Map.of("id", user.toString(), "forcarTrocaSenha", row.getInt("st_forcar_troca_senha") == 1,
                    "aceitouTermosUso", row.getInt("st_aceitou_termos_uso") == 1));
            person.put("acessos", accesses);
            Map<String, Object> answer = new HashMap<>();
            Object selected = sessions.selected(session);
            answer.put("acesso", accesses.stream().filter(access -> id(access).equals(selected)).findFirst().orElse(null));
            answer.put("profissional", person);
            return answer;
        }
    }

    /** The new session, or its success: what the real field returns is not in the contract, so it is the flag of login [I]. */
    Map<String, Object> selectAccess(Call call, Map<String, Object> input) throws SQLException {
        String wanted = String.valueOf(input.get("id"));
        Map<String, Object> session = session(call);
        if (session == null) {
            throw new Graphql.Refused(EXCEPTION, "Sessão expirada");
        }
        @SuppressWarnings("unchecked")
        Map<String, Object> person = (Map<String, Object>) session.get("profissional");
        for (Object access : (List<?>) person.get("acessos")) {
            if (id(access).equals(wanted)) {
                sessions.select(call.cookie("JSESSIONID"), wanted);
                return Map.of("success", true, "id", wanted);
            }
        }
        throw new Graphql.Refused(EXCEPTION, "Acesso não encontrado");
    }

    /** Who is behind a session whose access is the instalador's, by co_prof; the refusal is a guess [?]. */
    long administrator(Call call) throws SQLException {
        String session = call.cookie("JSESSIONID");
        Long user = sessions.user(session);
        String access = sessions.selected(session);
        if (user != null && access != null) {
            try (Connection connection = database.connect()) {
                String person = Database.value(connection, "select a.co_prof from tb_ator_papel a"
                        + " join tb_usuario u on u.co_prof = a.co_prof where u.co_seq_usuario = ? and a.co_seq_ator_papel = ?"
                        + " and a.tp_ator_papel = 'ADMINISTRADOR_GERAL'", user, Long.valueOf(access));
                if (person != null) {
                    return Long.parseLong(person);
                }
            }
        }
        throw new Graphql.Refused("AccessDeniedException", "Acesso negado");
    }

    Map<String, Object> logout(Call call) {
        String session = call.cookie("JSESSIONID");
        Long user = sessions.user(session);
        sessions.close(session);
        return user == null ? null : Map.of("id", user.toString());
    }

    private static List<Object> accesses(Connection connection, long person) throws SQLException {
        List<Object> accesses = new ArrayList<>();
        try (Statement statement = connection.createStatement();
                ResultSet rows = statement.executeQuery("select co_seq_ator_papel, tp_ator_papel from tb_ator_papel where co_prof = "
                        + person + " order by 1")) {
            while (rows.next()) {
                String kind = rows.getString(2);
                accesses.add(Map.of("id", rows.getString(1), "tipo", kind, "__typename", typeName(kind), "autorizado", false,
                        "habilitado", true, "perfis", List.of(Map.of("id", "1", "nome", kind))));
            }
        }
        return accesses;
    }

    private static String typeName(String kind) {
        switch (kind) {
            case "ADMINISTRADOR_MUNICIPAL":
                return "AdministradorMunicipal";
            case "LOTACAO":
                return "Lotacao";
            default:
                return "AdministradorGeral";
        }
    }

    private static Object id(Object access) {
        return ((Map<?, ?>) access).get("id");
    }
}
