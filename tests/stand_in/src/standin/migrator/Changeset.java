// SPDX-License-Identifier: GPL-3.0-or-later
package standin.migrator;

import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.util.HexFormat;

/** One Liquibase changeset: a row of tb_migracao once it ran. */
record Changeset(String file, String id, String description, String sql) {
    static final String AUTHOR = "esus";

    /** As Liquibase names it in its messages. */
    String name() {
        return file + "::" + id + "::" + AUTHOR;
    }

    String checksum() {
        try {
            byte[] digest = MessageDigest.getInstance("MD5").digest(sql.getBytes(StandardCharsets.UTF_8));
            return "8:" + HexFormat.of().formatHex(digest);
        } catch (GeneralSecurityException error) {
            throw new IllegalStateException(error);
        }
    }
}
