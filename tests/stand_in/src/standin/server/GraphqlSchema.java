// SPDX-License-Identifier: GPL-3.0-or-later
package standin.server;

import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** The types of PEC's API, read from GraphQL's own notation for them. */
final class GraphqlSchema {
    private static final List<String> SCALARS = List.of("Boolean", "Int", "String", "ID");

    /** A type where it is used: its name, whether it is a list of them, and whether it may not be null. */
    record Reference(String name, boolean list, boolean required) {
        static Reference parse(GraphqlTokens tokens) {
            boolean list = tokens.take("[");
            String name = tokens.name();
            if (list) {
                tokens.take("!");
                tokens.expect("]");
            }
            return new Reference(name, list, tokens.take("!"));
        }

        Reference optional() {
            return new Reference(name, list, false);
        }

        @Override
        public String toString() {
            return (list ? "[" + name + "]" : name) + (required ? "!" : "");
        }
    }

    /** A field that a type has. */
    record Field(String name, Map<String, Reference> arguments, Reference type) {
        static Field parse(GraphqlTokens tokens) {
            String name = tokens.name();
            Map<String, Reference> arguments = new LinkedHashMap<>();
            if (tokens.take("(")) {
                while (!tokens.take(")")) {
                    String argument = tokens.name();
                    tokens.expect(":");
                    arguments.put(argument, Reference.parse(tokens));
                }
            }
            tokens.expect(":");
            return new Field(name, arguments, Reference.parse(tokens));
        }
    }

    record Type(String name, boolean input, Map<String, Field> fields) {
    }

    private final Map<String, Type> types = new HashMap<>();

    GraphqlSchema(String text) {
        GraphqlTokens tokens = new GraphqlTokens(text);
        while (!tokens.atEnd()) {
            boolean input = tokens.next().equals("input");
            Type type = new Type(tokens.name(), input, new LinkedHashMap<>());
            tokens.expect("{");
            while (!tokens.take("}")) {
                Field field = Field.parse(tokens);
                type.fields().put(field.name(), field);
            }
            types.put(type.name(), type);
        }
    }

    /** A root field, of the type Query or Mutation. */
    void add(String root, Field field) {
        types.computeIfAbsent(root, name -> new Type(name, false, new LinkedHashMap<>())).fields().put(field.name(), field);
    }

    /** Null when there is none, and for a scalar. */
    Type type(String name) {
        return types.get(name);
    }

    static boolean isScalar(String name) {
        return SCALARS.contains(name);
    }
}
