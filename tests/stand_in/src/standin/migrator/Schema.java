// SPDX-License-Identifier: GPL-3.0-or-later
package standin.migrator;

import java.util.List;

/**
 * Tables in the shape and number of the real schema (contract 3: 1101 tables on 5.4), the same in every run: a primary
 * key from a sequence, a few columns of mixed types, two more indexes and two foreign keys each. Their names are invented.
 */
final class Schema {
    static final int TABLES = 1060;
    private static final String[] SUBJECTS = {
        "cidadao", "atend", "exame", "vacina", "receita", "medicamento", "domicilio", "familia", "equipe", "lotacao",
        "agenda", "consulta", "problema", "alergia", "procedimento", "odonto", "gestante", "crianca", "puericultura", "visita",
        "marcador", "ficha", "transmissao", "unidade", "profissional", "perfil", "recurso", "auditoria", "certificado", "notificacao",
    };
    private static final String[] ASPECTS = {
        "tipo", "historico", "situacao", "registro", "item", "detalhe", "grupo", "motivo", "resultado", "cfg", "anexo", "classe",
    };
    private static final String[] PREFIXES = {"tb", "tb", "tb", "rl", "ta", "tb"};

    private Schema() {
    }

    static String name(int number) {
        String subject = SUBJECTS[number % SUBJECTS.length];
        String aspect = ASPECTS[number / SUBJECTS.length % ASPECTS.length];
        int round = number / (SUBJECTS.length * ASPECTS.length);
        return PREFIXES[number % PREFIXES.length] + "_" + subject + "_" + aspect + (round == 0 ? "" : "_" + round);
    }

    /** The tables from, up to but without to; each refers to earlier ones. */
    static String tables(int from, int to) {
        StringBuilder sql = new StringBuilder();
        for (int number = from; number < to; number++) {
            String first = number == 0 ? "tb_prof" : name(number * 7 / 11);
            String second = number % 9 == 0 ? "tb_cidadao" : name(number / 3);
            sql.append(table(name(number), number, List.of(first, second)));
        }
        return sql.toString();
    }

    /** What one release adds: three tables and a column. */
    static String release(String tag, int number) {
        StringBuilder sql = new StringBuilder();
        for (int i = 0; i < 3; i++) {
            String name = "tb_novidade_" + tag + "_" + (char) ('a' + i);
            sql.append(table(name, number + i, List.of("tb_cidadao", name(number % TABLES))));
        }
        return sql.append("alter table ").append(name(number % TABLES)).append(" add column ds_").append(tag)
                .append(" varchar(100);\n").toString();
    }

    private static String table(String name, int number, List<String> parents) {
        String bare = name.substring(name.indexOf('_') + 1);
        StringBuilder sql = new StringBuilder();
        sql.append("create sequence seq_").append(name).append(";\n");
        sql.append("create table ").append(name).append(" (co_seq_").append(bare).append(" bigint default nextval('seq_")
                .append(name).append("') constraint pk_").append(name).append(" primary key");
        sql.append(", no_").append(bare).append(" varchar(255) not null");
        sql.append(", st_ativo integer default 1 not null, dt_registro timestamp");
        sql.append(number % 2 == 0 ? ", nu_ordem integer" : ", nu_valor numeric(12, 2)");
        if (number % 4 == 0) {
            sql.append(", ds_observacao text");
        }
        if (number % 23 == 0) {
            sql.append(", by_conteudo bytea, js_dados jsonb");
        }
        for (int i = 0; i < parents.size(); i++) {
            sql.append(", co_ref").append(i + 1).append(" bigint constraint fk_").append(name).append('_').append(i + 1)
                    .append(" references ").append(parents.get(i));
        }
        sql.append(");\n");
        sql.append("create index idx_").append(name).append("_ref1 on ").append(name).append(" (co_ref1);\n");
        sql.append("create index idx_").append(name).append("_nome on ").append(name).append(" (no_").append(bare).append(", st_ativo);\n");
        return sql.toString();
    }
}
