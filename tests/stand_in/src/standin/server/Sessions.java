// SPDX-License-Identifier: GPL-3.0-or-later
package standin.server;

import java.util.Map;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;

/** Who is logged in; one session a user (contract 4, login). Lost at a restart. */
final class Sessions {
    private final Map<String, Long> users = new ConcurrentHashMap<>();
    private final Map<String, String> selected = new ConcurrentHashMap<>();

    static String token() {
        return UUID.randomUUID().toString();
    }

    Long user(String session) {
        return session == null ? null : users.get(session);
    }

    boolean has(long user) {
        return users.containsValue(user);
    }

    String open(long user) {
        closeAllOf(user);
        String session = token().replace("-", "").toUpperCase();
        users.put(session, user);
        return session;
    }

    void close(String session) {
        if (session != null) {
            users.remove(session);
            selected.remove(session);
        }
    }

    void closeAll() {
        users.clear();
        selected.clear();
    }

    void closeAllOf(long user) {
        users.values().removeIf(other -> other == user);
    }

    void select(String session, String access) {
        selected.put(session, access);
    }

    String selected(String session) {
        return session == null ? null : selected.get(session);
    }
}
