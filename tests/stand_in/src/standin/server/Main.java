// SPDX-License-Identifier: GPL-3.0-or-later
package standin.server;

import java.io.IOException;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.sql.Connection;
import java.sql.SQLException;
import standin.common.Database;
import standin.common.Log;
import standin.common.StandIn;

/** pec-bundle.jar: checks the database's version, then serves. */
public final class Main {
    private Main() {
    }

    public static void main(String[] arguments) throws Exception {
        Path home = Path.of(Main.class.getProtectionDomain().getCodeSource().getLocation().toURI()).getParent();
        Log.alsoTo(home.resolve("logs/pec.log"), "rw-r--r--");
        Log.info("PEC", StandIn.NOTICE);
        Log.info("PEC", "Iniciando a versão " + StandIn.version());
        Settings settings = Settings.load(home);
        StandIn.sleepAsCommanded("server.start_seconds");
        if (StandIn.command("server.start", "ok").equals("never")) {
            Log.info("PEC", "Este servidor não vai atender: server.start = never");
            Thread.currentThread().join();
        }
        if (!databaseFits(settings.database())) {
            System.exit(1);
        }
        try {
            new Web(settings, new Graphql(settings)).start();
        } catch (IOException | GeneralSecurityException | NumberFormatException error) {
            Log.error("PEC", "Falha ao iniciar o servidor: " + error);
            System.exit(1);
        }
        Log.info("PEC", "Atendendo em " + (settings.secure() ? "https" : "http") + " na porta " + settings.port());
    }

    /** Contract 6.1; in the log the last two lines have no accents. */
    private static boolean databaseFits(Database database) {
        String expected = StandIn.version().toString();
        try (Connection connection = database.connect()) {
            String found = Database.pecVersion(connection);
            if (expected.equals(found)) {
                return true;
            }
            Log.error("PEC", "O PEC e o seu banco de dados não estão na mesma versão.");
            Log.error("PEC", "Versao do PEC esperada no banco de dados: " + expected);
            Log.error("PEC", "Versao encontrada: " + found);
        } catch (SQLException error) {
            Log.error("PEC", "Não foi possível conectar ao banco de dados: " + error.getMessage());
        }
        return false;
    }
}
