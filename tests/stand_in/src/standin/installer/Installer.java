// SPDX-License-Identifier: GPL-3.0-or-later
package standin.installer;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.Map;
import standin.common.Database;
import standin.common.Failure;
import standin.common.Log;
import standin.common.Passwords;
import standin.common.StandIn;
import standin.common.Version;

/** Installs or updates. The order of its steps, and that it stops, enables and starts PEC itself, are guesses [?]. */
public final class Installer {
    private static final String SOURCE = "Installer";
    private final Options options;
    private final String outcome = StandIn.command("installer.outcome", "ok");
    private boolean update;

    public Installer(Options options) {
        this.options = options;
    }

    public void run() throws IOException, SQLException {
        Map<String, Object> found = PecConfig.read();
        boolean pecUnit = Files.exists(Layout.UNITS.resolve(Layout.PEC_UNIT));
        update = !found.isEmpty() || pecUnit || BundledPostgres.unitExists();
        Log.info(SOURCE, (update ? "Atualização" : "Instalação") + " da versão " + StandIn.version() + " em " + Layout.HOME);
        Database custom = customDatabase(found);
        if (custom != null) {
            Log.info(SOURCE, "Um Banco de Dados foi configurado manualmente");
        }
        if (outcome.equals("nothing")) {
            finish();
            return;
        }
        if (custom != null) {
            refuseNewer(custom);
        } else if (update && BundledPostgres.unitExists()) {
            new BundledPostgres().start();
            Database known = Webserver.configured();
            if (known != null && answers(known)) {
                refuseNewer(known);
            }
        }
        if (update && options.has("-backup")) {
            new Dumps(custom != null ? custom : Webserver.configured()).backup();
        }
        if (update && pecUnit) {
            Shell.need("systemctl", "stop", Layout.PEC_UNIT);
        }
        PecConfig.write(false, production(found), custom);
        install(custom, production(found));
        finish();
    }

    private void install(Database custom, boolean production) throws IOException, SQLException {
        Webserver.installJava();
        Webserver.installTools();
        Database database = custom != null ? custom : bundledDatabase();
        StandIn.sleepAsCommanded("installer.seconds");
        // That the installer may succeed without having restored is a failure of the real one (contract 1, Exit codes).
        if (options.has("-restore") && StandIn.command("installer.restore", "apply").equals("apply")) {
            new Dumps(database).restore(Path.of(options.get("-restore")));
        }
        migrate(database);
        if (options.has("-treinamento")) {
            try (Connection connection = database.connect()) {
                Database.update(connection, "update tb_config_sistema set ds_inteiro = 1, ds_texto = null"
                        + " where co_config_sistema = 'TREINAMENTO'");
            }
        }
        if (custom == null) {
            BundledPostgres.grantReading(database);
        }
        Webserver.installPrograms();
        Webserver.configure(database);
        if (options.has("-cert-domain")) {
            Webserver.certify(options.get("-cert-domain"), options.has("-cert-port") ? options.get("-cert-port") : "443");
        }
        PecConfig.write(true, production, custom);
        startService();
    }

    /** The options' database, or the external one of the last time; null for the bundled. */
    private Database customDatabase(Map<String, Object> found) {
        if (options.has("-url")) {
            return new Database(options.get("-url"), options.get("-username"), options.get("-password"));
        }
        if (Boolean.TRUE.equals(found.get("customDatabase")) && found.get("databaseUrl") != null) {
            return new Database((String) found.get("databaseUrl"), (String) found.get("databaseUsername"),
                    (String) found.get("databasePassword"));
        }
        return null;
    }

    private boolean production(Map<String, Object> found) {
        return !options.has("-treinamento") && !Boolean.FALSE.equals(found.get("production"));
    }

    private void refuseNewer(Database database) {
        try (Connection connection = database.connect()) {
            String version = Database.pecVersion(connection);
            if (version != null && Version.parse(version).compareTo(StandIn.version()) > 0) {
                throw new Failure("A versão do banco de dados (" + version + ") é mais recente do que a deste instalador ("
                        + StandIn.version() + "). Não é possível prosseguir.");
            }
        } catch (SQLException error) {
            throw new Failure("Não foi possível conectar ao banco de dados: " + error.getMessage());
        }
    }

    /** Passwords are in their files before the cluster is made, so that a run that was killed can be taken up again. */
    private Database bundledDatabase() throws IOException, SQLException {
        Database known = Webserver.configured();
        boolean ours = known != null && known.url().equals(BundledPostgres.URL);
        if (update && ours && Files.exists(Layout.CREDENTIALS) && BundledPostgres.unitExists() && answers(known)) {
            return known;
        }
        Database database = new Database(BundledPostgres.URL, "postgres", ours ? known.password() : Passwords.random(20));
        String readingPassword = Passwords.random(20);
        Webserver.configure(database);
        Webserver.writeCredentials(database, readingPassword);
        BundledPostgres postgres = new BundledPostgres();
        postgres.install(database.password());
        postgres.createDatabase(database.password(), readingPassword);
        return database;
    }

    private static boolean answers(Database database) {
        try (Connection connection = database.connect()) {
            return connection.isValid(1);
        } catch (SQLException error) {
            return false;
        }
    }

    /** A process of its own, with the password in its arguments, as evidenced for migrador.jar (contract 2, Tree). */
    private void migrate(Database database) throws IOException {
        int code = Shell.java("-jar", Layout.TOOLS.resolve("migrador.jar").toString(), "-url=" + database.url(),
                "-username=" + database.username(), "-password=" + database.password());
        if (outcome.equals("killed")) {
            Shell.run("/bin/sh", "-c", "kill -KILL $PPID");
        }
        if (code != 0) {
            throw new Failure("Falha ao migrar o Banco de Dados.");
        }
    }

    /** With an external database the real one may leave the unit out (contract 2, Units); here only on command. */
    private void startService() throws IOException {
        if (StandIn.command("installer.unit", "install").equals("omit")) {
            return;
        }
        Tree.write(Layout.UNITS.resolve(Layout.PEC_UNIT), Webserver.unit(), "rw-r--r--");
        Shell.need("systemctl", "daemon-reload");
        Shell.need("systemctl", "enable", Layout.PEC_UNIT);
        Shell.need("systemctl", "start", Layout.PEC_UNIT);
    }

    /** The real line is not known [?]. */
    private void finish() {
        Log.info(SOURCE, update ? "Atualização finalizada." : "Instalação finalizada.");
    }
}
