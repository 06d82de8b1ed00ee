// SPDX-License-Identifier: GPL-3.0-or-later
package standin.server;

import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** The words and signs of a GraphQL text, one after the other. */
final class GraphqlTokens {
    private static final Pattern TOKEN = Pattern.compile(
            "[\\s,]+|#[^\\n]*|(\\.\\.\\.|[A-Za-z_]\\w*|-?\\d+(?:\\.\\d+)?|\"(?:[^\"\\\\]|\\\\.)*\"|[{}()\\[\\]:$!=@|&])");
    private static final String END = "<EOF>";

    private final List<String> tokens = new ArrayList<>();
    private int at;

    GraphqlTokens(String text) {
        Matcher matcher = TOKEN.matcher(text);
        int end = 0;
        while (end < text.length() && matcher.find(end) && matcher.start() == end) {
            if (matcher.group(1) != null) {
                tokens.add(matcher.group(1));
            }
            end = matcher.end();
        }
        if (end != text.length()) {
            throw GraphqlInvalid.syntax("Invalid syntax at offset " + end);
        }
    }

    boolean atEnd() {
        return at == tokens.size();
    }

    String peek() {
        return atEnd() ? END : tokens.get(at);
    }

    String next() {
        if (atEnd()) {
            throw offending();
        }
        return tokens.get(at++);
    }

    String name() {
        if (!peek().matches("[A-Za-z_]\\w*")) {
            throw offending();
        }
        return next();
    }

    boolean take(String token) {
        if (peek().equals(token)) {
            at++;
            return true;
        }
        return false;
    }

    void expect(String token) {
        if (!take(token)) {
            throw offending();
        }
    }

    GraphqlInvalid offending() {
        return GraphqlInvalid.syntax("Invalid syntax with offending token '" + peek() + "'");
    }
}
