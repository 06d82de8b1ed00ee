// SPDX-License-Identifier: GPL-3.0-or-later
package standin.server;

import java.sql.SQLException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import standin.common.Database;
import standin.common.Json;

/** POST /api/graphql: checks a document, does its root fields, and wraps what went wrong as contract 4 says (HTTP 200 is [I]). */
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
    private final Operations operations;

    Graphql(Settings settings) {
        Database database = settings.database();
        login = new Login(database, sessions);
        operations = new Operations(new Info(database, !settings.govbrClient().isEmpty()), new FirstRun(database), login,
                new PasswordReset(database, sessions), new Administration(database));
    }

    /** What PEC's own checks refuse; the classification is [I]. */
    static void require(boolean condition, String message) {
        if (!condition) {
            throw new Refused("PecValidationException", message);
        }
    }

    Sessions sessions() {
        return sessions;
    }

    /** With anything wrong in the document or its variables nothing of it is done, and there is no data at all. */
    Map<String, Object> execute(Call call, Map<String, Object> request) {
        try {
            GraphqlDocument document = GraphqlDocument.parse(request.get("query") instanceof String text ? text : "");
            if (request.get("operationName") instanceof String name && !name.isEmpty() && !name.equals(document.name())) {
                throw GraphqlInvalid.validation(List.of("Unknown operation named '" + name + "'."));
            }
            List<String> problems = GraphqlValidation.problems(operations.schema(), Operations.absent(), document);
            if (!problems.isEmpty()) {
                throw GraphqlInvalid.validation(problems);
            }
            Map<String, Object> given = Json.object(request.get("variables"));
            return run(call, document, new GraphqlValues(operations.schema()).coerce(document.variables(), given));
        } catch (GraphqlInvalid invalid) {
            List<Object> errors = new ArrayList<>();
            invalid.messages().forEach(message -> errors.add(error(invalid.classification(), message)));
            return Map.of("errors", errors);
        }
    }

    private Map<String, Object> run(Call call, GraphqlDocument document, Map<String, Object> variables) {
        String root = document.kind().equals("query") ? "Query" : "Mutation";
        List<Object> errors = new ArrayList<>();
        Map<String, Object> data = new LinkedHashMap<>();
        for (GraphqlDocument.Field field : document.fields()) {
            if (isSkipped(field, variables)) {
                continue;
            }
            try {
                data.put(field.alias(), null);
                data.put(field.alias(), field.name().equals("__typename") ? root : run(call, root, field, variables));
            } catch (Refused refused) {
                errors.add(error(refused.classification, refused.getMessage()));
            } catch (SQLException error) {
                errors.add(error("DataFetchingException", "Erro interno: " + error.getMessage()));
            }
        }
        Map<String, Object> answer = new LinkedHashMap<>();
        if (!errors.isEmpty()) {
            answer.put("errors", errors);
        }
        answer.put("data", data);
        return answer;
    }

    private Object run(Call call, String root, GraphqlDocument.Field field, Map<String, Object> variables) throws SQLException {
        Operations.Operation operation = operations.get(root, field.name());
        Commands.restart(field.name());
        if (Commands.losesSession(field.name())) {
            sessions.closeAll();
        }
        if (operation.administrative()) {
            login.administrator(call);
        }
        Commands.refuse(field.name());
        Object value = Commands.ignores(field.name())
                ? Operations.done(operation.field())
                : operation.action().run(call, GraphqlValues.fill(field.arguments(), variables));
        return select(operation.field().type().name(), value, field.fields(), variables);
    }

    /** Only what was asked for, as in any GraphQL server. */
    private Object select(String type, Object value, List<GraphqlDocument.Field> fields, Map<String, Object> variables) {
        if (value instanceof List<?> list) {
            List<Object> items = new ArrayList<>();
            list.forEach(item -> items.add(select(type, item, fields, variables)));
            return items;
        }
        if (!(value instanceof Map)) {
            return value;
        }
        Map<String, Object> source = new LinkedHashMap<>(Json.object(value));
        source.putIfAbsent("__typename", type);
        Map<String, GraphqlSchema.Field> known = operations.schema().type(source.get("__typename").toString()).fields();
        Map<String, Object> chosen = new LinkedHashMap<>();
        for (GraphqlDocument.Field field : fields) {
            boolean fits = field.type() == null || field.type().equals(type) || field.type().equals(source.get("__typename"));
            if (fits && !isSkipped(field, variables)) {
                String below = known.containsKey(field.name()) ? known.get(field.name()).type().name() : "";
                chosen.put(field.alias(), select(below, source.get(field.name()), field.fields(), variables));
            }
        }
        return chosen;
    }

    private static boolean isSkipped(GraphqlDocument.Field field, Map<String, Object> variables) {
        return condition(field, "skip", variables, false) || !condition(field, "include", variables, true);
    }

    private static boolean condition(GraphqlDocument.Field field, String directive, Map<String, Object> variables, boolean otherwise) {
        Map<String, Object> arguments = field.directives().get(directive);
        return arguments == null ? otherwise : Boolean.TRUE.equals(GraphqlValues.fill(arguments, variables).get("if"));
    }

    private static Map<String, Object> error(String classification, String message) {
        return Map.of("message", message, "extensions", Map.of("classification", classification));
    }
}
