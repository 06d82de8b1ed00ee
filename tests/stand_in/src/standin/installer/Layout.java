// SPDX-License-Identifier: GPL-3.0-or-later
package standin.installer;

import java.nio.file.Path;
import standin.common.Version;

/** Where things are (contract 2). */
public final class Layout {
    public static final Path HOME = Path.of("/opt/e-SUS");
    public static final Path CONFIG = Path.of("/etc/pec.config");
    /** The real one's log has no known place [?]. */
    public static final Path INSTALLER_LOG = HOME.resolve("logs/instalador.log");

    public static final Path JRE = HOME.resolve("jre");
    public static final Path DATABASE = HOME.resolve("database");
    public static final Path TOOLS = DATABASE.resolve("tools");
    public static final Path WEBSERVER = HOME.resolve("webserver");
    public static final Path CERTMGR = WEBSERVER.resolve("certmgr");
    public static final Path APPLICATION = WEBSERVER.resolve("config/application.properties");
    public static final Path CREDENTIALS = WEBSERVER.resolve("config/credenciais.txt");
    /** Its place is a guess [?]; the file names in it are not. */
    public static final Path BACKUPS = HOME.resolve("backup");

    /** /lib/systemd/system, which is /usr/lib/systemd/system wherever /lib is a link. */
    public static final Path UNITS = Path.of("/lib/systemd/system");
    public static final String PEC_UNIT = "e-SUS-PEC.service";
    public static final String DATABASE_UNIT = "e-SUS-AB-PostgreSQL.service";

    private Layout() {
    }

    /** The name of the Java that the real one brings; here it is a link to the Java that runs this. */
    public static String jreVersion(Version version) {
        boolean old = version.compareTo(new Version(5, 4, 0)) < 0;
        return (old ? "17.0.10" : "17.0.13") + "-linux_x64";
    }
}
