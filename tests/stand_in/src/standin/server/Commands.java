// SPDX-License-Identifier: GPL-3.0-or-later
package standin.server;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.util.HashSet;
import java.util.Set;
import standin.common.Log;
import standin.common.StandIn;

/** What the command file says about operations of the API; read at each request. An operation's name begins as one likes, big or small. */
final class Commands {
    private static final String REFUSAL = "Não foi possível concluir a operação";
    private static final Path MARKERS = Path.of("/run");
    private static final long PATIENCE = 30_000;

    private Commands() {
    }

    /** Root fields, and fields as root.field. */
    static Set<String> unknown() {
        return names("api.unknown");
    }

    static boolean ignores(String operation) {
        return names("api.ignore").contains(operation);
    }

    static void refuse(String operation) {
        Graphql.require(!names("api.refuse").contains(operation), StandIn.command("api.refuse_message", REFUSAL));
    }

    static boolean losesSession(String operation) {
        return isFirst("api.session_lost_on", operation);
    }

    /** Does not come back when PEC is to be restarted: this process ends, and its connections with it. */
    static void restart(String operation) {
        if (!isFirst("api.restart_on", operation)) {
            return;
        }
        Log.info("Commands", "api.restart_on = " + operation);
        try {
            new ProcessBuilder("systemctl", "--no-block", "restart", "e-SUS-PEC").inheritIO().start().waitFor();
            Thread.sleep(PATIENCE);
        } catch (IOException error) {
            Log.error("Commands", error.toString());
        } catch (InterruptedException error) {
            Thread.currentThread().interrupt();
        }
        throw new Call.Abandoned();
    }

    /** Once for each time that the command file is written: then it is newer than the marker that the last time left. */
    private static synchronized boolean isFirst(String key, String operation) {
        if (!names(key).contains(operation)) {
            return false;
        }
        Path marker = MARKERS.resolve("pec-stand-in." + key);
        try {
            FileTime written = Files.getLastModifiedTime(StandIn.COMMANDS);
            if (Files.exists(marker) && Files.readString(marker).equals(written.toString())) {
                return false;
            }
            Files.writeString(marker, written.toString());
            return true;
        } catch (IOException error) {
            throw new IllegalStateException(error);
        }
    }

    private static Set<String> names(String key) {
        Set<String> names = new HashSet<>();
        for (String name : StandIn.command(key, "").split("[,\\s]+")) {
            if (!name.isEmpty()) {
                names.add(name.substring(0, 1).toLowerCase() + name.substring(1));
            }
        }
        return names;
    }
}
