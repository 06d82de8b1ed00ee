// SPDX-License-Identifier: GPL-3.0-or-later
package standin.migrator;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.TreeSet;
import standin.common.Version;

/** The changesets that lead from an empty database to a version. */
final class Changelog {
    /** Releases of the evidence; each adds a little. A version that is not here adds its own after those before it. */
    private static final List<String> RELEASES = List.of("5.3.19", "5.3.21", "5.3.26", "5.3.28", "5.4.8", "5.4.9", "5.4.30",
            "5.4.36", "5.4.37", "5.5.22", "5.5.24", "5.5.28");
    private static final int TABLES_A_CHANGESET = 53;

    private Changelog() {
    }

    static List<Changeset> upTo(Version target) {
        List<Changeset> changesets = new ArrayList<>();
        changesets.add(new Changeset("db/base/nucleo.yaml", "nucleo-1", "sqlFile", core()));
        for (int from = 0; from < Schema.TABLES; from += TABLES_A_CHANGESET) {
            int to = Math.min(from + TABLES_A_CHANGESET, Schema.TABLES);
            changesets.add(new Changeset("db/base/estrutura.yaml", "estrutura-" + (from / TABLES_A_CHANGESET + 1),
                    "createTable; createIndex; addForeignKeyConstraint", Schema.tables(from, to)));
        }
        TreeSet<Version> releases = new TreeSet<>();
        RELEASES.forEach(text -> releases.add(Version.parse(text)));
        releases.add(target);
        for (Version release : releases.headSet(target, true)) {
            changesets.addAll(of(release));
        }
        return changesets;
    }

    private static List<Changeset> of(Version release) {
        String tag = String.format("%d%02d%02d", release.major(), release.minor(), release.patch());
        String file = "db/" + release.major() + "." + release.minor() + "/" + release + ".yaml";
        int number = release.major() * 131 + release.minor() * 37 + release.patch();
        String data = "insert into tb_migracao_estrutura (no_estrutura, st_concluida) values ('" + release + "', 1);\n";
        return List.of(
                new Changeset(file, tag + "-1", "createTable; addColumn", Schema.release(tag, number)),
                new Changeset(file, tag + "-2", "insert", data));
    }

    private static String core() {
        try (InputStream stream = Changelog.class.getResourceAsStream("/standin/migrator/core.sql")) {
            return new String(stream.readAllBytes(), StandardCharsets.UTF_8);
        } catch (IOException error) {
            throw new IllegalStateException(error);
        }
    }
}
