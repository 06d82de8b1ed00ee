// SPDX-License-Identifier: GPL-3.0-or-later
package standin.certmgr;

import java.io.IOException;
import java.io.InputStream;
import java.io.StringWriter;
import java.net.ServerSocket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.GeneralSecurityException;
import java.security.KeyStore;
import java.security.cert.X509Certificate;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Properties;
import standin.common.Passwords;
import standin.common.StandIn;

/**
 * certmgr.jar --domain=D --port=P | --renew. The real one asks an ACME authority over port 80; there is none here, so this
 * needs the port too, and then signs by itself, or has a private authority sign that the command file names. The names in
 * ssl.properties are Spring's; which of them the real file has is a guess [I], as are the texts of a failure: only that the
 * authority did not answer in time is known to happen (contract 6.11).
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
        prove(domain);
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
            prove(properties.getProperty("certmgr.domain"));
            generate(properties.getProperty("certmgr.domain"), password);
            System.out.println("certmgr: certificado renovado");
        } else {
            System.out.println("certmgr: certificado válido até " + end);
        }
    }

    /** The authority calls back on port 80. */
    private static void prove(String domain) throws IOException {
        try (ServerSocket challenge = new ServerSocket(80)) {
            System.out.println("certmgr: porta " + challenge.getLocalPort() + " aberta para o desafio HTTP-01 de " + domain);
        } catch (IOException error) {
            throw new IOException("certmgr: a porta 80 não está livre: " + error.getMessage(), error);
        }
        if (StandIn.command("certmgr.acme", "ok").equals("timeout")) {
            throw new IOException("certmgr: " + domain + ": ACME: timeout: a autoridade não alcançou a porta 80 deste servidor");
        }
    }

    private void generate(String domain, String password) throws IOException {
        Path fresh = directory.resolve("keystore.p12.partial");
        Path request = directory.resolve("request.csr");
        Path signed = directory.resolve("signed.pem");
        Files.deleteIfExists(fresh);
        try {
            String authority = StandIn.command("certmgr.authority", "");
            String days = StandIn.command("certmgr.days", "90");
            keytool(password, fresh, "-genkeypair", "-alias", ALIAS, "-keyalg", "RSA", "-keysize", "2048", "-validity", days,
                    "-dname", "CN=" + domain, "-ext", "san=dns:" + domain, "-ext", "bc:critical=ca:" + authority.isEmpty());
            if (!authority.isEmpty()) {
                String secret = StandIn.command("certmgr.authority_password", "");
                Path keys = Path.of(authority);
                keytool(password, fresh, "-certreq", "-alias", ALIAS, "-file", request.toString());
                keytool(secret, keys, "-gencert", "-alias", "ca", "-rfc", "-infile", request.toString(), "-outfile", signed.toString(),
                        "-validity", days, "-ext", "san=dns:" + domain, "-ext", "eku=serverAuth",
                        "-ext", "ku:critical=digitalSignature,keyEncipherment");
                Path root = directory.resolve("root.pem");
                keytool(secret, keys, "-exportcert", "-alias", "ca", "-rfc", "-file", root.toString());
                keytool(password, fresh, "-importcert", "-noprompt", "-alias", "ca", "-file", root.toString());
                keytool(password, fresh, "-importcert", "-noprompt", "-alias", ALIAS, "-file", signed.toString());
                keytool(password, fresh, "-delete", "-alias", "ca");
                Files.deleteIfExists(root);
            }
        } finally {
            Files.deleteIfExists(request);
            Files.deleteIfExists(signed);
        }
        Files.setPosixFilePermissions(fresh, PosixFilePermissions.fromString("rw-------"));
        Files.move(fresh, store, StandardCopyOption.REPLACE_EXISTING, StandardCopyOption.ATOMIC_MOVE);
    }

    /** Passwords go by the environment: everybody can read arguments. */
    private static void keytool(String password, Path keystore, String... arguments) throws IOException {
        List<String> command = new ArrayList<>(List.of(System.getProperty("java.home") + "/bin/keytool"));
        command.addAll(List.of(arguments));
        command.addAll(List.of("-storetype", "PKCS12", "-keystore", keystore.toString(), "-storepass:env", "STORE_PASSWORD"));
        ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true);
        builder.environment().put("STORE_PASSWORD", password);
        Process process = builder.start();
        process.getOutputStream().close();
        String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        try {
            if (process.waitFor() != 0) {
                throw new IOException("keytool " + arguments[0] + ": " + output);
            }
        } catch (InterruptedException error) {
            throw new IOException(error);
        }
    }
}
