// SPDX-License-Identifier: GPL-3.0-or-later
package standin.server;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import com.sun.net.httpserver.HttpsServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.security.GeneralSecurityException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Executors;
import standin.common.Json;
import standin.common.Log;
import standin.common.StandIn;

/** The routes of contract 4, REST. */
final class Web {
    private static final String PAGE = """
            <!doctype html><html lang="pt-BR"><meta charset="utf-8"><title>e-SUS APS PEC (substituto de testes)</title>
            <body><h1>%s</h1><p>Versão imitada: %s. Não registre dados de pessoas aqui.</p></body></html>
            """;
    private final Settings settings;
    private final Graphql graphql;

    Web(Settings settings, Graphql graphql) {
        this.settings = settings;
        this.graphql = graphql;
    }

    void start() throws IOException, GeneralSecurityException {
        InetSocketAddress address = new InetSocketAddress("0.0.0.0", settings.port());
        HttpServer server;
        if (settings.secure()) {
            HttpsServer secure = HttpsServer.create(address, 0);
            secure.setHttpsConfigurator(Https.configurator(settings));
            server = secure;
        } else {
            server = HttpServer.create(address, 0);
        }
        server.setExecutor(Executors.newCachedThreadPool());
        server.createContext("/", this::handle);
        server.start();
    }

    private void handle(HttpExchange exchange) throws IOException {
        Call call = new Call(exchange);
        try {
            if (StandIn.command("server.status", "200").equals("500")) {
                call.json(500, Map.of("status", 500, "error", "Internal Server Error"));
                return;
            }
            if (call.cookie("XSRF-TOKEN") == null) {
                call.setCookie("XSRF-TOKEN", Sessions.token(), false);
            }
            route(call);
        } catch (Call.Abandoned error) {
            call.abandon();
        } catch (RuntimeException error) {
            Log.error("Web", error.toString());
            call.json(500, Map.of("status", 500, "error", "Internal Server Error"));
        }
    }

    private void route(Call call) throws IOException {
        String path = call.path();
        if (path.equals("/api/graphql")) {
            answerGraphql(call);
        } else if (path.equals("/api/public/info")) {
            // Only "versao" is known [S]; the other names are not given here.
            call.json(200, Map.of("versao", StandIn.version().toString()));
        } else if (path.startsWith("/actuator") || path.equals("/esus/") || path.startsWith("/api/")) {
            answerProtected(call);
        } else if (path.equals("/oauth2/authorization/govbr") && !settings.govbrClient().isEmpty()) {
            call.redirect("https://sso.acesso.gov.br/authorize?response_type=code&client_id=" + settings.govbrClient());
        } else if (path.equals("/")) {
            call.html(200, String.format(PAGE, StandIn.NOTICE, StandIn.version()));
        } else {
            call.json(404, Map.of("status", 404, "error", "Not Found", "path", path));
        }
    }

    /** The token is enforced on REST and not on GraphQL (contract 4, GraphQL). */
    private void answerProtected(Call call) throws IOException {
        boolean writes = !call.method().equals("GET") && !call.method().equals("HEAD");
        String token = call.cookie("XSRF-TOKEN");
        if (writes && (token == null || !token.equals(call.header("X-XSRF-TOKEN")))) {
            call.json(403, Map.of("status", 403, "error", "Forbidden"));
        } else if (graphql.sessions().user(call.cookie("JSESSIONID")) == null) {
            call.json(401, Map.of("status", 401, "error", "Unauthorized"));
        } else if (call.path().equals("/esus/")) {
            call.html(200, String.format(PAGE, StandIn.NOTICE, StandIn.version()));
        } else if (call.path().startsWith("/actuator")) {
            call.json(403, Map.of("status", 403, "error", "Forbidden"));
        } else {
            call.json(404, Map.of("status", 404, "error", "Not Found", "path", call.path()));
        }
    }

    /** An object is answered by an object and an array by an array (contract 4). */
    private void answerGraphql(Call call) throws IOException {
        if (!call.method().equals("POST")) {
            call.json(405, Map.of("status", 405, "error", "Method Not Allowed"));
            return;
        }
        Object body;
        try {
            body = Json.parse(call.body());
        } catch (IllegalArgumentException error) {
            call.json(400, Map.of("status", 400, "error", "Bad Request"));
            return;
        }
        if (body instanceof List<?> list) {
            List<Object> answers = new ArrayList<>();
            list.forEach(item -> answers.add(graphql.execute(call, Json.object(item))));
            call.json(200, answers);
        } else {
            call.json(200, graphql.execute(call, Json.object(body)));
        }
    }
}
