// SPDX-License-Identifier: GPL-3.0-or-later
package standin.server;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** As much of GraphQL's grammar as PEC's clients use: one operation, arguments, variables, aliases, inline fragments. */
final class GraphqlDocument {
    /** What a field's subfields are of: type is null outside "... on Type". */
    record Field(String alias, String name, String type, Map<String, Object> arguments, List<Field> fields) {
    }

    static final class Invalid extends RuntimeException {
        private static final long serialVersionUID = 1L;

        Invalid(String message) {
            super(message);
        }
    }

    private static final Pattern TOKEN = Pattern.compile(
            "[\\s,]+|#[^\\n]*|(\\.\\.\\.|[A-Za-z_]\\w*|-?\\d+(?:\\.\\d+)?|\"(?:[^\"\\\\]|\\\\.)*\"|[{}()\\[\\]:$!=@|&])");

    private final List<String> tokens = new ArrayList<>();
    private final Map<String, Object> variables;
    private int at;

    private GraphqlDocument(String text, Map<String, Object> variables) {
        this.variables = variables;
        Matcher matcher = TOKEN.matcher(text);
        int end = 0;
        while (end < text.length() && matcher.find(end) && matcher.start() == end) {
            if (matcher.group(1) != null) {
                tokens.add(matcher.group(1));
            }
            end = matcher.end();
        }
        if (end != text.length()) {
            throw new Invalid("Invalid syntax at offset " + end);
        }
    }

    /** The root fields of the document's operation. */
    static List<Field> parse(String text, Map<String, Object> variables) {
        GraphqlDocument document = new GraphqlDocument(text, variables);
        if (List.of("query", "mutation").contains(document.peek())) {
            while (!document.peek().equals("{")) {
                if (document.peek().equals("(")) {
                    document.skipDefinitions();
                } else {
                    document.next();
                }
            }
        }
        List<Field> fields = document.selection(null);
        if (document.at != document.tokens.size()) {
            throw new Invalid("Invalid syntax with offending token '" + document.peek() + "'");
        }
        return fields;
    }

    private void skipDefinitions() {
        while (!next().equals(")")) {
            continue;
        }
    }

    private List<Field> selection(String type) {
        List<Field> fields = new ArrayList<>();
        expect("{");
        while (!take("}")) {
            if (take("...")) {
                expect("on");
                fields.addAll(selection(next()));
            } else {
                fields.add(field(type));
            }
        }
        return fields;
    }

    private Field field(String type) {
        String alias = next();
        String name = take(":") ? next() : alias;
        Map<String, Object> arguments = new LinkedHashMap<>();
        if (take("(")) {
            while (!take(")")) {
                String argument = next();
                expect(":");
                arguments.put(argument, value());
            }
        }
        return new Field(alias, name, type, arguments, peek().equals("{") ? selection(null) : List.of());
    }

    private Object value() {
        String token = next();
        if (token.equals("$")) {
            return variables.get(next());
        }
        if (token.equals("{")) {
            Map<String, Object> map = new LinkedHashMap<>();
            while (!take("}")) {
                String key = next();
                expect(":");
                map.put(key, value());
            }
            return map;
        }
        if (token.equals("[")) {
            List<Object> list = new ArrayList<>();
            while (!take("]")) {
                list.add(value());
            }
            return list;
        }
        if (token.equals("null")) {
            return null;
        }
        boolean literal = token.startsWith("\"") || token.matches("-?\\d+(\\.\\d+)?") || List.of("true", "false").contains(token);
        return literal ? standin.common.Json.parse(token) : token;
    }

    private String peek() {
        return at < tokens.size() ? tokens.get(at) : "<EOF>";
    }

    private String next() {
        if (at >= tokens.size()) {
            throw new Invalid("Invalid syntax with offending token '<EOF>'");
        }
        return tokens.get(at++);
    }

    private boolean take(String token) {
        if (peek().equals(token)) {
            at++;
            return true;
        }
        return false;
    }

    private void expect(String token) {
        if (!take(token)) {
            throw new Invalid("Invalid syntax with offending token '" + peek() + "'");
        }
    }
}
