// SPDX-License-Identifier: GPL-3.0-or-later
package standin.server;

import java.sql.SQLException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import standin.common.Json;

/** POST /api/graphql: finds each root field, and wraps what went wrong as contract 4 says (HTTP 200 is [I]). */
final class Graphql {
    /** A refusal with its classification. */
    static final class Refused extends RuntimeException {
        private static final long serialVersionUID = 1L;
        private final String classification;

        Refused(String classification, String message) {
            super(message);
            this.classification = classification;
        }
    }

    private final Sessions sessions = new Sessions();
    private final Login login;
    private final FirstRun firstRun;
    private final Info info;

    Graphql(Settings settings) {
        login = new Login(settings.database(), sessions);
        firstRun = new FirstRun(settings.database());
        info = new Info(settings.database(), !settings.govbrClient().isEmpty());
    }

    Sessions sessions() {
        return sessions;
    }

    Map<String, Object> execute(Call call, Map<String, Object> request) {
        List<Object> errors = new ArrayList<>();
        Map<String, Object> data = new LinkedHashMap<>();
        try {
            String query = request.get("query") instanceof String text ? text : "";
            for (GraphqlDocument.Field field : GraphqlDocument.parse(query, Json.object(request.get("variables")))) {
                data.put(field.alias(), null);
                data.put(field.alias(), select(resolve(call, field), field.fields(), field.name()));
            }
        } catch (GraphqlDocument.Invalid error) {
            return Map.of("errors", List.of(error("ValidationError", error.getMessage())));
        } catch (Refused refused) {
            errors.add(error(refused.classification, refused.getMessage()));
        } catch (SQLException error) {
            errors.add(error("DataFetchingException", "Erro interno: " + error.getMessage()));
        }
        Map<String, Object> answer = new LinkedHashMap<>();
        if (!errors.isEmpty()) {
            answer.put("errors", errors);
        }
        answer.put("data", data);
        return answer;
    }

    private Object resolve(Call call, GraphqlDocument.Field field) throws SQLException {
        Map<String, Object> input = Json.object(field.arguments().get("input"));
        switch (field.name()) {
            case "info":
                return info.read();
            case "login":
                return login.login(call, input);
            case "sessao":
                return login.session(call);
            case "selecionarAcesso":
                return login.selectAccess(call, input);
            case "logout":
                return login.logout(call);
            case "instalar":
                return firstRun.install(input);
            default:
                throw new GraphqlDocument.Invalid("Validation error (FieldUndefined@[" + field.name() + "]) : Field '" + field.name()
                        + "' in type 'Query' is undefined");
        }
    }

    /** Only what was asked for, as in any GraphQL server; an unknown field is an error, so that clients stay honest. */
    private static Object select(Object value, List<GraphqlDocument.Field> fields, String path) {
        if (value instanceof List<?> list) {
            List<Object> items = new ArrayList<>();
            list.forEach(item -> items.add(select(item, fields, path)));
            return items;
        }
        if (!(value instanceof Map)) {
            return value;
        }
        if (fields.isEmpty()) {
            throw new GraphqlDocument.Invalid("Validation error (SubselectionRequired@[" + path + "])");
        }
        Map<String, Object> source = Json.object(value);
        Map<String, Object> chosen = new LinkedHashMap<>();
        for (GraphqlDocument.Field field : fields) {
            if (field.type() != null && !field.type().equals(source.get("__typename"))) {
                continue;
            }
            if (!source.containsKey(field.name())) {
                throw new GraphqlDocument.Invalid("Validation error (FieldUndefined@[" + path + "/" + field.name() + "]) : Field '"
                        + field.name() + "' is undefined");
            }
            chosen.put(field.alias(), select(source.get(field.name()), field.fields(), path + "/" + field.name()));
        }
        return chosen;
    }

    private static Map<String, Object> error(String classification, String message) {
        return Map.of("message", message, "extensions", Map.of("classification", classification));
    }
}
