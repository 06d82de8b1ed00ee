// SPDX-License-Identifier: GPL-3.0-or-later
package standin.installer;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import standin.common.Failure;

/** The options of contract 1. -cert-domain and -cert-port work and are absent from the help text, as in the real one. */
public record Options(Map<String, String> values) {
    public static final String USAGE = """
            Usage: java -jar eSUS-AB-PEC.jar [-backup] [-console] [-continue] [-help] [-treinamento]
                       [-password=<password>] [-restore=<dump>] [-url=<url>] [-username=<username>]
              -backup                realiza o backup antes da atualização
              -console               executa sem interface gráfica
              -continue              não pergunta
              -help                  mostra esta ajuda
              -password=<password>   senha do banco de dados
              -restore=<dump>        restaura um backup
              -treinamento           instala para treinamento
              -url=<url>             url JDBC do banco de dados
              -username=<username>   usuário do banco de dados

              (substituto de testes: não é o PEC)""";
    private static final List<String> FLAGS = List.of("-backup", "-console", "-continue", "-help", "-treinamento");
    private static final List<String> DATABASE = List.of("-url", "-username", "-password");
    private static final List<String> OTHERS = List.of("-restore", "-cert-domain", "-cert-port");

    public static Options parse(String[] arguments) {
        Map<String, String> values = new LinkedHashMap<>();
        for (int i = 0; i < arguments.length; i++) {
            String argument = arguments[i];
            int equals = argument.indexOf('=');
            String name = equals < 0 ? argument : argument.substring(0, equals);
            if (!argument.startsWith("-")) {
                throw new Failure("Unmatched argument at index " + i + ": '" + argument + "'");
            }
            if (FLAGS.contains(argument)) {
                values.put(argument, "");
            } else if (equals > 0 && (DATABASE.contains(name) || OTHERS.contains(name))) {
                values.put(name, argument.substring(equals + 1));
            } else {
                throw new Failure("Unknown option: '" + name + "'");
            }
        }
        boolean any = DATABASE.stream().anyMatch(values::containsKey);
        if (any && !values.keySet().containsAll(DATABASE)) {
            throw new Failure("-url, -username e -password devem ser informados juntos");
        }
        return new Options(values);
    }

    public boolean has(String name) {
        return values.containsKey(name);
    }

    public String get(String name) {
        return values.get(name);
    }
}
