# SPDX-License-Identifier: GPL-3.0-or-later
"""The 24 large tables of the generated database: their columns, how a row is made from its number, and their size.

In the expressions, n is the number of the row, #K[M] a number from 0 to M - 1 that depends on n and K, %NAME[K] an entry of a list of
words and @TABLE[K] the key of a row of another large table.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

NAMES = "MARIA JOSÉ ANTÔNIO JOÃO CONCEIÇÃO LUÍS ÂNGELA INÊS PATRÍCIA SEBASTIÃO TEREZINHA RAIMUNDO FRANCISCA GERALDO APARECIDA VICENTE"
SURNAMES = "GONÇALVES ARAÚJO D'ÁVILA BRANDÃO ASSIS MÜLLER SILVA SANTOS OLIVEIRA SOUZA PEREIRA CORRÊA NUÑEZ SIMÕES GALVÃO ROCHA"
WORDS = (
    "paciente refere dor lombar há dias sem melhora com analgésico comum nega febre vômito tontura cefaleia pressão arterial controlada "
    "glicemia jejum alterada orientado retorno exame físico normal abdome flácido indolor palpação ausculta pulmonar limpa murmúrio "
    "vesicular presente bilateral edema membros inferiores ausente gestante semanas movimentação fetal ativa vacinação atualizada "
    "puericultura peso estatura adequados aleitamento materno exclusivo hipertensão diabetes tipo acompanhamento equipe família visita "
    "domiciliar medicação contínua losartana metformina dipirona amoxicilina comprimidos manhã noite encaminho cardiologia solicito "
    "hemograma colesterol triglicerídeos urina rotina preventivo mamografia saúde bucal escovação cárie restauração conduta mantida"
)
SENTENCES = (
    "Paciente comparece à consulta de rotina, em bom estado geral, corado, hidratado e orientado.",
    "Refere dor abdominal leve após as refeições, sem náuseas ou vômitos associados.",
    "Nega alergias medicamentosas conhecidas e internações nos últimos doze meses.",
    "Orientada quanto à importância da alimentação saudável e da prática de atividade física regular.",
    "Mantém uso contínuo da medicação prescrita, sem queixas de efeitos adversos.",
    "Solicitados exames laboratoriais de controle; retornar com os resultados.",
    "Realizada visita domiciliar pela equipe de Saúde da Família, com a agente comunitária.",
    "Pressão arterial aferida em dois momentos, com cinco minutos de repouso entre as medidas.",
)
CONSTANTS = {"name": NAMES.split(), "surname": SURNAMES.split(), "word": WORDS.split(), "sentence": SENTENCES}

_WORDS_12 = " || ' ' || ".join(f"%word[{k}]" for k in range(20, 32))
_NOTE = (
    "'<p>' || %sentence[10] || ' ' || " + _WORDS_12 + " || '.</p><p><strong>PA</strong>: ' || 90 + #11[90] || 'x' || 60 + #12[50] || "
    "' mmHg, FC ' || 55 + #13[60] || ' bpm, IMC ' || (180 + #14[220]) / 10.0 || '</p><ul><li>' || %sentence[15] || '</li><li>' || "
    + " || ' ' || ".join(f"%word[{k}]" for k in range(32, 44))
    + " || '</li></ul><p>' || "
    + " || ' ' || ".join(f"%word[{k}]" for k in range(44, 56))
    + " || ' &mdash; ' || %name[16] || ' ' || %surname[17] || '</p>'"
)
_PERSON = "%name[1] || ' ' || %name[2] || ' ' || %surname[3] || ' ' || %surname[4]"
_MOMENT = "timestamp '2015-01-01 07:00' + #5[3900] * interval '1 day' + #6[36000] * interval '1 second'"
_UUID = "md5(n || '.' || #9[1000000])::uuid"
_EVENT = (
    "jsonb_build_object('usuário', 1 + #20[200], 'ação', (array['CONSULTA','INCLUSÃO','ALTERAÇÃO','EXCLUSÃO'])[1 + #21[4]], "
    "'ip', '10.' || #22[256] || '.' || #23[256] || '.' || #24[256], 'uuid', md5(n || 'e'), 'campos', jsonb_build_object("
    "'nome', %name[25] || ' ' || %surname[26], 'cns', 700000000000000 + #27[2147483647], 'observação', %sentence[28], "
    "'peso', #29[1500] / 10.0), 'sessão', jsonb_build_array(#30[1000], #31[1000], %word[32]))"
)


@dataclass(frozen=True)
class Large:
    """One large table; a column is its name, its type and the SQL expression of its values."""

    name: str
    rows: int
    columns: tuple[tuple[str, str, str], ...]
    indexes: tuple[str, ...] = ()
    references: tuple[tuple[str, str], ...] = ()

    @property
    def key(self) -> str:
        return f"co_seq_{self.name[3:]}"

    def rows_at(self, scale: float) -> int:
        return max(20, round(self.rows * scale))


def _note(kind: str, rows: int) -> Large:
    columns = (
        ("co_atend_prof", "bigint", "@tb_atend_prof[1]"),
        ("ds_texto", "text", _NOTE),
        ("dt_registro", "timestamp", _MOMENT),
        ("st_rascunho", "integer", "#2[2]"),
    )
    return Large(f"tb_evolucao_{kind}", rows, columns, ("co_atend_prof", "dt_registro"), (("co_atend_prof", "tb_atend_prof"),))


def _fact(name: str, rows: int, parent: str, **extra: tuple[str, str]) -> Large:
    """A table of measures, procedures or doses: narrow rows that point at their parent, each kind with columns of its own."""
    column = f"co_{parent[3:]}"
    columns = (
        (column, "bigint", f"@{parent}[1]"),
        ("co_prof", "integer", "1 + #2[400]"),
        ("co_unidade_saude", "integer", "1 + #3[40]"),
        ("dt_evento", "timestamp", _MOMENT),
        ("tp_evento", "integer", "#4[12]"),
        *((own, kind, value) for own, (kind, value) in extra.items()),
    )
    searched = tuple(own for own, (kind, _value) in extra.items() if kind == "uuid" or own.startswith("no_social"))
    return Large(name, rows, columns, (column, "dt_evento", "co_unidade_saude, tp_evento", *searched), ((column, parent),))


def _random(blocks: int) -> str:
    """Bytes that nothing compresses: from blocks to twice blocks times 16 of them."""
    block = "decode(md5(n || '.' || i || '.' || {seed}), 'hex')"
    return f"(select string_agg({block}, ''::bytea) from generate_series(1, {blocks} + #7[{blocks}]) i)"


LARGE = (
    Large(
        "tb_cidadao",
        80_000,
        (
            ("no_cidadao", "varchar(500)", _PERSON),
            ("no_mae", "varchar(500)", "'MARIA ' || %surname[5] || ' ' || %surname[6]"),
            ("nu_cpf", "char(11)", "lpad(#7[2147483647]::text, 11, '0')"),
            ("nu_cns", "char(15)", "'7' || lpad(#8[2147483647]::text, 14, '0')"),
            ("dt_nascimento", "date", "date '1930-01-01' + #9[34000]"),
            ("ds_logradouro", "varchar(255)", "'Rua ' || initcap(%surname[10]) || ', nº ' || #11[2000]"),
            (
                "js_contatos",
                "jsonb",
                "jsonb_build_object('telefone', '(48) 9' || #12[99999999], 'e-mail', lower(%name[13]) || '@x.example')",
            ),
            ("st_ativo", "integer", "case when #14[50] = 0 then 0 else 1 end"),
            ("co_unico_cidadao", "uuid", _UUID),
        ),
        ("no_cidadao", "nu_cpf", "nu_cns", "dt_nascimento", "co_unico_cidadao"),
    ),
    Large(
        "tb_prontuario",
        80_000,
        (("co_cidadao", "bigint", "n"), ("dt_criacao", "timestamp", _MOMENT)),
        ("co_cidadao",),
        (("co_cidadao", "tb_cidadao"),),
    ),
    _fact("tb_atend", 500_000, "tb_prontuario", dt_inicio=("timestamp", _MOMENT), uuid_atend=("uuid", _UUID)),
    _fact("tb_atend_prof", 500_000, "tb_atend", nu_turno=("integer", "#8[3]"), ds_cbo=("varchar(6)", "(225000 + #10[400])::text")),
    _note("subjetivo", 120_000),
    _note("objetivo", 120_000),
    _note("avaliacao", 90_000),
    _note("plano", 120_000),
    _note("encaminhamento", 50_000),
    _fact("tb_auditoria_evento", 220_000, "tb_cidadao", js_evento=("jsonb", _EVENT)),
    _fact(
        "ta_atend",
        350_000,
        "tb_atend",
        dt_auditoria=("timestamp", _MOMENT),
        tp_operacao=("integer", "#8[3]"),
        uuid_registro=("uuid", _UUID),
    ),
    _fact("ta_cidadao", 120_000, "tb_cidadao", js_antes=("jsonb", _EVENT)),
    _fact(
        "tb_medicao", 700_000, "tb_atend_prof", nu_valor=("numeric(10,3)", "#8[200000] / 1000.0"), nu_peso=("float8", "#10[150000] / 97.0")
    ),
    _fact("tb_exame_requisitado", 350_000, "tb_atend_prof", ds_exame=("varchar(255)", "%word[8] || ' ' || %word[9] || ' ' || #10[900]")),
    _fact("tb_exame_resultado", 250_000, "tb_exame_requisitado", ds_resultado=("text", "%sentence[8] || ' ' || #10[9000] / 10.0")),
    _fact("tb_receita_medicamento", 350_000, "tb_atend_prof", ds_posologia=("text", "%word[8] || ' ' || 1 + #10[4] || ' vezes ao dia'")),
    _fact("tb_agendado", 450_000, "tb_prontuario", dt_agendado=("timestamp", _MOMENT), uuid_agendado=("uuid", _UUID)),
    _fact("tb_cds_ficha", 150_000, "tb_cidadao", js_ficha=("jsonb", _EVENT), uuid_ficha=("uuid", _UUID)),
    _fact("tb_cds_visita_domiciliar", 450_000, "tb_cidadao", uuid_ficha=("uuid", _UUID)),
    _fact("tb_cds_cidadao", 150_000, "tb_cidadao", no_social=("varchar(500)", _PERSON)),
    _fact("tb_vacinacao", 350_000, "tb_cidadao", ds_lote=("varchar(30)", "'L' || #8[99999]"), uuid_dose=("uuid", _UUID)),
    _fact("tb_procedimento_realizado", 600_000, "tb_atend_prof", co_procedimento=("integer", "#8[9999]"), uuid_item=("uuid", _UUID)),
    _fact("tb_documento_anexo", 7_000, "tb_cidadao", no_arquivo=("text", "'exame ' || n || '.pdf'"), bl_documento=("bytea", _random(700))),
    _fact("tb_foto_cidadao", 8_000, "tb_cidadao", bl_foto=("bytea", _random(250))),
)


def constants() -> str:
    """The lists of words as one row that the expressions of all tables use."""
    lists = (
        "array[" + ", ".join("'" + word.replace("'", "''") + "'" for word in words) + f"] as {name}s" for name, words in CONSTANTS.items()
    )
    return "(select " + ", ".join(lists) + ") c"


def expand(expression: str, scale: float, seed: int) -> str:
    """The SQL of an expression of this module."""
    rows = {table.name: table.rows_at(scale) for table in LARGE}
    expression = expression.replace("{seed}", str(seed))
    expression = re.sub(r"@(\w+)\[(\d+)\]", lambda found: f"1 + #{found[2]}[{rows[found[1]]}]", expression)
    expression = re.sub(r"%(\w+)\[(\d+)\]", lambda found: f"c.{found[1]}s[1 + #{found[2]}[{len(CONSTANTS[found[1]])}]]", expression)
    return re.sub(r"#(\d+)\[(\d+)\]", rf"((hashint8(n * 64::bigint + \1 + {seed << 40}) & 2147483647) % \2)", expression)
