// SPDX-License-Identifier: GPL-3.0-or-later
package standin.common;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.LocalDateTime;
import java.time.format.DateTimeFormatter;

/** Lines as the installer's, "INFO  22/11/26 22:40:00 Shell: text" (contract 1, Output), to the console and to a file. */
public final class Log {
    private static final DateTimeFormatter TIME = DateTimeFormatter.ofPattern("dd/MM/yy HH:mm:ss");
    private static Path file;

    private Log() {
    }

    /** Also write to this file from now on. */
    public static void alsoTo(Path path, String mode) throws IOException {
        Files.createDirectories(path.getParent());
        if (!Files.exists(path)) {
            Files.createFile(path, PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString(mode)));
        }
        file = path;
    }

    public static void info(String source, String text) {
        line("INFO ", source, text);
    }

    public static void error(String source, String text) {
        line("ERROR", source, text);
    }

    public static void raw(String text) {
        System.out.println(text);
        if (file != null) {
            try {
                Files.writeString(file, text + "\n", StandardCharsets.UTF_8, StandardOpenOption.APPEND);
            } catch (IOException error) {
                System.out.println("ERROR cannot write " + file + ": " + error);
            }
        }
    }

    private static synchronized void line(String level, String source, String text) {
        raw(level + " " + LocalDateTime.now().format(TIME) + " " + source + ": " + text);
    }
}
