// SPDX-License-Identifier: GPL-3.0-or-later
package standin.common;

import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.Properties;
import org.postgresql.Driver;
import org.postgresql.util.GT;

/** How the installer, the migrator and the server reach PostgreSQL: with a driver too old for SCRAM (contract 6.2). */
public record Database(String url, String username, String password) {
    private static final int PROTOCOL = 196_608;
    private static final int AUTHENTICATION_SASL = 10;
    private static final int MILLISECONDS = 10_000;

    public Connection connect() throws SQLException {
        refuseScram();
        Properties properties = new Properties();
        properties.setProperty("user", username);
        properties.setProperty("password", password);
        properties.setProperty("loginTimeout", "15");
        Connection connection = new Driver().connect(url, properties);
        if (connection == null) {
            throw new SQLException("No suitable driver found for " + url);
        }
        return connection;
    }

    /** Many statements in one round trip. */
    public static void run(Connection connection, String sql) throws SQLException {
        try (Statement statement = connection.createStatement()) {
            statement.setEscapeProcessing(false);
            statement.execute(sql);
        }
    }

    /** The first column of the first row, or null. */
    public static String value(Connection connection, String sql, Object... parameters) throws SQLException {
        try (PreparedStatement statement = prepare(connection, sql, parameters); ResultSet rows = statement.executeQuery()) {
            return rows.next() ? rows.getString(1) : null;
        }
    }

    public static int update(Connection connection, String sql, Object... parameters) throws SQLException {
        try (PreparedStatement statement = prepare(connection, sql, parameters)) {
            return statement.executeUpdate();
        }
    }

    /** The PEC version that this database is of; null when it is not PEC's. */
    public static String pecVersion(Connection connection) throws SQLException {
        if (value(connection, "select to_regclass('public.tb_config_sistema')::text") == null) {
            return null;
        }
        return value(connection, "select ds_texto from tb_config_sistema where co_config_sistema = 'VERSAOBANCODADOS'");
    }

    private static PreparedStatement prepare(Connection connection, String sql, Object... parameters) throws SQLException {
        PreparedStatement statement = connection.prepareStatement(sql);
        for (int i = 0; i < parameters.length; i++) {
            statement.setObject(i + 1, parameters[i]);
        }
        return statement;
    }

    /** Ask the server as the driver would; when it wants SASL say what the real, older driver says, in its translation. */
    private void refuseScram() throws SQLException {
        if (!StandIn.command("driver.scram", "refuse").equals("refuse") || !url.startsWith("jdbc:postgresql://")) {
            return;
        }
        URI address = URI.create(url.substring("jdbc:".length()));
        int port = address.getPort() < 0 ? 5432 : address.getPort();
        String path = address.getPath() == null || address.getPath().length() < 2 ? "/" + username : address.getPath();
        try (Socket socket = new Socket()) {
            socket.connect(new InetSocketAddress(address.getHost(), port), MILLISECONDS);
            socket.setSoTimeout(MILLISECONDS);
            if (authenticationAsked(socket, path.substring(1)) == AUTHENTICATION_SASL) {
                throw new SQLException(GT.tr("The authentication type {0} is not supported. Check that you have configured "
                        + "the pg_hba.conf file to include the client''s IP address or subnet, and that it is using an "
                        + "authentication scheme supported by the driver.", AUTHENTICATION_SASL));
            }
        } catch (IOException ignored) {
            // The driver meets the same obstacle next and reports it in its own words.
            return;
        }
    }

    private int authenticationAsked(Socket socket, String database) throws IOException {
        byte[] parameters = ("user\0" + username + "\0database\0" + database + "\0\0").getBytes(StandardCharsets.UTF_8);
        DataOutputStream out = new DataOutputStream(socket.getOutputStream());
        out.writeInt(8 + parameters.length);
        out.writeInt(PROTOCOL);
        out.write(parameters);
        out.flush();
        DataInputStream in = new DataInputStream(socket.getInputStream());
        if (in.readByte() != 'R') {
            return -1;
        }
        in.readInt();
        return in.readInt();
    }
}
