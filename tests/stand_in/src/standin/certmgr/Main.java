// SPDX-License-Identifier: GPL-3.0-or-later
package standin.certmgr;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.GeneralSecurityException;
import java.security.KeyStore;
import java.security.cert.X509Certificate;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Properties;
import standin.common.Passwords;
import standin.common.StandIn;

/**
 * certmgr.jar --domain=D --port=P | --renew. The real one asks an ACME authority over port 80; there is none here, so this
 * signs its own certificate. The names in ssl.properties are Spring's; which of them the real file has is a guess [I].
 */
public final class Main {
    private static final String ALIAS = "pec";
    private static final Duration RENEW_WITHIN = Duration.ofDays(30);

    private final Path directory;
    private final Path settings;
    private final Path store;

    private Main(Path directory) {
        this.directory = directory;
        this.settings = directory.resolve("ssl.properties");
        this.store = directory.resolve("keystore.p12");
    }

    public static void main(String[] arguments) throws Exception {
        System.out.println(StandIn.NOTICE);
        Path jar = Path.of(Main.class.getProtectionDomain().getCodeSource().getLocation().toURI());
        Main main = new Main(jar.getParent().resolve("config"));
        if (List.of(arguments).contains("--renew")) {
            main.renew();
            return;
        }
        main.create(option(arguments, "--domain"), option(arguments, "--port"));
    }

    private static String option(String[] arguments, String name) {
        for (String argument : arguments) {
            if (argument.startsWith(name + "=")) {
                return argument.substring(name.length() + 1);
            }
        }
        throw new IllegalArgumentException("certmgr.jar --domain=<domínio> --port=<porta> | --renew");
    }

    /** To change the domain, delete ssl.properties and run the installer again (contract 6.11). */
    private void create(String domain, String port) throws IOException {
        if (Files.exists(settings)) {
            System.out.println("certmgr: " + settings + " já existe; nada a fazer.");
            return;
        }
        Files.createDirectories(directory);
        String password = Passwords.random(24);
        generate(domain, password);
        StringWriter text = new StringWriter();
        text.append("server.port=" + port + "\nserver.ssl.key-store=" + store + "\nserver.ssl.key-store-password=" + password
                + "\nserver.ssl.key-store-type=PKCS12\nserver.ssl.key-alias=" + ALIAS + "\ncertmgr.domain=" + domain + "\n");
        Files.deleteIfExists(settings);
        Files.createFile(settings, PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------")));
        Files.writeString(settings, text.toString());
        System.out.println("certmgr: certificado de " + domain + " em " + store);
    }

    /** Runs at each start of the service, and never otherwise (contract 2, standalone.sh). */
    private void renew() throws IOException, GeneralSecurityException {
        Properties properties = new Properties();
        try (InputStream stream = Files.newInputStream(settings)) {
            properties.load(stream);
        }
        String password = properties.getProperty("server.ssl.key-store-password");
        KeyStore keys = KeyStore.getInstance(store.toFile(), password.toCharArray());
        Instant end = ((X509Certificate) keys.getCertificate(ALIAS)).getNotAfter().toInstant();
        if (end.isBefore(Instant.now().plus(RENEW_WITHIN))) {
            generate(properties.getProperty("certmgr.domain"), password);
            System.out.println("certmgr: certificado renovado");
        } else {
            System.out.println("certmgr: certificado válido até " + end);
        }
    }

    private void generate(String domain, String password) throws IOException {
        String days = StandIn.command("certmgr.days", "90");
        Path fresh = directory.resolve("keystore.p12.partial");
        Files.deleteIfExists(fresh);
        Process process = new ProcessBuilder(System.getProperty("java.home") + "/bin/keytool", "-genkeypair", "-alias", ALIAS,
                "-keyalg", "RSA", "-keysize", "2048", "-validity", days, "-dname", "CN=" + domain, "-ext", "san=dns:" + domain,
                "-ext", "bc:critical=ca:true", "-storetype", "PKCS12", "-keystore", fresh.toString())
                .redirectErrorStream(true).start();
        try (OutputStream answers = process.getOutputStream()) {
            answers.write((password + "\n" + password + "\n").getBytes(StandardCharsets.UTF_8));
        }
        String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        try {
            if (process.waitFor() != 0) {
                throw new IOException("keytool: " + output);
            }
        } catch (InterruptedException error) {
            throw new IOException(error);
        }
        Files.setPosixFilePermissions(fresh, PosixFilePermissions.fromString("rw-------"));
        Files.move(fresh, store, StandardCopyOption.REPLACE_EXISTING, StandardCopyOption.ATOMIC_MOVE);
    }
}
