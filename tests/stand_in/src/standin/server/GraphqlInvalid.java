// SPDX-License-Identifier: GPL-3.0-or-later
package standin.server;

import java.util.List;

/** A document or its variables are wrong, so that nothing of it is done. */
final class GraphqlInvalid extends RuntimeException {
    static final String VALIDATION = "ValidationError";
    private static final long serialVersionUID = 1L;
    private final String classification;
    private final String[] messages;

    private GraphqlInvalid(String classification, List<String> messages) {
        super(String.join("\n", messages));
        this.classification = classification;
        this.messages = messages.toArray(new String[0]);
    }

    static GraphqlInvalid syntax(String message) {
        return new GraphqlInvalid("InvalidSyntax", List.of(message));
    }

    static GraphqlInvalid validation(List<String> messages) {
        return new GraphqlInvalid(VALIDATION, messages);
    }

    String classification() {
        return classification;
    }

    List<String> messages() {
        return List.of(messages);
    }
}
