// SPDX-License-Identifier: GPL-3.0-or-later
package standin.server;

import com.sun.net.httpserver.HttpsConfigurator;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.security.GeneralSecurityException;
import java.security.KeyStore;
import java.util.Collections;
import java.util.List;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;

/** TLS from server.ssl.*; JKS unless key-store-type says otherwise (contract 2). A wrong value keeps the server from starting. */
final class Https {
    private Https() {
    }

    static HttpsConfigurator configurator(Settings settings) throws IOException, GeneralSecurityException {
        char[] password = settings.get("server.ssl.key-store-password", "").toCharArray();
        KeyStore store = KeyStore.getInstance(settings.get("server.ssl.key-store-type", "JKS"));
        try (InputStream stream = Files.newInputStream(settings.keyStore())) {
            store.load(stream, password);
        }
        String alias = settings.get("server.ssl.key-alias", null);
        List<String> aliases = Collections.list(store.aliases());
        if (alias != null) {
            if (!store.isKeyEntry(alias)) {
                throw new GeneralSecurityException("Alias name [" + alias + "] does not identify a key entry");
            }
            for (String other : aliases) {
                if (store.isKeyEntry(other) && !other.equalsIgnoreCase(alias)) {
                    store.deleteEntry(other);
                }
            }
        }
        KeyManagerFactory keys = KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
        keys.init(store, password);
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(keys.getKeyManagers(), null, null);
        return new HttpsConfigurator(context);
    }
}
