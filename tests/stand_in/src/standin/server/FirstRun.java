// SPDX-License-Identifier: GPL-3.0-or-later
package standin.server;

import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.Duration;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import standin.common.Database;
import standin.common.Json;
import standin.common.Passwords;
import standin.common.StandIn;

/** mutation instalar (contract 4, first run). The text about the link is real; the others, and the answer true, are guesses [?]. */
final class FirstRun {
    private static final String LINK = "Não foi possível validar este endereço. Tente novamente mais tarde";
    static final String PASSWORD = "A senha deve ter entre 8 e 20 caracteres, com letras e números, e não pode conter dados pessoais.";
    private static final List<String> KINDS = List.of("PRONTUARIO", "CENTRALIZADORA");

    private final Database database;

    FirstRun(Database database) {
        this.database = database;
    }

    static boolean isDone(Connection connection) throws SQLException {
        return Database.value(connection, "select 1 from tb_adm_geral where st_instalacao_terminada = 1") != null;
    }

    Object install(Map<String, Object> input) throws SQLException {
        Map<String, Object> data = Json.object(input.get("dadosInstalacao"));
        Map<String, Object> person = Json.object(input.get("profissional"));
        String link = text(data, "linkInstalacao");
        String name = text(data, "nomeInstalacao");
        String kind = text(input, "tipoInstalacao");
        String password = text(input, "novaSenha");
        String fullName = text(person, "nomeCivil");
        String cpf = text(person, "cpf").replaceAll("[.-]", "");
        try (Connection connection = database.connect()) {
            Graphql.require(!isDone(connection), "A instalação já foi realizada.");
            Graphql.require(!name.isBlank(), "Nome da instalação: campo obrigatório");
            Graphql.require(KINDS.contains(kind), "Tipo da instalação inválido");
            Graphql.require(!fullName.isBlank(), "Nome civil: campo obrigatório");
            Graphql.require(isCpf(cpf), "CPF inválido");
            Graphql.require(isGood(password, fullName, cpf), PASSWORD);
            Graphql.require(isReachable(link), LINK);
            store(connection, link, name, kind, fullName, cpf, password);
        }
        return true;
    }

    private static void store(Connection connection, String link, String name, String kind, String fullName, String cpf,
            String password) throws SQLException {
        connection.setAutoCommit(false);
        set(connection, "LINKINSTALACAO", link);
        set(connection, "NOMEINSTALACAO", name);
        set(connection, "TIPOINSTALACAO", kind);
        Database.update(connection, "insert into tb_prof (no_civil_profissional, nu_cpf) values (?, ?)", fullName.toUpperCase(Locale.ROOT), cpf);
        Database.update(connection, "insert into tb_usuario (co_prof, no_login, ds_senha)"
                + " select co_seq_prof, nu_cpf, ? from tb_prof where nu_cpf = ?", Passwords.hash(password), cpf);
        Database.update(connection, "insert into tb_ator_papel (co_prof, tp_ator_papel)"
                + " select co_seq_prof, 'ADMINISTRADOR_GERAL' from tb_prof where nu_cpf = ?", cpf);
        Database.update(connection, "insert into tb_adm_geral (co_ator_papel, st_instalacao_terminada)"
                + " select a.co_seq_ator_papel, 1 from tb_ator_papel a join tb_prof p on p.co_seq_prof = a.co_prof where p.nu_cpf = ?", cpf);
        connection.commit();
    }

    private static void set(Connection connection, String key, String value) throws SQLException {
        Database.update(connection, "update tb_config_sistema set ds_texto = ? where co_config_sistema = ?", value, key);
    }

    /** The server asks for the link itself, with this Java's own certificate authorities (contract 4 and 6.10). */
    private static boolean isReachable(String link) {
        String command = StandIn.command("link.check", "fetch");
        if (!command.equals("fetch")) {
            return command.equals("accept");
        }
        try {
            HttpRequest request = HttpRequest.newBuilder(URI.create(link)).timeout(Duration.ofSeconds(5)).build();
            HttpClient client = HttpClient.newBuilder().connectTimeout(Duration.ofSeconds(5)).build();
            return client.send(request, HttpResponse.BodyHandlers.discarding()).statusCode() < 400;
        } catch (IOException | IllegalArgumentException error) {
            return false;
        } catch (InterruptedException error) {
            Thread.currentThread().interrupt();
            return false;
        }
    }

    static boolean isGood(String password, String fullName, String cpf) {
        String lower = password.toLowerCase(Locale.ROOT);
        boolean personal = lower.contains(cpf);
        for (String part : fullName.toLowerCase(Locale.ROOT).split("\\s+")) {
            personal |= part.length() > 2 && lower.contains(part);
        }
        return password.length() >= 8 && password.length() <= 20 && password.matches(".*\\p{L}.*") && password.matches(".*\\d.*") && !personal;
    }

    static boolean isCpf(String cpf) {
        return cpf.matches("\\d{11}") && cpf.chars().distinct().count() > 1
                && digit(cpf, 9) == cpf.charAt(9) - '0' && digit(cpf, 10) == cpf.charAt(10) - '0';
    }

    private static int digit(String cpf, int length) {
        int sum = 0;
        for (int i = 0; i < length; i++) {
            sum += (cpf.charAt(i) - '0') * (length + 1 - i);
        }
        return sum * 10 % 11 % 10;
    }

    private static String text(Map<String, Object> map, String key) {
        return map.get(key) instanceof String text ? text.trim() : "";
    }
}
