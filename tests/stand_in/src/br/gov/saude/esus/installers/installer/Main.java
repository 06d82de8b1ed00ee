// SPDX-License-Identifier: GPL-3.0-or-later
package br.gov.saude.esus.installers.installer;

import br.gov.saude.esus.installers.core.EsusValidator;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.sql.SQLException;
import java.util.List;
import standin.common.Failure;
import standin.common.Log;
import standin.common.StandIn;
import standin.installer.Installer;
import standin.installer.Layout;
import standin.installer.Options;

/** java -jar eSUS-AB-PEC-VERSION-Linux64.jar: options, questions and checks; Installer does the rest. */
public final class Main {
    /** Exit codes are guesses [?], except that failures are not zero [S]. 2 is what picocli uses for a wrong command line. */
    private static final int FAILED = 1;
    private static final int WRONG_USAGE = 2;

    private Main() {
    }

    public static void main(String[] arguments) {
        System.exit(run(arguments));
    }

    private static int run(String[] arguments) {
        Options options;
        try {
            options = Options.parse(arguments);
        } catch (Failure error) {
            System.err.println(error.getMessage());
            System.err.println(Options.USAGE);
            return WRONG_USAGE;
        }
        if (options.has("-help")) {
            System.out.println(Options.USAGE);
            return 0;
        }
        if (!options.has("-console") && System.getenv("DISPLAY") == null) {
            System.err.println("Exception in thread \"main\" java.awt.HeadlessException: \nNo X11 DISPLAY variable was set,\n"
                    + "or no headful library support was found,\nbut this program performed an operation which requires it,");
            return FAILED;
        }
        Log.info("Main", StandIn.NOTICE);
        Log.info("Main", "Instalador e-SUS APS PEC " + StandIn.version());
        // The real one's output carries secrets too (contract 1).
        Log.info("Main", "Parâmetros: " + String.join(" ", arguments));
        return checkAndInstall(options);
    }

    private static int checkAndInstall(Options options) {
        List<String> errors = EsusValidator.validateEnviroment();
        if (!errors.isEmpty()) {
            errors.forEach(error -> Log.error("EsusValidator", error));
            return FAILED;
        }
        try {
            if (!options.has("-continue") && !agreed()) {
                Log.info("Main", "Operação cancelada.");
                return FAILED;
            }
            Log.alsoTo(Layout.INSTALLER_LOG, "rw-------");
            new Installer(options).run();
            return 0;
        } catch (Failure error) {
            Log.error("Main", error.getMessage());
        } catch (IOException | SQLException | RuntimeException error) {
            StringWriter trace = new StringWriter();
            error.printStackTrace(new PrintWriter(trace));
            Log.error("Main", trace.toString());
        }
        return FAILED;
    }

    /** Without -continue the real one asks and takes S or s (contract 1); its wording is a guess [?]. */
    private static boolean agreed() throws IOException {
        System.out.print("Deseja continuar? (S/N): ");
        System.out.flush();
        String answer = new BufferedReader(new InputStreamReader(System.in)).readLine();
        return answer != null && answer.trim().equalsIgnoreCase("S");
    }
}
