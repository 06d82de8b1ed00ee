-- SPDX-License-Identifier: GPL-3.0-or-later
-- The tables whose columns the contract knows (section 3), and those that the server and the sample data use.
-- Columns of tb_usuario, tb_prof, tb_ator_papel, tb_cidadao, tb_atend and of the attachments are [I].

create table tb_config_sistema (
    co_config_sistema varchar(255) primary key,
    ds_config_sistema varchar(255),
    ds_texto varchar(255),
    ds_inteiro integer,
    st_disponivel_sistema integer,
    ds_binario bytea
);
create sequence seq_ta_config_sistema;
create table ta_config_sistema (
    co_seq_taconfigsistema bigint default nextval('seq_ta_config_sistema') primary key,
    co_config_sistema varchar(255),
    ds_config_sistema varchar(255),
    ds_texto varchar(255),
    ds_inteiro integer,
    st_disponivel_sistema integer,
    ds_binario bytea,
    dt_auditoria timestamp,
    tp_operacao integer
);

-- TREINAMENTO and the keys' names are known; the value column of the two HABILITADO is not [?].
insert into tb_config_sistema (co_config_sistema, ds_config_sistema, ds_texto, ds_inteiro) values
    ('TREINAMENTO', 'Instalação de treinamento', null, 0),
    ('LINKINSTALACAO', 'Link da instalação', null, null),
    ('NOMEINSTALACAO', 'Nome da instalação', null, null),
    ('TIPOINSTALACAO', 'Tipo da instalação', null, null),
    ('CADSUSHABILITADO', 'CADSUS habilitado', null, 0),
    ('HORUSHABILITADO', 'Hórus habilitado', null, 0),
    ('CONFIGURACAOPROCESSAMENTORELATORIOS', 'Configuração do processamento de relatórios', null, 1);

create table tb_migracao_estrutura (
    co_seq_migracao_estrutura bigserial primary key,
    no_estrutura varchar(255) not null,
    st_concluida integer default 0 not null
);
create table tb_migracao_dados (
    installed_rank integer primary key,
    version varchar(50),
    description varchar(200) not null,
    type varchar(20) not null,
    script varchar(1000) not null,
    checksum integer,
    installed_by varchar(100) not null,
    installed_on timestamp default now() not null,
    execution_time integer not null,
    success boolean not null
);

create table tb_uf (
    co_uf integer primary key,
    no_uf varchar(60) not null,
    sg_uf char(2) not null unique
);
insert into tb_uf values (11, 'RONDÔNIA', 'RO'), (21, 'MARANHÃO', 'MA'), (23, 'CEARÁ', 'CE'), (25, 'PARAÍBA', 'PB'),
    (29, 'BAHIA', 'BA'), (31, 'MINAS GERAIS', 'MG'), (35, 'SÃO PAULO', 'SP'), (42, 'SANTA CATARINA', 'SC'), (52, 'GOIÁS', 'GO');
create table tb_localidade (
    co_localidade bigserial primary key,
    co_ibge varchar(7) unique,
    no_localidade varchar(255) not null,
    co_uf integer references tb_uf
);

create table tb_prof (
    co_seq_prof bigserial primary key,
    no_civil_profissional varchar(500) not null,
    nu_cpf varchar(11) unique,
    nu_cns varchar(15),
    ds_email varchar(255)
);
create table tb_usuario (
    co_seq_usuario bigserial primary key,
    co_prof bigint references tb_prof,
    no_login varchar(255) not null unique,
    ds_senha varchar(255) not null,
    nu_tentativas integer default 0 not null,
    st_bloqueado integer default 0 not null,
    st_forcar_troca_senha integer default 0 not null,
    st_aceitou_termos_uso integer default 0 not null
);
create table tb_ator_papel (
    co_seq_ator_papel bigserial primary key,
    co_prof bigint references tb_prof,
    tp_ator_papel varchar(40) not null,
    st_ativo integer default 1 not null
);
create table tb_adm_geral (
    co_ator_papel bigint primary key references tb_ator_papel,
    st_instalacao_terminada integer default 0 not null
);
create table tb_adm_municipal (
    co_ator_papel bigint primary key references tb_ator_papel,
    co_localidade bigint references tb_localidade,
    ds_autorizacao varchar(225),
    st_instalacao_terminada integer default 0,
    dt_inativacao timestamp,
    dt_adicao timestamp
);
create table tb_ativacao_agendamento_online (
    co_seq_ativacao_agend_online bigserial primary key,
    co_prof bigint references tb_prof,
    dt_evento timestamp,
    st_ativado integer
);
create table tb_cfg_rnds (
    co_localidade bigint primary key references tb_localidade,
    co_ator_papel bigint references tb_ator_papel,
    no_certificado varchar(255),
    ds_senha_certificado varchar(255),
    dt_inclusao timestamp,
    dt_habilitacao timestamp,
    dt_validade_certificado timestamp,
    co_identificador_solicitante varchar(255)
);

create table tb_unidade_saude (
    co_seq_unidade_saude bigserial primary key,
    nu_cnes varchar(7) unique,
    no_unidade_saude varchar(500) not null,
    co_localidade bigint references tb_localidade
);
create table tb_cidadao (
    co_seq_cidadao bigserial primary key,
    co_unico_cidadao varchar(36) unique,
    no_cidadao varchar(500) not null,
    no_cidadao_filtro varchar(500),
    nu_cns varchar(15),
    nu_cpf varchar(11),
    dt_nascimento date,
    no_mae varchar(500),
    js_contatos jsonb,
    im_foto bytea,
    co_localidade bigint references tb_localidade,
    st_ativo integer default 1 not null
);
create index idx_cidadao_nome on tb_cidadao (no_cidadao_filtro);
create index idx_cidadao_cns on tb_cidadao (nu_cns);
create index idx_cidadao_cpf on tb_cidadao (nu_cpf) where nu_cpf is not null;
create table tb_atend (
    co_seq_atend bigserial primary key,
    co_cidadao bigint not null references tb_cidadao,
    co_unidade_saude bigint references tb_unidade_saude,
    co_prof bigint references tb_prof,
    dt_inicio timestamp not null,
    dt_fim timestamp,
    ds_evolucao text,
    nu_valor numeric(12, 2)
);
create index idx_atend_cidadao on tb_atend (co_cidadao);
create index idx_atend_inicio on tb_atend (dt_inicio desc);
create table tb_anexo_arquivo (
    co_seq_anexo_arquivo bigserial primary key,
    co_cidadao bigint references tb_cidadao,
    no_arquivo varchar(255) not null,
    ds_mimetype varchar(100),
    ob_arquivo oid,
    by_miniatura bytea
);

create function fn_auditar_config_sistema() returns trigger language plpgsql as $$
begin
    insert into ta_config_sistema (co_config_sistema, ds_config_sistema, ds_texto, ds_inteiro, dt_auditoria, tp_operacao)
    values (new.co_config_sistema, new.ds_config_sistema, new.ds_texto, new.ds_inteiro, now(), 1);
    return new;
end $$;
create trigger tg_auditar_config_sistema after update on tb_config_sistema
    for each row execute procedure fn_auditar_config_sistema();
create view vw_cidadao_ativo as select co_seq_cidadao, no_cidadao, nu_cns from tb_cidadao where st_ativo = 1;
