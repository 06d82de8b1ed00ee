// SPDX-License-Identifier: GPL-3.0-or-later
package standin.server;

import java.io.IOException;
import java.io.Reader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Properties;
import standin.common.Database;

/** Spring's way: config/application.properties, and over it the file that standalone.sh names (contract 2). */
record Settings(Path home, Properties properties) {

    static Settings load(Path home) throws IOException {
        Properties properties = new Properties();
        read(properties, home.resolve("config/application.properties"));
        String additional = System.getenv("SPRING_CONFIG_ADDITIONAL_LOCATION");
        if (additional != null && !additional.isBlank()) {
            read(properties, Path.of(additional.replaceFirst("^file:", "")));
        }
        return new Settings(home, properties);
    }

    private static void read(Properties properties, Path file) throws IOException {
        try (Reader reader = Files.newBufferedReader(file, StandardCharsets.UTF_8)) {
            properties.load(reader);
        }
    }

    /** The value as it stands, trailing blanks and all: properties have no inline comments (contract 6.22). */
    String get(String key, String otherwise) {
        return properties.getProperty(key, otherwise);
    }

    /** The client id of Gov.br as it was at the start; none without the secret beside it (contract 2, application.properties). */
    String govbrClient() {
        String registration = "bridge.security.oauth2.client.registration.govbr.";
        boolean both = !get(registration + "client-id", "").isEmpty() && !get(registration + "client-secret", "").isEmpty();
        return both ? get(registration + "client-id", "") : "";
    }

    Database database() {
        return new Database(get("spring.datasource.url", ""), get("spring.datasource.username", ""), get("spring.datasource.password", ""));
    }

    int port() {
        return Integer.parseInt(get("server.port", "8080").trim());
    }

    boolean secure() {
        return properties.containsKey("server.ssl.key-store");
    }

    /** Relative to pec-bundle.jar (contract 2, application.properties). */
    Path keyStore() {
        return home.resolve(get("server.ssl.key-store", "").replaceFirst("^file:", ""));
    }
}
