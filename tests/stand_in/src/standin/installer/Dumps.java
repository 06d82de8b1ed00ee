// SPDX-License-Identifier: GPL-3.0-or-later
package standin.installer;

import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.LocalDateTime;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import standin.common.Database;
import standin.common.Failure;
import standin.common.Log;

/** -backup and -restore, with the file names, flags and steps of contract 2, "Vendor backup tool". */
final class Dumps {
    private static final String SOURCE = "Backup";
    private final Database database;
    private final URI address;
    private final String name;

    Dumps(Database database) {
        this.database = database;
        this.address = URI.create(database.url().substring("jdbc:".length()));
        this.name = address.getPath().substring(1);
    }

    void backup() throws IOException {
        Files.createDirectories(Layout.BACKUPS);
        String time = LocalDateTime.now().format(DateTimeFormatter.ofPattern("yyyyMMddHHmmss"));
        Path file = Layout.BACKUPS.resolve(time + "-esus-postgres.backup");
        run("pg_dump", "-Fc", "--encoding", "UTF8", "--no-privileges", "--no-tablespaces", "-f", file.toString(), name);
        Log.info(SOURCE, "Backup realizado em " + file);
    }

    /** Into a new database, which then takes the place and the name of the old one. */
    void restore(Path dump) throws IOException, SQLException {
        if (!Files.isReadable(dump)) {
            throw new Failure("O arquivo de backup " + dump + " não existe ou não pode ser lido.");
        }
        Log.info("RestoreTask", "Restaurando " + dump);
        Database maintenance = new Database(database.url().replaceFirst("/" + name + "(\\?|$)", "/postgres$1"),
                database.username(), database.password());
        String fresh = name + "_new";
        try (Connection connection = maintenance.connect()) {
            Database.run(connection, "drop database if exists " + fresh);
            Database.run(connection, "create database " + fresh + " template template0 encoding 'UTF8'");
            run("pg_restore", "-1", "-O", "--no-acl", "-d", fresh, dump.toString());
            Database.value(connection, "select count(pg_terminate_backend(pid)) from pg_stat_activity where datname = ?", name);
            Database.run(connection, "drop database if exists " + name);
            Database.run(connection, "alter database " + fresh + " rename to " + name);
        }
    }

    private void run(String program, String... arguments) throws IOException {
        Path client = Layout.DATABASE.resolve("current/bin").resolve(program);
        if (!Files.exists(client)) {
            Path distribution = BundledPostgres.distribution();
            if (distribution == null) {
                throw new Failure(program + " não foi encontrado.");
            }
            client = distribution.resolve(program);
        }
        List<String> command = new ArrayList<>(List.of(client.toString(), "-h", address.getHost(), "-p",
                String.valueOf(address.getPort() < 0 ? 5432 : address.getPort()), "-U", database.username()));
        command.addAll(List.of(arguments));
        Shell.need(Map.of("PGPASSWORD", database.password()), command.toArray(new String[0]));
    }
}
