// SPDX-License-Identifier: GPL-3.0-or-later
package standin.installer;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.Comparator;
import java.util.List;
import java.util.stream.Stream;
import standin.common.Database;
import standin.common.Failure;
import standin.common.Log;

/**
 * The PostgreSQL that the installer brings (contract 2). The real one is 9.6.13 by a BitRock installer; this is 10 out of
 * an archive in the jar or, in a jar built without it, the distribution's. Its directory is named after what it is.
 */
final class BundledPostgres {
    static final String URL = "jdbc:postgresql://127.0.0.1:5433/esus";
    private static final String USER = "postgres";
    private static final String NAME = "postgresql-10.23-1-linux-x64";
    private static final String ARCHIVE = "database/" + NAME + ".zip";
    private static final String LOCALE = "pt_BR.UTF-8";

    private final Path directory;
    private final Path distribution;

    BundledPostgres() throws IOException {
        distribution = distribution();
        if (Tree.contains(ARCHIVE)) {
            directory = Layout.DATABASE.resolve(NAME);
        } else if (distribution != null && Files.exists(distribution.resolve("initdb"))) {
            directory = Layout.DATABASE.resolve("postgresql-" + distribution.getParent().getFileName() + "-1-linux-x64");
        } else {
            throw new Failure("Este instalador foi construído sem o PostgreSQL, e a distribuição não tem um em /usr/lib/postgresql.");
        }
    }

    static boolean unitExists() {
        return Files.exists(Layout.UNITS.resolve(Layout.DATABASE_UNIT));
    }

    /** The first installation. The caller wrote the password to application.properties before, so that a rerun finds it. */
    void install(String password) throws IOException {
        createUser();
        unpack();
        if (!Files.exists(data().resolve("PG_VERSION"))) {
            initialise(password);
        }
        Tree.write(Layout.UNITS.resolve(Layout.DATABASE_UNIT), unit(), "rw-r--r--");
        Shell.need("systemctl", "daemon-reload");
        Shell.need("systemctl", "enable", Layout.DATABASE_UNIT);
        start();
    }

    /** With a unit but no tree this fails, as the real one does (contract 1, Already installed). */
    void start() throws IOException {
        Shell.Result result = Shell.run("systemctl", "start", Layout.DATABASE_UNIT);
        if (result.code() != 0) {
            Path log = data().resolve("postgresql.log");
            String words = Files.exists(log) ? Files.readString(log).strip() : "";
            throw new Failure("Não foi possível conectar ao banco de dados: falha ao iniciar " + Layout.DATABASE_UNIT + ".\n"
                    + result.output().strip() + "\n" + words);
        }
    }

    /** Database, and the role for reading that the installer creates. */
    void createDatabase(String password, String readingPassword) throws SQLException {
        Database maintenance = new Database(URL.replace("/esus", "/postgres"), USER, password);
        try (Connection connection = maintenance.connect()) {
            if (Database.value(connection, "select 1 from pg_database where datname = 'esus'") == null) {
                Database.run(connection, "create database esus template template0 encoding 'UTF8' lc_collate '" + LOCALE
                        + "' lc_ctype '" + LOCALE + "'");
            }
            if (Database.value(connection, "select 1 from pg_roles where rolname = 'esus_leitura'") == null) {
                Database.run(connection, "create role esus_leitura login");
            }
            Database.run(connection, "alter role esus_leitura password '" + readingPassword + "'");
        }
    }

    static void grantReading(Database database) throws SQLException {
        try (Connection connection = database.connect()) {
            Database.run(connection, "grant usage on schema public to esus_leitura;"
                    + "grant select on all tables in schema public to esus_leitura;"
                    + "alter default privileges in schema public grant select on tables to esus_leitura");
        }
    }

    /** The newest bin of the distribution's PostgreSQL, clients or server; null when there is none. */
    static Path distribution() throws IOException {
        Path versions = Path.of("/usr/lib/postgresql");
        if (!Files.isDirectory(versions)) {
            return null;
        }
        try (Stream<Path> found = Files.list(versions)) {
            return found.map(path -> path.resolve("bin")).filter(path -> Files.exists(path.resolve("psql")))
                    .max(Comparator.comparingInt(path -> Integer.parseInt(path.getParent().getFileName().toString()))).orElse(null);
        }
    }

    private Path data() {
        return directory.resolve("data");
    }

    /** UID and GID 1000 when they are free, and not a system account (contract 2, Users); its home is a guess [?]. */
    private void createUser() throws IOException {
        if (Shell.run("id", "-u", USER).code() == 0) {
            return;
        }
        boolean free = Shell.run("getent", "passwd", "1000").code() != 0 && Shell.run("getent", "group", "1000").code() != 0;
        if (free) {
            Shell.need("groupadd", "-g", "1000", USER);
            Shell.need("useradd", "-u", "1000", "-g", "1000", "-M", "-d", directory.toString(), "-s", "/bin/bash", USER);
        } else {
            Shell.need("useradd", "-U", "-M", "-d", directory.toString(), "-s", "/bin/bash", USER);
        }
    }

    private void unpack() throws IOException {
        Log.info("PostgreSQL", "Instalando em " + directory);
        if (Tree.contains(ARCHIVE)) {
            Tree.unzip(ARCHIVE, directory);
        } else {
            link(List.of("initdb", "pg_ctl", "postgres"));
        }
        link(List.of("psql", "pg_dump", "pg_restore"));
        Tree.link(Layout.DATABASE.resolve("current"), directory.getFileName());
    }

    private void link(List<String> programs) throws IOException {
        for (String program : programs) {
            if (distribution != null && Files.exists(distribution.resolve(program))) {
                Tree.link(directory.resolve("bin").resolve(program), distribution.resolve(program));
            }
        }
    }

    private void initialise(String password) throws IOException {
        Files.createDirectories(data());
        Tree.mode(data(), "rwx------");
        Shell.need("chown", USER + ":", data().toString());
        Path file = directory.resolve(".password");
        Tree.write(file, password, "rw-------");
        Shell.need("chown", USER + ":", file.toString());
        try {
            // Without the locale the cluster is made all the same, and then does not start (contract 6.4).
            Shell.need("runuser", "-u", USER, "--", directory + "/bin/initdb", "-D", data().toString(), "-U", "postgres",
                    "--pwfile=" + file, "-A", "md5", "-E", "UTF8", "--locale=" + (hasLocale() ? LOCALE : "C"));
        } finally {
            Files.delete(file);
        }
        StringBuilder settings = new StringBuilder(Files.readString(data().resolve("postgresql.conf")));
        settings.append("\nlisten_addresses = '127.0.0.1'\nport = 5433\nunix_socket_directories = '/tmp'\npassword_encryption = md5\n");
        for (String category : List.of("messages", "monetary", "numeric", "time")) {
            settings.append("lc_").append(category).append(" = '").append(LOCALE).append("'\n");
        }
        Files.writeString(data().resolve("postgresql.conf"), settings);
    }

    private static boolean hasLocale() throws IOException {
        return Shell.run("locale", "-a").output().contains("pt_BR.utf8");
    }

    /** The vendor's text is not known [?]. */
    private String unit() {
        String control = directory + "/bin/pg_ctl -D " + data();
        return String.join("\n", "[Unit]", "Description=PostgreSQL do e-SUS APS PEC (substituto de testes)", "After=network.target", "",
                "[Service]", "Type=forking", "User=" + USER, "ExecStart=" + control + " -w -t 120 -l " + data() + "/postgresql.log start",
                "ExecStop=" + control + " -m fast stop", "", "[Install]", "WantedBy=multi-user.target", "");
    }
}
