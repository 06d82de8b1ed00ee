-- SPDX-License-Identifier: GPL-3.0-or-later
-- Invented people and attendances for a stand-in's database, the same in every run:
--     psql -v ON_ERROR_STOP=1 -v scale=1 -f sample_data.sql DATABASE
-- scale 1 is a thousand citizens, five thousand attendances and 20 large objects (about 8 MB); run it once per database.

\if :{?scale}
\else
\set scale 1
\endif
set client_encoding = 'UTF8';
begin;

insert into tb_localidade (co_ibge, no_localidade, co_uf) values
    ('4299999', 'SÃO JOSÉ DA CONCEIÇÃO', 42), ('3199998', 'ÁGUAS CLARAS DO CÉU', 31), ('2999997', 'IPÊ-AÇU', 29);

insert into tb_unidade_saude (nu_cnes, no_unidade_saude, co_localidade)
select lpad((9000000 + n)::text, 7, '0'), 'UNIDADE BÁSICA DE SAÚDE Nº ' || n,
       (select co_localidade from tb_localidade where co_ibge = (array['4299999', '3199998', '2999997'])[1 + n % 3])
from generate_series(1, 10) n;

insert into tb_prof (no_civil_profissional, nu_cpf, nu_cns)
select 'PROFISSIONAL DE EXEMPLO Nº ' || n, null, '7' || lpad(n::text, 14, '0')
from generate_series(1, 20) n;

insert into tb_cidadao (co_unico_cidadao, no_cidadao, no_cidadao_filtro, nu_cns, dt_nascimento, no_mae, js_contatos, im_foto,
                        co_localidade, st_ativo)
select md5('cidadao' || n)::uuid::text, name, lower(translate(name, 'ÁÂÃÇÉÊÍÓÔÕÚ', 'AAACEEIOOOU')),
       '8' || lpad(n::text, 14, '0'), date '1930-01-01' + (n * 37 % 34000), 'MARIA DA ASSUNÇÃO Nº ' || n,
       jsonb_build_object('telefone', '(48) 9' || lpad(n::text, 8, '0'), 'observação', 'residência próxima à praça "Açaí"',
                          'ativo', n % 7 <> 0),
       case when n % 10 = 0 then decode(repeat(md5('foto' || n), 64), 'hex') end,
       (select co_localidade from tb_localidade where co_ibge = (array['4299999', '3199998', '2999997'])[1 + n % 3]),
       case when n % 50 = 0 then 0 else 1 end
from (
    select n, (array['JOÃO', 'JOSÉ', 'ANTÔNIO', 'CONCEIÇÃO', 'LUÍS', 'ÂNGELA', 'INÊS', 'PATRÍCIA'])[1 + n % 8] || ' '
        || (array['GONÇALVES', 'ARAÚJO', 'D''ÁVILA', 'BRANDÃO', 'ASSIS', 'ESPÍRITO SANTO', 'MÜLLER'])[1 + n % 7] || ' ' || n as name
    from generate_series(1, 1000 * :scale) n
) people;

-- One in ten attendances is still open; the notes have line ends, tabs and backslashes, which a dump must bring through.
insert into tb_atend (co_cidadao, co_unidade_saude, co_prof, dt_inicio, dt_fim, ds_evolucao, nu_valor)
select c.co_seq_cidadao, (select min(co_seq_unidade_saude) from tb_unidade_saude) + n % 10,
       (select min(co_seq_prof) from tb_prof where nu_cns like '7%') + n % 20,
       timestamp '2024-01-02 08:00' + n * interval '11 minutes',
       case when n % 10 <> 0 then timestamp '2024-01-02 08:20' + n * interval '11 minutes' end,
       E'Queixa: cefaleia há ' || n % 9 || E' dias.\n\tPressão: 12/8; avaliação \\ "estável" – retorno em 30 dias. ' || md5(n::text),
       n % 1000 / 7.0
from generate_series(1, 5000 * :scale) n
join tb_cidadao c on c.co_seq_cidadao = (select min(co_seq_cidadao) from tb_cidadao) + n % (1000 * :scale);

-- Identifiers of large objects are given, so that two databases with the same scale are equal.
insert into tb_anexo_arquivo (co_cidadao, no_arquivo, ds_mimetype, ob_arquivo, by_miniatura)
select (select min(co_seq_cidadao) from tb_cidadao) + n, 'laudo médico nº ' || n || '.pdf', 'application/pdf',
       lo_from_bytea(900000 + n, decode(repeat(md5('anexo' || n), 2048), 'hex')), decode(md5('miniatura' || n), 'hex')
from generate_series(1, 20 * :scale) n;

-- A few rows in the first of the generated tables, parents first.
insert into tb_cidadao_tipo (no_cidadao_tipo, dt_registro, co_ref1)
select 'TIPO ' || n, timestamp '2024-01-01', (select min(co_seq_prof) from tb_prof) from generate_series(1, 50) n;
insert into tb_atend_tipo (no_atend_tipo, dt_registro, nu_valor, co_ref1)
select 'TIPO ' || n, timestamp '2024-01-01', n / 3.0, n from generate_series(1, 50) n;

commit;
analyze;
