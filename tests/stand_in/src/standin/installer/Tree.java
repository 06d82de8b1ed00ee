// SPDX-License-Identifier: GPL-3.0-or-later
package standin.installer;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.zip.ZipEntry;
import java.util.zip.ZipInputStream;

/** Files of the installation: out of the jar, out of its archives, or written. */
final class Tree {
    private Tree() {
    }

    static boolean contains(String entry) {
        return Tree.class.getResource("/container/" + entry) != null;
    }

    static String text(String entry) throws IOException {
        try (InputStream stream = open(entry)) {
            return new String(stream.readAllBytes(), StandardCharsets.UTF_8);
        }
    }

    /** Never into the file that is there: a Java that runs from a jar does not survive that. */
    static void copy(String entry, Path to) throws IOException {
        Files.createDirectories(to.getParent());
        try (InputStream stream = open(entry)) {
            Files.copy(stream, to, StandardCopyOption.REPLACE_EXISTING);
        }
    }

    /** Programs are what lies in a directory bin. */
    static void unzip(String entry, Path directory) throws IOException {
        try (ZipInputStream zip = new ZipInputStream(open(entry))) {
            for (ZipEntry item = zip.getNextEntry(); item != null; item = zip.getNextEntry()) {
                Path path = directory.resolve(item.getName()).normalize();
                if (item.isDirectory()) {
                    Files.createDirectories(path);
                    continue;
                }
                Files.createDirectories(path.getParent());
                Files.copy(zip, path, StandardCopyOption.REPLACE_EXISTING);
                mode(path, path.getParent().endsWith("bin") ? "rwxr-xr-x" : "rw-r--r--");
            }
        }
    }

    static void write(Path path, String text, String mode) throws IOException {
        write(path, text.getBytes(StandardCharsets.UTF_8), mode);
    }

    static void write(Path path, byte[] bytes, String mode) throws IOException {
        Files.createDirectories(path.getParent());
        Files.deleteIfExists(path);
        Files.createFile(path, PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------")));
        Files.write(path, bytes);
        mode(path, mode);
    }

    static void link(Path link, Path target) throws IOException {
        Files.createDirectories(link.getParent());
        Files.deleteIfExists(link);
        Files.createSymbolicLink(link, target);
    }

    static void mode(Path path, String mode) throws IOException {
        Files.setPosixFilePermissions(path, PosixFilePermissions.fromString(mode));
    }

    private static InputStream open(String entry) throws IOException {
        InputStream stream = Tree.class.getResourceAsStream("/container/" + entry);
        if (stream == null) {
            throw new IOException("the installer has no container/" + entry);
        }
        return stream;
    }
}
