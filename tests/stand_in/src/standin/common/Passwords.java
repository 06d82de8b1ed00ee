// SPDX-License-Identifier: GPL-3.0-or-later
package standin.common;

import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.security.SecureRandom;
import java.util.Base64;
import javax.crypto.SecretKeyFactory;
import javax.crypto.spec.PBEKeySpec;

/** tb_usuario.ds_senha, "sha256:64000:32:salt:hash" with PBKDF2 (contract 3); base64 of a 24 byte salt is a guess [I]. */
public final class Passwords {
    private static final int ITERATIONS = 64_000;
    private static final int BYTES = 32;
    private static final String ALPHABET = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnpqrstuvwxyz23456789";
    private static final SecureRandom RANDOM = new SecureRandom();

    private Passwords() {
    }

    public static String random(int length) {
        StringBuilder text = new StringBuilder();
        for (int i = 0; i < length; i++) {
            text.append(ALPHABET.charAt(RANDOM.nextInt(ALPHABET.length())));
        }
        return text.toString();
    }

    public static String hash(String password) {
        byte[] salt = new byte[24];
        RANDOM.nextBytes(salt);
        Base64.Encoder base64 = Base64.getEncoder();
        return "sha256:" + ITERATIONS + ":" + BYTES + ":" + base64.encodeToString(salt) + ":"
                + base64.encodeToString(derive(password, salt, ITERATIONS, BYTES));
    }

    public static boolean matches(String password, String stored) {
        String[] parts = stored == null ? new String[0] : stored.split(":");
        if (parts.length != 5 || !parts[0].equals("sha256")) {
            return false;
        }
        Base64.Decoder base64 = Base64.getDecoder();
        byte[] found = derive(password, base64.decode(parts[3]), Integer.parseInt(parts[1]), Integer.parseInt(parts[2]));
        return MessageDigest.isEqual(found, base64.decode(parts[4]));
    }

    private static byte[] derive(String password, byte[] salt, int iterations, int bytes) {
        try {
            PBEKeySpec key = new PBEKeySpec(password.toCharArray(), salt, iterations, bytes * 8);
            return SecretKeyFactory.getInstance("PBKDF2WithHmacSHA256").generateSecret(key).getEncoded();
        } catch (GeneralSecurityException error) {
            throw new IllegalStateException(error);
        }
    }
}
