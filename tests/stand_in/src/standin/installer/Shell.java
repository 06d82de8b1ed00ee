// SPDX-License-Identifier: GPL-3.0-or-later
package standin.installer;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import standin.common.Failure;
import standin.common.Log;

/** Runs programs, and says so with every argument, secrets included, as the real one does (contract 1). */
public final class Shell {
    private Shell() {
    }

    public record Result(int code, String output) {
    }

    public static Result run(String... command) throws IOException {
        return run(Map.of(), command);
    }

    public static Result run(Map<String, String> environment, String... command) throws IOException {
        Log.info("Shell", "Executando: " + String.join(" ", command));
        ProcessBuilder builder = new ProcessBuilder(List.of(command)).redirectErrorStream(true);
        builder.environment().putAll(environment);
        Process process = builder.start();
        process.getOutputStream().close();
        String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        try {
            return new Result(process.waitFor(), output);
        } catch (InterruptedException error) {
            throw new IOException(error);
        }
    }

    /** Fails with the program's own words. */
    public static String need(String... command) throws IOException {
        return need(Map.of(), command);
    }

    public static String need(Map<String, String> environment, String... command) throws IOException {
        Result result = run(environment, command);
        if (result.code() != 0) {
            throw new Failure("Falha ao executar " + command[0] + " (código " + result.code() + "):\n" + result.output().strip());
        }
        return result.output();
    }

    /** Runs a program of this Java, passing its output on; returns its exit code. */
    public static int java(String... arguments) throws IOException {
        String[] command = new String[arguments.length + 1];
        command[0] = System.getProperty("java.home") + "/bin/java";
        System.arraycopy(arguments, 0, command, 1, arguments.length);
        Result result = run(command);
        Log.raw(result.output().stripTrailing());
        return result.code();
    }
}
