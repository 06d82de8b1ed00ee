// SPDX-License-Identifier: GPL-3.0-or-later
package standin.installer;

import java.io.IOException;
import java.io.Reader;
import java.nio.charset.Charset;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Properties;
import standin.common.Database;
import standin.common.Failure;
import standin.common.StandIn;

/** /opt/e-SUS/webserver and the Java beside it (contract 2). */
final class Webserver {
    private static final String STANDALONE = """
            #!/bin/sh
            # Substituto de testes do standalone.sh do PEC.
            WEBSERVER_HOME=$(readlink -e "$(dirname "$0")")
            JAVA_HOME=$(readlink -e "$WEBSERVER_HOME/../jre/current")
            JAVA_OPTS="$JAVA_OPTS -Djava.net.preferIPv4Stack=true -Dfile.encoding=UTF-8 -Djava.awt.headless=true"

            SSL_PROPERTIES=$WEBSERVER_HOME/certmgr/config/ssl.properties
            if [ -f "$SSL_PROPERTIES" ]; then
                export SPRING_CONFIG_ADDITIONAL_LOCATION=$SSL_PROPERTIES
                cd "$WEBSERVER_HOME/certmgr" && "$JAVA_HOME/bin/java" -jar certmgr.jar --renew
            fi

            cd "$WEBSERVER_HOME" && exec "$JAVA_HOME/bin/java" $JAVA_OPTS -jar "$WEBSERVER_HOME/pec-bundle.jar"
            """;

    private Webserver() {
    }

    static void installJava() throws IOException {
        String version = Layout.jreVersion(StandIn.version());
        Tree.link(Layout.JRE.resolve(version), Path.of(System.getProperty("java.home")));
        Tree.link(Layout.JRE.resolve("current"), Path.of(version));
    }

    static void installTools() throws IOException {
        Tree.copy("database/migrador.jar", Layout.TOOLS.resolve("migrador.jar"));
    }

    /** Programs only: configuration, keys and certificates of an installation stay. */
    static void installPrograms() throws IOException {
        Tree.copy("webserver/pec-bundle.jar", Layout.WEBSERVER.resolve("pec-bundle.jar"));
        Tree.copy("webserver/certmgr.jar", Layout.CERTMGR.resolve("certmgr.jar"));
        Files.createDirectories(Layout.CERTMGR.resolve("config"));
        Files.createDirectories(Layout.WEBSERVER.resolve("logs"));
        Tree.write(Layout.WEBSERVER.resolve("standalone.sh"), STANDALONE, "rwxr-xr-x");
        Tree.write(Layout.WEBSERVER.resolve(Layout.PEC_UNIT), unit(), "rw-r--r--");
    }

    /** The lines of the data source are written; what an administrator added to the file stays. */
    static void configure(Database database) throws IOException {
        boolean fresh = !Files.exists(Layout.APPLICATION);
        String old = fresh ? Tree.text("webserver/application.properties") : Files.readString(Layout.APPLICATION);
        StringBuilder text = new StringBuilder();
        text.append("spring.datasource.url=").append(database.url()).append('\n');
        text.append("spring.datasource.username=").append(database.username()).append('\n');
        text.append("spring.datasource.password=").append(database.password().replace("\\", "\\\\")).append('\n');
        for (String line : old.lines().toList()) {
            if (!line.matches("\\s*spring\\.datasource\\.(url|username|password)\\s*[=:].*")) {
                text.append(line).append('\n');
            }
        }
        if (!text.toString().equals(old)) {
            Tree.write(Layout.APPLICATION, text.toString(), "rw-r--r--");
        }
    }

    /** What the data source is now; null when there is none. */
    static Database configured() throws IOException {
        if (!Files.exists(Layout.APPLICATION)) {
            return null;
        }
        Properties properties = new Properties();
        try (Reader reader = Files.newBufferedReader(Layout.APPLICATION, StandardCharsets.UTF_8)) {
            properties.load(reader);
        }
        String prefix = "spring.datasource.";
        String url = properties.getProperty(prefix + "url");
        return url == null ? null : new Database(url, properties.getProperty(prefix + "username", ""),
                properties.getProperty(prefix + "password", ""));
    }

    /** Order and wording of contract 2; blank lines and the encoding are guesses, the latter to be had otherwise on command. */
    static void writeCredentials(Database database, String readingPassword) throws IOException {
        String text = "Url de conexão: " + database.url() + "\n\n"
                + "Usuário com acesso completo ao banco de dados\n"
                + "usuário: " + database.username() + "\nsenha: " + database.password() + "\n\n"
                + "Usuário com acesso de leitura ao banco de dados\n"
                + "usuário: esus_leitura\nsenha: " + readingPassword + "\n";
        Charset charset = Charset.forName(StandIn.command("installer.credentials_encoding", "UTF-8"));
        Tree.write(Layout.CREDENTIALS, text.getBytes(charset), "rw-------");
    }

    /** Domain and certificate; an ssl.properties that is there stays (contract 6.11). */
    static void certify(String domain, String port) throws IOException {
        int code = Shell.java("-jar", Layout.CERTMGR.resolve("certmgr.jar").toString(), "--domain=" + domain, "--port=" + port);
        if (code != 0) {
            throw new Failure("Falha ao gerar o certificado HTTPS para " + domain + ".");
        }
    }

    /** ExecStart is evidenced, the rest is inferred [I]. */
    static String unit() {
        return String.join("\n", "[Unit]", "Description=e-SUS APS PEC (substituto de testes)",
                "After=network.target " + Layout.DATABASE_UNIT, "", "[Service]", "Type=simple",
                "ExecStart=" + Layout.WEBSERVER.resolve("standalone.sh"), "SuccessExitStatus=143", "",
                "[Install]", "WantedBy=multi-user.target", "");
    }
}
