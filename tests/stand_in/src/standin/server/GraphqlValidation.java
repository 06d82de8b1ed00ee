// SPDX-License-Identifier: GPL-3.0-or-later
package standin.server;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import standin.common.Json;

/**
 * A document against the types: all that is wrong with it, in the words of graphql-java (PEC is a Spring program; that its
 * GraphQL is Spring's is [I]). Skipped fields are checked like the others.
 */
final class GraphqlValidation {
    private static final Set<String> DIRECTIVES = Set.of("skip", "include");
    private static final GraphqlSchema.Reference CONDITION = new GraphqlSchema.Reference("Boolean", false, true);

    private final GraphqlSchema schema;
    private final Set<String> absent;
    private final Map<String, GraphqlDocument.Definition> variables = new LinkedHashMap<>();
    private final Set<String> used = new HashSet<>();
    private final List<String> problems = new ArrayList<>();

    private GraphqlValidation(GraphqlSchema schema, Set<String> absent) {
        this.schema = schema;
        this.absent = absent;
    }

    /** absent are fields that this server does not have although the schema does, as root or root.field. */
    static List<String> problems(GraphqlSchema schema, Set<String> absent, GraphqlDocument document) {
        GraphqlValidation validation = new GraphqlValidation(schema, absent);
        document.variables().forEach(validation::define);
        validation.fields(document.fields(), schema.type(document.kind().equals("query") ? "Query" : "Mutation"), "");
        validation.variables.keySet().stream().filter(name -> !validation.used.contains(name))
                .forEach(name -> validation.add("UnusedVariable", "", "Unused variable '" + name + "'"));
        return validation.problems;
    }

    private void add(String kind, String path, String text) {
        problems.add("Validation error (" + kind + (path.isEmpty() ? "" : "@[" + path + "]") + ") : " + text);
    }

    private void define(GraphqlDocument.Definition definition) {
        String type = definition.type().name();
        variables.put(definition.name(), definition);
        if (!GraphqlSchema.isScalar(type) && schema.type(type) == null) {
            add("UnknownType", "", "Unknown type '" + type + "'");
        } else if (!GraphqlSchema.isScalar(type) && !schema.type(type).input()) {
            add("NonInputTypeOnVariable", "", "Input variable '" + definition.name() + "' type '" + type + "' is not an input type");
        }
    }

    private void fields(List<GraphqlDocument.Field> fields, GraphqlSchema.Type parent, String above) {
        for (GraphqlDocument.Field field : fields) {
            GraphqlSchema.Type type = field.type() == null ? parent : schema.type(field.type());
            if (type == null) {
                add("UnknownType", above, "Unknown type '" + field.type() + "'");
            } else if (!field.name().equals("__typename")) {
                field(field, type, above.isEmpty() ? field.name() : above + "/" + field.name());
            }
        }
    }

    private void field(GraphqlDocument.Field field, GraphqlSchema.Type parent, String path) {
        field.directives().forEach((name, arguments) -> directive(name, arguments, path));
        GraphqlSchema.Field known = absent.contains(path.replace('/', '.')) ? null : parent.fields().get(field.name());
        if (known == null) {
            add("FieldUndefined", path, "Field '" + field.name() + "' in type '" + parent.name() + "' is undefined");
            field.arguments().values().forEach(value -> value(null, value, path, ""));
            return;
        }
        arguments(field.arguments(), known.arguments(), path, "field");
        String type = known.type().name();
        boolean leaf = GraphqlSchema.isScalar(type);
        String of = " of field '" + field.name() + "'";
        if (leaf && !field.fields().isEmpty()) {
            add("SubselectionNotAllowed", path, "Subselection not allowed on leaf type '" + known.type() + "'" + of);
        } else if (!leaf && field.fields().isEmpty()) {
            add("SubselectionRequired", path, "Subselection required for type '" + known.type() + "'" + of);
        } else if (!leaf) {
            fields(field.fields(), schema.type(type), path);
        }
    }

    private void directive(String name, Map<String, Object> arguments, String path) {
        if (DIRECTIVES.contains(name)) {
            arguments(arguments, Map.of("if", CONDITION), path, "directive");
        } else {
            add("UnknownDirective", path, "Unknown directive '" + name + "'");
        }
    }

    private void arguments(Map<String, Object> given, Map<String, GraphqlSchema.Reference> known, String path, String of) {
        boolean field = of.equals("field");
        given.forEach((name, value) -> {
            if (!known.containsKey(name)) {
                add(field ? "UnknownArgument" : "UnknownDirective", path, "Unknown " + of + " argument '" + name + "'");
            }
            value(known.get(name), value, path, name);
        });
        known.forEach((name, type) -> {
            if (type.required() && !given.containsKey(name)) {
                add(field ? "MissingFieldArgument" : "MissingDirectiveArgument", path, "Missing " + of + " argument '" + name + "'");
            }
        });
    }

    /** A value in the document; the type is null where none is known, and then only its variables are looked at. */
    private void value(GraphqlSchema.Reference type, Object value, String path, String name) {
        if (value instanceof GraphqlDocument.Variable variable) {
            variable(type, variable.name(), path);
        } else if (value instanceof List<?> list && (type == null || type.list())) {
            list.forEach(item -> value(type == null ? null : new GraphqlSchema.Reference(type.name(), false, false), item, path, name));
        } else if (value instanceof Map) {
            members(type, Json.object(value), path, name);
        } else if (type != null && value == null && type.required()) {
            add("NullValueForNonNullArgument", path, "Null value for non-null field argument '" + name + "'");
        } else if (type != null && value != null && !(GraphqlSchema.isScalar(type.name()) && GraphqlValues.fits(type.name(), value))) {
            add("WrongType", path, "argument '" + name + "' with value '" + value + "' is not a valid '" + type.name() + "'");
        }
    }

    private void variable(GraphqlSchema.Reference type, String name, String path) {
        GraphqlDocument.Definition definition = variables.get(name);
        used.add(name);
        if (definition == null) {
            add("UndefinedVariable", path, "Undefined variable '" + name + "'");
        } else if (type != null) {
            GraphqlSchema.Reference found = definition.type();
            boolean same = found.name().equals(type.name()) && found.list() == type.list();
            boolean known = GraphqlSchema.isScalar(found.name()) || schema.type(found.name()) != null;
            if (known && (!same || type.required() && !found.required() && !definition.optional())) {
                add("VariableTypeMismatch", path, "Variable '" + name + "' of type '" + found
                        + "' used in position expecting type '" + type + "'");
            }
        }
    }

    private void members(GraphqlSchema.Reference type, Map<String, Object> members, String path, String name) {
        GraphqlSchema.Type input = type == null ? null : schema.type(type.name());
        String subject = "argument '" + name + "' with value '" + members + "' ";
        if (type != null && input == null) {
            add("WrongType", path, subject + "is not a valid '" + type.name() + "'");
        }
        members.forEach((key, value) -> {
            GraphqlSchema.Field field = input == null ? null : input.fields().get(key);
            if (input != null && field == null) {
                add("WrongType", path, subject + "contains a field not in '" + type.name() + "': '" + key + "'");
            }
            value(field == null ? null : field.type(), value, path, name + "." + key);
        });
        if (input != null) {
            List<String> missing = new ArrayList<>();
            input.fields().values().stream().filter(field -> field.type().required() && !members.containsKey(field.name()))
                    .forEach(field -> missing.add(field.name()));
            if (!missing.isEmpty()) {
                add("WrongType", path, subject + "is missing required fields '" + missing + "'");
            }
        }
    }
}
