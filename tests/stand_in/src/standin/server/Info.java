// SPDX-License-Identifier: GPL-3.0-or-later
package standin.server;

import java.sql.Connection;
import java.sql.SQLException;
import java.util.HashMap;
import java.util.Map;
import java.util.TimeZone;
import standin.common.Database;
import standin.common.StandIn;

/** The query info, which needs no session (contract 4). What "ativado" follows is inferred: the end of the first run [I];
 * so is what "govBREnabled" follows: both of its settings, as they were when the server started [I]; the others follow their
 * settings [I]. */
final class Info {
    private static final Map<String, Configuration> FLAGS = Map.of(
            "internetHabilitada", Configuration.INTERNETHABILITADA,
            "smtpConfigurado", Configuration.SMTPHABILITADO,
            "isPrescricaoDigitalEnabled", Configuration.PRESCRICAODIGITALHABILITADA,
            "anexoArquivosEnabled", Configuration.ANEXOARQUIVOSHABILITADO,
            "buscaCidadaoPorPropriedadesEnabled", Configuration.BUSCACIDADAOPORPROPRIEDADES,
            "cadastroDomiciliarViaCdsEnabled", Configuration.CADASTRODOMICILIARVIACDS);

    private final Database database;
    private final boolean govbr;

    Info(Database database, boolean govbr) {
        this.database = database;
        this.govbr = govbr;
    }

    Map<String, Object> read() throws SQLException {
        Map<String, Object> info = new HashMap<>();
        try (Connection connection = database.connect()) {
            boolean activated = FirstRun.isDone(connection);
            info.put("ativado", activated);
            info.put("linkInstalacaoConfigurado", setting(connection, "LINKINSTALACAO") != null);
            info.put("tipoInstalacao", setting(connection, "TIPOINSTALACAO"));
            info.put("treinamento", "1".equals(Database.value(connection,
                    "select ds_inteiro from tb_config_sistema where co_config_sistema = 'TREINAMENTO'")));
            for (Map.Entry<String, Configuration> flag : FLAGS.entrySet()) {
                info.put(flag.getKey(), flag.getValue().isOn(connection));
            }
        }
        info.put("id", "1");
        info.put("versao", StandIn.version().toString());
        info.put("serverTimezoneOffset", TimeZone.getDefault().getOffset(System.currentTimeMillis()) / 60_000);
        info.put("govBREnabled", govbr);
        for (String flag : new String[] {"firebaseEnabled", "oldPecConnected", "rocksdbEnabled"}) {
            info.put(flag, false);
        }
        info.put("frontendLogLevel", "OFF");
        return info;
    }

    private static String setting(Connection connection, String key) throws SQLException {
        return Database.value(connection, "select ds_texto from tb_config_sistema where co_config_sistema = ?", key);
    }
}
