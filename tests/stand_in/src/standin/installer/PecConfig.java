// SPDX-License-Identifier: GPL-3.0-or-later
package standin.installer;

import java.io.IOException;
import java.nio.file.Files;
import java.util.LinkedHashMap;
import java.util.Map;
import standin.common.Database;
import standin.common.Json;
import standin.common.StandIn;

/**
 * /etc/pec.config: keys and spacing of contract 2. The database keys are evidenced for an external database only; with the
 * bundled one they are left out here [?], and so is what the file's mode really is. "success" : false until the end is [I].
 */
final class PecConfig {
    private PecConfig() {
    }

    static Map<String, Object> read() throws IOException {
        return Files.exists(Layout.CONFIG) ? Json.object(Json.parse(Files.readString(Layout.CONFIG))) : Map.of();
    }

    static void write(boolean success, boolean production, Database custom) throws IOException {
        String jre = Layout.jreVersion(StandIn.version());
        Map<String, Object> values = new LinkedHashMap<>();
        values.put("success", success);
        values.put("directory", Layout.HOME.toString());
        values.put("version", StandIn.version().toString());
        values.put("production", production);
        values.put("customDatabase", custom != null);
        if (custom != null) {
            values.put("databaseUrl", custom.url());
            values.put("databaseUsername", custom.username());
            values.put("databasePassword", custom.password());
        }
        values.put("jreVersion", jre);
        values.put("jreDirectory", Layout.JRE.resolve(jre).toString());
        values.put("webserverVersion", StandIn.version().toString());
        values.put("webserverDirectory", Layout.WEBSERVER.toString());
        Tree.write(Layout.CONFIG, Json.lines(values), "rw-r--r--");
    }
}
