// SPDX-License-Identifier: GPL-3.0-or-later
package br.gov.saude.esus.installers.core;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import standin.common.Log;
import standin.installer.Shell;

/** The checks of contract 1, "Checks", under the class name that the real one has in stack traces. */
public final class EsusValidator {
    static final String NOT_ROOT = "Esta ferramenta necessita executar com privilégios de administrador.";
    static final String NOT_LINUX = "Esta ferramenta suporta apenas sistemas operacionais da família Linux.";
    /** Only its beginning, "Essa ferramenta suporta apenas d", is known [S]. */
    static final String NOT_SYSTEMD = "Essa ferramenta suporta apenas distribuições que utilizam systemd.";
    /** A guess [?]. */
    static final String NOT_64_BIT = "Esta ferramenta suporta apenas sistemas operacionais de 64 bits.";

    private EsusValidator() {
    }

    /**
     * What forbids an installation here. The systemd check runs with an external database too: the sources disagree
     * about that, and this is the stricter reading.
     */
    public static List<String> validateEnviroment() {
        if (!isRoot()) {
            return List.of(NOT_ROOT);
        }
        List<String> errors = new ArrayList<>();
        if (!System.getProperty("os.name").equals("Linux")) {
            errors.add(NOT_LINUX);
        }
        if (!answer("ps --no-headers -o comm 1").trim().equals("systemd")) {
            errors.add(NOT_SYSTEMD);
        }
        if (!answer("file -L /sbin/init").contains("64-bit")) {
            errors.add(NOT_64_BIT);
        }
        return errors;
    }

    /** In "/" the real one loses its working directory and then takes the failed command for a missing privilege. */
    private static boolean isRoot() {
        return answer("id -u").trim().equals("0");
    }

    private static String answer(String command) {
        try {
            if (System.getProperty("user.dir").equals("/")) {
                throw new IOException("Cannot run program \"/bin/sh\" (in directory \"\"): error=2, No such file or directory");
            }
            return Shell.run("/bin/sh", "-c", command).output();
        } catch (IOException error) {
            Log.error("Shell", error.getMessage());
            return "";
        }
    }
}
