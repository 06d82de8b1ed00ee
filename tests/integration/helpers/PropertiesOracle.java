// SPDX-License-Identifier: GPL-3.0-or-later

import java.io.BufferedReader;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.HexFormat;
import java.util.Properties;
import java.util.StringJoiner;

/**
 * java.util.Properties at the other end of a pipe. A line in is "load FILE" or "store PAIRS"; the line out is the pairs, or the file, or "!"
 * where Java refuses the file. Everything is in hexadecimal: a file by its bytes, a text by its UTF-16 units, pairs as KEY=VALUE,KEY=VALUE.
 */
public final class PropertiesOracle {
    private static final HexFormat HEX = HexFormat.of();

    private PropertiesOracle() {
    }

    public static void main(String[] arguments) throws IOException {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.US_ASCII));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            String[] words = line.split(" ", -1);
            System.out.println(words[0].equals("load") ? load(words[1]) : store(words[1]));
        }
    }

    private static String load(String file) throws IOException {
        Properties properties = new Properties();
        try {
            properties.load(new ByteArrayInputStream(HEX.parseHex(file)));
        } catch (IllegalArgumentException malformed) {
            return "!";
        }
        StringJoiner pairs = new StringJoiner(",");
        for (String key : properties.stringPropertyNames()) {
            pairs.add(hex(key) + "=" + hex(properties.getProperty(key)));
        }
        return pairs.toString();
    }

    private static String store(String pairs) throws IOException {
        Properties properties = new Properties();
        for (String pair : pairs.isEmpty() ? new String[0] : pairs.split(",")) {
            String[] both = pair.split("=", -1);
            properties.setProperty(text(both[0]), text(both[1]));
        }
        ByteArrayOutputStream file = new ByteArrayOutputStream();
        properties.store(file, "made by Java\nfor a test: \u00e7\u00e3\u20ac");
        return HEX.formatHex(file.toByteArray());
    }

    private static String hex(String text) {
        StringBuilder units = new StringBuilder();
        for (char unit : text.toCharArray()) {
            units.append(HEX.toHexDigits(unit));
        }
        return units.toString();
    }

    private static String text(String units) {
        StringBuilder text = new StringBuilder();
        for (int index = 0; index < units.length(); index += 4) {
            text.append((char) HexFormat.fromHexDigits(units.substring(index, index + 4)));
        }
        return text.toString();
    }
}
