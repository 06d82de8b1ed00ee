// SPDX-License-Identifier: GPL-3.0-or-later
package standin.common;

import java.io.IOException;
import java.io.InputStream;
import java.io.Reader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Properties;

/** What this build is, and what the command file tells it to do. */
public final class StandIn {
    public static final String NOTICE =
            "ESTE NÃO É O PEC: é um substituto de testes (stand-in) da coleção Ansible esus.pec.";

    /** Java properties; absent means that everything works. See README.md for its keys. */
    public static final Path COMMANDS = Path.of("/etc/pec-stand-in.conf");

    private StandIn() {
    }

    public static Version version() {
        try (InputStream stream = StandIn.class.getResourceAsStream("/stand-in.properties")) {
            Properties properties = new Properties();
            properties.load(stream);
            return Version.parse(properties.getProperty("version"));
        } catch (IOException error) {
            throw new IllegalStateException(error);
        }
    }

    public static String command(String key, String otherwise) {
        if (!Files.exists(COMMANDS)) {
            return otherwise;
        }
        try (Reader reader = Files.newBufferedReader(COMMANDS, StandardCharsets.UTF_8)) {
            Properties properties = new Properties();
            properties.load(reader);
            return properties.getProperty(key, otherwise).trim();
        } catch (IOException error) {
            throw new IllegalStateException("cannot read " + COMMANDS + ": " + error.getMessage(), error);
        }
    }

    public static void sleepAsCommanded(String key) {
        double seconds = Double.parseDouble(command(key, "0"));
        try {
            Thread.sleep((long) (seconds * 1000));
        } catch (InterruptedException error) {
            Thread.currentThread().interrupt();
        }
    }
}
