// SPDX-License-Identifier: GPL-3.0-or-later
package standin.server;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import standin.common.Json;

/** As much of GraphQL's grammar as PEC's clients use: one operation, arguments, variables, aliases, directives, inline fragments. */
record GraphqlDocument(String kind, String name, List<Definition> variables, List<Field> fields) {
    /** A field that was asked for; type is null outside "... on Type", and a field without subfields has none in fields. */
    record Field(String alias, String name, String type, Map<String, Object> arguments, Map<String, Map<String, Object>> directives,
            List<Field> fields) {
    }

    /** A variable and what it has to be; otherwise is its default. */
    record Definition(String name, GraphqlSchema.Reference type, boolean optional, Object otherwise) {
    }

    /** In a value: the variable that stands for it, and a word that is neither true, false nor null. */
    record Variable(String name) {
    }

    record Word(String name) {
    }

    static GraphqlDocument parse(String text) {
        return new Parser(new GraphqlTokens(text)).document();
    }

    private record Parser(GraphqlTokens tokens) {
        GraphqlDocument document() {
            String kind = "query";
            String name = null;
            List<Definition> variables = new ArrayList<>();
            if (List.of("query", "mutation").contains(tokens.peek())) {
                kind = tokens.next();
                if (!List.of("(", "{", "@").contains(tokens.peek())) {
                    name = tokens.name();
                }
                if (tokens.take("(")) {
                    while (!tokens.take(")")) {
                        variables.add(definition());
                    }
                }
                directives();
            }
            List<Field> fields = selection(null);
            if (!tokens.atEnd()) {
                throw tokens.offending();
            }
            return new GraphqlDocument(kind, name, variables, fields);
        }

        private Definition definition() {
            tokens.expect("$");
            String name = tokens.name();
            tokens.expect(":");
            GraphqlSchema.Reference type = GraphqlSchema.Reference.parse(tokens);
            boolean optional = tokens.take("=");
            return new Definition(name, type, optional, optional ? value() : null);
        }

        private List<Field> selection(String type) {
            List<Field> fields = new ArrayList<>();
            tokens.expect("{");
            while (!tokens.take("}")) {
                if (tokens.take("...")) {
                    tokens.expect("on");
                    fields.addAll(selection(tokens.name()));
                } else {
                    fields.add(field(type));
                }
            }
            if (fields.isEmpty()) {
                throw tokens.offending();
            }
            return fields;
        }

        private Field field(String type) {
            String alias = tokens.name();
            String name = tokens.take(":") ? tokens.name() : alias;
            Map<String, Object> arguments = arguments();
            Map<String, Map<String, Object>> directives = directives();
            return new Field(alias, name, type, arguments, directives, tokens.peek().equals("{") ? selection(null) : List.of());
        }

        private Map<String, Object> arguments() {
            return tokens.take("(") ? members(")") : Map.of();
        }

        private Map<String, Map<String, Object>> directives() {
            Map<String, Map<String, Object>> directives = new LinkedHashMap<>();
            while (tokens.take("@")) {
                directives.put(tokens.name(), arguments());
            }
            return directives;
        }

        private Map<String, Object> members(String end) {
            Map<String, Object> members = new LinkedHashMap<>();
            while (!tokens.take(end)) {
                String name = tokens.name();
                tokens.expect(":");
                members.put(name, value());
            }
            return members;
        }

        private Object value() {
            if (tokens.take("$")) {
                return new Variable(tokens.name());
            }
            if (tokens.take("{")) {
                return members("}");
            }
            if (tokens.take("[")) {
                List<Object> list = new ArrayList<>();
                while (!tokens.take("]")) {
                    list.add(value());
                }
                return list;
            }
            String token = tokens.peek();
            boolean literal = token.startsWith("\"") || token.matches("-?\\d+(\\.\\d+)?|true|false|null");
            return literal ? Json.parse(tokens.next()) : new Word(tokens.name());
        }
    }
}
