// SPDX-License-Identifier: GPL-3.0-or-later
package standin.migrator;

import java.sql.Connection;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import standin.common.Database;
import standin.common.Failure;
import standin.common.Log;
import standin.common.StandIn;
import standin.common.Version;

/** migrador.jar -url= -username= -password= (contract 2): Liquibase's part, without Liquibase. */
public final class MigratorRunner {
    private static final String SOURCE = "MigratorRunner";
    private static final int LOCK = 4711;
    private static final String TABLES = """
            create table if not exists tb_migracao (
                id varchar(255) not null, author varchar(255) not null, filename varchar(255) not null,
                dateexecuted timestamp not null, orderexecuted integer not null, exectype varchar(10) not null,
                md5sum varchar(35), description varchar(255), comments varchar(255), tag varchar(255),
                liquibase varchar(20), contexts varchar(255), labels varchar(255), deployment_id varchar(10));
            create table if not exists tb_migracao_trava (
                id integer primary key, locked boolean not null, lockgranted timestamp, lockedby varchar(255));
            insert into tb_migracao_trava (id, locked) values (1, false) on conflict do nothing;
            """;

    private MigratorRunner() {
    }

    public static void main(String[] arguments) {
        Map<String, String> options = new HashMap<>();
        for (String argument : arguments) {
            int equals = argument.indexOf('=');
            options.put(equals < 0 ? argument : argument.substring(0, equals), equals < 0 ? "" : argument.substring(equals + 1));
        }
        if (!options.keySet().containsAll(List.of("-url", "-username", "-password"))) {
            System.err.println("migrador.jar -url=<jdbc> -username=<usuario> -password=<senha>");
            System.exit(2);
        }
        Log.info(SOURCE, StandIn.NOTICE);
        Database database = new Database(options.get("-url"), options.get("-username"), options.get("-password"));
        try {
            if (StandIn.command("installer.migration", "ok").equals("out_of_memory")) {
                runOutOfMemory();
            }
            migrate(database, StandIn.version());
        } catch (SQLException | Failure error) {
            Log.error(SOURCE, error.getMessage());
            System.exit(1);
        }
    }

    /** Contract 1: the default heap is too small in a container; a larger one by JAVA_TOOL_OPTIONS helps. */
    private static void runOutOfMemory() {
        String options = System.getenv("JAVA_TOOL_OPTIONS");
        if (options == null || !options.contains("-Xmx")) {
            throw new OutOfMemoryError("Java heap space");
        }
    }

    private static void migrate(Database database, Version target) throws SQLException {
        try (Connection connection = database.connect(); Connection lock = database.connect()) {
            Database.run(connection, "set client_min_messages = error; set synchronous_commit = off");
            refuseForeignOrNewer(connection, target);
            if (!"true".equals(Database.value(lock, "select pg_try_advisory_lock(" + LOCK + ")::text"))) {
                throw new Failure("Could not acquire change log lock. Currently locked by another migration.");
            }
            Database.run(connection, TABLES);
            run(connection, missing(connection, Changelog.upTo(target)), target);
            setVersion(connection, target);
        }
    }

    /** The texts are approximate [S]: the contract has them only as fragments. */
    private static void refuseForeignOrNewer(Connection connection, Version target) throws SQLException {
        String found = Database.pecVersion(connection);
        boolean migrated = Database.value(connection, "select to_regclass('public.tb_migracao')::text") != null;
        String tables = Database.value(connection, "select count(*) from pg_tables where schemaname = 'public'");
        if (found == null && !migrated && !tables.equals("0")) {
            throw new Failure("Não foi possível obter a versão do banco de dados. Não é possível prosseguir.");
        }
        if (found != null && Version.parse(found).compareTo(target) > 0) {
            throw new Failure("A versão do banco de dados (" + found + ") é mais recente do que a deste instalador (" + target
                    + "). Não é possível prosseguir.");
        }
        if (target.toString().equals(found)) {
            Log.info(SOURCE, "O banco de dados já está atualizado.");
        }
    }

    private static List<Changeset> missing(Connection connection, List<Changeset> wanted) throws SQLException {
        boolean corrupted = StandIn.command("installer.migration", "ok").equals("checksum");
        List<String> invalid = new ArrayList<>();
        List<Changeset> missing = new ArrayList<>();
        for (Changeset changeset : wanted) {
            String was = Database.value(connection, "select md5sum from tb_migracao where id = ? and filename = ?",
                    changeset.id(), changeset.file());
            if (corrupted && invalid.isEmpty()) {
                was = "8:00000000000000000000000000000000";
            }
            if (was == null) {
                missing.add(changeset);
            } else if (!was.equals(changeset.checksum())) {
                invalid.add("          " + changeset.name() + " was: " + was + " but is now: " + changeset.checksum());
            }
        }
        if (!invalid.isEmpty()) {
            throw new Failure("Validation Failed:\n     " + invalid.size() + " changesets check sum\n" + String.join("\n", invalid));
        }
        return missing;
    }

    private static void run(Connection connection, List<Changeset> missing, Version target) throws SQLException {
        boolean fails = StandIn.command("installer.migration", "ok").equals("fail");
        boolean killed = StandIn.command("installer.outcome", "ok").equals("killed");
        int order = Integer.parseInt(Database.value(connection, "select coalesce(max(orderexecuted), 0) from tb_migracao"));
        connection.setAutoCommit(false);
        for (int i = 0; i < missing.size(); i++) {
            Changeset changeset = missing.get(i);
            if (killed && i == missing.size() / 2) {
                Runtime.getRuntime().halt(137);
            }
            try {
                Database.run(connection, fails && i == missing.size() - 1 ? "select 1 / 0" : changeset.sql());
            } catch (SQLException error) {
                connection.rollback();
                throw new Failure("ChangeSet " + changeset.name() + " encountered an exception.\n" + error.getMessage());
            }
            Database.update(connection, "insert into tb_migracao (id, author, filename, dateexecuted, orderexecuted, exectype, "
                    + "md5sum, description, liquibase, deployment_id) values (?, ?, ?, now(), ?, 'EXECUTED', ?, ?, '4.20.0', ?)",
                    changeset.id(), Changeset.AUTHOR, changeset.file(), ++order, changeset.checksum(), changeset.description(),
                    target.toString());
            connection.commit();
        }
        connection.setAutoCommit(true);
        Log.info(SOURCE, missing.size() + " changesets executados");
    }

    private static void setVersion(Connection connection, Version target) throws SQLException {
        if (Database.pecVersion(connection) == null) {
            Database.update(connection, "insert into tb_config_sistema (co_config_sistema, ds_config_sistema, ds_texto) "
                    + "values ('VERSAOBANCODADOS', 'Versão do banco de dados', ?)", target.toString());
        }
        Database.update(connection, "update tb_config_sistema set ds_texto = ? where co_config_sistema = 'VERSAOBANCODADOS'"
                + " and ds_texto <> ?", target.toString(), target.toString());
    }
}
