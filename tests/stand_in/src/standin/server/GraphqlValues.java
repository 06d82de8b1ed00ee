// SPDX-License-Identifier: GPL-3.0-or-later
package standin.server;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import standin.common.Json;

/** The values of variables: checked in the words of graphql-java, which tells the first problem only, and put where they belong. */
final class GraphqlValues {
    private final GraphqlSchema schema;

    GraphqlValues(GraphqlSchema schema) {
        this.schema = schema;
    }

    Map<String, Object> coerce(List<GraphqlDocument.Definition> definitions, Map<String, Object> given) {
        Map<String, Object> values = new LinkedHashMap<>();
        for (GraphqlDocument.Definition definition : definitions) {
            String name = definition.name();
            boolean present = given.containsKey(name);
            try {
                if (!present && definition.optional()) {
                    values.put(name, definition.otherwise());
                } else if (definition.type().required() && given.get(name) == null) {
                    throw new IllegalArgumentException(nothing("Variable", name, definition.type()));
                } else if (present) {
                    values.put(name, coerce(definition.type(), given.get(name)));
                }
            } catch (IllegalArgumentException error) {
                throw GraphqlInvalid.validation(List.of("Variable '" + name + "' has an invalid value: " + error.getMessage()));
            }
        }
        return values;
    }

    /** With the variables in place; what an absent variable stands for is absent. */
    static Map<String, Object> fill(Map<String, Object> map, Map<String, Object> variables) {
        Map<String, Object> filled = new LinkedHashMap<>();
        map.forEach((name, value) -> {
            if (!(value instanceof GraphqlDocument.Variable variable) || variables.containsKey(variable.name())) {
                filled.put(name, filled(value, variables));
            }
        });
        return filled;
    }

    private static Object filled(Object value, Map<String, Object> variables) {
        if (value instanceof GraphqlDocument.Variable variable) {
            return variables.get(variable.name());
        }
        if (value instanceof List<?> list) {
            List<Object> items = new ArrayList<>();
            list.forEach(item -> items.add(filled(item, variables)));
            return items;
        }
        return value instanceof Map ? fill(Json.object(value), variables) : value;
    }

    private Object coerce(GraphqlSchema.Reference type, Object value) {
        if (value == null) {
            return null;
        }
        if (type.list()) {
            List<Object> items = new ArrayList<>();
            GraphqlSchema.Reference one = new GraphqlSchema.Reference(type.name(), false, false);
            (value instanceof List<?> list ? list : List.of(value)).forEach(item -> items.add(coerce(one, item)));
            return items;
        }
        if (GraphqlSchema.isScalar(type.name())) {
            return scalar(type.name(), value);
        }
        if (!(value instanceof Map)) {
            throw new IllegalArgumentException("Expected type 'Map' but was '" + java(value)
                    + "'. Variables for input objects must be an instance of type 'Map'.");
        }
        return object(schema.type(type.name()), Json.object(value));
    }

    private Map<String, Object> object(GraphqlSchema.Type type, Map<String, Object> given) {
        for (String name : given.keySet()) {
            if (!type.fields().containsKey(name)) {
                throw GraphqlInvalid.validation(List.of("The variables input contains a field name '" + name
                        + "' that is not defined for input object type '" + type.name() + "' "));
            }
        }
        Map<String, Object> values = new LinkedHashMap<>();
        for (GraphqlSchema.Field field : type.fields().values()) {
            if (field.type().required() && given.get(field.name()) == null) {
                throw new IllegalArgumentException(nothing("Field", field.name(), field.type()));
            }
            if (given.containsKey(field.name())) {
                values.put(field.name(), coerce(field.type(), given.get(field.name())));
            }
        }
        return values;
    }

    private static Object scalar(String type, Object value) {
        if (fits(type, value)) {
            return type.equals("ID") ? value.toString() : value;
        }
        throw new IllegalArgumentException(List.of("Int", "ID").contains(type)
                ? "Expected a value that can be converted to type '" + type + "' but it was a '" + java(value) + "'"
                : "Expected a " + type + " input, but it was a '" + java(value) + "'");
    }

    static boolean fits(String type, Object value) {
        switch (type) {
            case "Boolean":
                return value instanceof Boolean;
            case "Int":
                return value instanceof Long number && number == number.intValue();
            case "ID":
                return value instanceof String || value instanceof Long;
            default:
                return value instanceof String;
        }
    }

    private static String nothing(String what, String name, GraphqlSchema.Reference type) {
        return what + " '" + name + "' has coerced Null value for NonNull type '" + type + "'";
    }

    /** The class that the real server's JSON has for it. */
    private static String java(Object value) {
        return value instanceof Long ? "Integer" : value.getClass().getSimpleName();
    }
}
