// SPDX-License-Identifier: GPL-3.0-or-later
package standin.server;

import com.sun.net.httpserver.HttpExchange;
import java.io.IOException;
import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.util.List;
import standin.common.Json;

/** One request and its answer. */
final class Call {
    /** There will be no answer: the connection is closed. */
    static final class Abandoned extends RuntimeException {
        private static final long serialVersionUID = 1L;
    }

    private final HttpExchange exchange;

    Call(HttpExchange exchange) {
        this.exchange = exchange;
    }

    String method() {
        return exchange.getRequestMethod();
    }

    String path() {
        return exchange.getRequestURI().getPath();
    }

    String header(String name) {
        return exchange.getRequestHeaders().getFirst(name);
    }

    String cookie(String name) {
        for (String header : exchange.getRequestHeaders().getOrDefault("Cookie", List.of())) {
            for (String pair : header.split(";\\s*")) {
                if (pair.startsWith(name + "=")) {
                    return URLDecoder.decode(pair.substring(name.length() + 1), StandardCharsets.UTF_8);
                }
            }
        }
        return null;
    }

    void setCookie(String name, String value, boolean httpOnly) {
        exchange.getResponseHeaders().add("Set-Cookie", name + "=" + value + "; Path=/" + (httpOnly ? "; HttpOnly" : ""));
    }

    String body() throws IOException {
        return new String(exchange.getRequestBody().readAllBytes(), StandardCharsets.UTF_8);
    }

    void redirect(String url) throws IOException {
        exchange.getResponseHeaders().set("Location", url);
        answer(302, "text/plain", "");
    }

    void html(int status, String text) throws IOException {
        answer(status, "text/html;charset=UTF-8", text);
    }

    void json(int status, Object value) throws IOException {
        answer(status, "application/json", Json.write(value));
    }

    void abandon() {
        exchange.close();
    }

    private void answer(int status, String type, String text) throws IOException {
        byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
        exchange.getResponseHeaders().set("Content-Type", type);
        boolean head = exchange.getRequestMethod().equals("HEAD");
        exchange.sendResponseHeaders(status, head ? -1 : bytes.length);
        if (!head) {
            exchange.getResponseBody().write(bytes);
        }
        exchange.close();
    }
}
