// SPDX-License-Identifier: GPL-3.0-or-later
package standin.common;

/** Something that a user is told about, without a stack trace. */
public class Failure extends RuntimeException {
    private static final long serialVersionUID = 1L;

    public Failure(String message) {
        super(message);
    }
}
