// SPDX-License-Identifier: GPL-3.0-or-later
package standin.server;

import java.sql.SQLException;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import standin.common.Json;
import standin.common.StandIn;
import standin.common.Version;

/**
 * All that this server's GraphQL knows: one row for each operation, with its arguments, its answer and what it does; documents
 * are checked against the same rows. Evidence is in contract 4; the names of nearly all types, and whether a mutation answers
 * with a leaf or with an object, are guesses [?], so there are mutations of both kinds.
 */
final class Operations {
    private static final String TYPES = """
            type Info { id: ID ativado: Boolean linkInstalacaoConfigurado: Boolean versao: String treinamento: Boolean
                tipoInstalacao: String serverTimezoneOffset: Int internetHabilitada: Boolean govBREnabled: Boolean
                smtpConfigurado: Boolean isPrescricaoDigitalEnabled: Boolean anexoArquivosEnabled: Boolean
                buscaCidadaoPorPropriedadesEnabled: Boolean cadastroDomiciliarViaCdsEnabled: Boolean firebaseEnabled: Boolean
                oldPecConnected: Boolean rocksdbEnabled: Boolean frontendLogLevel: String }
            type Login { success: Boolean }
            type AcessoSelecionado { id: ID success: Boolean }
            type Usuario { id: ID forcarTrocaSenha: Boolean aceitouTermosUso: Boolean }
            type Perfil { id: ID nome: String }
            type Acesso { id: ID tipo: String perfis: [Perfil] }
            type AdministradorGeral { id: ID tipo: String perfis: [Perfil] }
            type AdministradorMunicipal { id: ID tipo: String perfis: [Perfil] autorizado: Boolean habilitado: Boolean }
            type Lotacao { id: ID tipo: String perfis: [Perfil] }
            type Profissional { id: ID cpf: String cns: String nome: String usuario: Usuario acessos: [Acesso] }
            type Sessao { acesso: Acesso profissional: Profissional }
            type LinkRedefinicaoSenha { value: String }
            type Configuracao { id: ID }
            type ConfiguracoesSeguranca { periodoRedefinicaoSenha: Int periodoInatividade: Int tentativasLogin: Int }
            type ConfiguracaoVideochamada { habilitado: Boolean }
            type ConfiguracaoRequisicoes { qtdRequisicoesSimultaneas: Int }
            input LoginInput { username: String! password: String! force: Boolean }
            input SelecionarAcessoInput { id: ID! }
            input InstalacaoInput { dadosInstalacao: DadosInstalacaoInput! tipoInstalacao: String! novaSenha: String!
                profissional: ProfissionalInput! }
            input DadosInstalacaoInput { linkInstalacao: String nomeInstalacao: String }
            input ProfissionalInput { nomeCivil: String cpf: String endereco: EnderecoInput }
            input EnderecoInput { cep: String }
            input SolicitarRecuperacaoSenhaInput { usuario: String! }
            input RedefinirSenhaInput { usuario: String! token: String! novaSenha: String! }
            input ServidorSMTPInput { endereco: String! porta: Int! usuario: String senha: String email: String }
            input ConfiguracaoAnexoArquivosInput { habilitado: Boolean! diretorio: String }
            input AlterarCadsusInput { habilitado: Boolean! intervalo: String }
            input AlterarHorusInput { habilitado: Boolean! intervalo: String }
            input AlterarVideochamadaInput { habilitado: Boolean! }
            input ConfiguracaoPrescricaoDigitalInput { habilitado: Boolean! usuario: String senha: String }
            """;

    /** What came later. The prescription's is PEC's own, the other is invented [?], so that an older server lacks something. */
    private static final Map<String, String> SINCE = Map.of(
            "alterarConfiguracaoCadastroDomiciliarViaCds", "5.4.0",
            "alterarConfiguracaoPrescricaoDigital", "5.2.6",
            "info.cadastroDomiciliarViaCdsEnabled", "5.4.0");

    private static final Map<String, Configuration> SECURITY = Map.of("periodoRedefinicaoSenha", Configuration.PERIODOREDEFINICAOSENHA,
            "periodoInatividade", Configuration.PERIODOINATIVIDADE, "tentativasLogin", Configuration.NUMEROTENTATIVASLOGIN);

    /** What an operation does with its arguments. */
    interface Action {
        Object run(Call call, Map<String, Object> arguments) throws SQLException;
    }

    /** A row: a root field of Query or Mutation, and whether only the instalador may do it. */
    record Operation(String root, GraphqlSchema.Field field, boolean administrative, Action action) {
    }

    private final GraphqlSchema schema = new GraphqlSchema(TYPES);
    private final List<Operation> rows = new ArrayList<>();
    private final Administration administration;

    Operations(Info info, FirstRun firstRun, Login login, PasswordReset reset, Administration administration) {
        this.administration = administration;
        add("Query", "info: Info", false, (call, in) -> info.read());
        add("Query", "sessao: Sessao", false, (call, in) -> login.session(call));
        add("Mutation", "login(input: LoginInput!): Login", false, (call, in) -> login.login(call, input(in)));
        add("Mutation", "logout: Usuario", false, (call, in) -> login.logout(call));
        add("Mutation", "selecionarAcesso(input: SelecionarAcessoInput!): AcessoSelecionado", false,
                (call, in) -> login.selectAccess(call, input(in)));
        add("Mutation", "instalar(input: InstalacaoInput!): Boolean", false, (call, in) -> firstRun.install(input(in)));
        add("Mutation", "redefinirSenha(input: RedefinirSenhaInput!): Boolean", false, (call, in) -> reset.reset(input(in)));
        add("Mutation", "solicitarRedefinicaoSenha(input: SolicitarRecuperacaoSenhaInput!): LinkRedefinicaoSenha", true,
                (call, in) -> reset.request(input(in)));
        reads("configuracoesSeguranca: ConfiguracoesSeguranca", SECURITY);
        reads("configuracaoVideochamada: ConfiguracaoVideochamada", Map.of("habilitado", Configuration.VIDEOCHAMADAHABILITADA));
        reads("configuracaoRequisicoes: ConfiguracaoRequisicoes",
                Map.of("qtdRequisicoesSimultaneas", Configuration.QTDREQUISICOESSIMULTANEAS));
        stores("alternarConexaoInternet(habilitado: Boolean!): Boolean", Map.of("habilitado", Configuration.INTERNETHABILITADA));
        stores("alterarCadsus(alterarCadsusInput: AlterarCadsusInput!): Configuracao",
                Map.of("habilitado", Configuration.CADSUSHABILITADO, "intervalo", Configuration.CADSUSINTERVALO));
        stores("alterarHorus(alterarHorusInput: AlterarHorusInput!): Configuracao",
                Map.of("habilitado", Configuration.HORUSHABILITADO, "intervalo", Configuration.HORUSINTERVALO));
        stores("alterarVideochamada(input: AlterarVideochamadaInput!): Boolean",
                Map.of("habilitado", Configuration.VIDEOCHAMADAHABILITADA));
        stores("alterarConfiguracaoPrescricaoDigital(input: ConfiguracaoPrescricaoDigitalInput!): Boolean",
                Map.of("habilitado", Configuration.PRESCRICAODIGITALHABILITADA, "usuario", Configuration.PRESCRICAODIGITALUSUARIO,
                        "senha", Configuration.PRESCRICAODIGITALSENHA));
        stores("alterarPeriodoRedefinicaoSenha(periodo: Int!): Boolean", Map.of("periodo", Configuration.PERIODOREDEFINICAOSENHA));
        stores("alterarPeriodoInatividade(periodo: Int!): Boolean", Map.of("periodo", Configuration.PERIODOINATIVIDADE));
        stores("alterarNumeroTentativasLogin(tentativas: Int!): Boolean", Map.of("tentativas", Configuration.NUMEROTENTATIVASLOGIN));
        stores("alterarConfiguracaoAnexoArquivos(input: ConfiguracaoAnexoArquivosInput!): Boolean",
                Map.of("habilitado", Configuration.ANEXOARQUIVOSHABILITADO, "diretorio", Configuration.ANEXOARQUIVOSDIRETORIO));
        stores("alterarQtdRequisicoes(qtdRequisicoesSimultaneas: Int!): Boolean",
                Map.of("qtdRequisicoesSimultaneas", Configuration.QTDREQUISICOESSIMULTANEAS));
        stores("alterarBuscaCidadaoPorPropriedades(habilitado: Boolean!): Boolean",
                Map.of("habilitado", Configuration.BUSCACIDADAOPORPROPRIEDADES));
        stores("alterarConfiguracaoCadastroDomiciliarViaCds(habilitado: Boolean!): Boolean",
                Map.of("habilitado", Configuration.CADASTRODOMICILIARVIACDS));
        changes("alterarServidorSMTP(input: ServidorSMTPInput!): Configuracao", (call, in) -> administration.changeMailServer(input(in)));
        changes("desabilitarConexaoSMTP: Boolean", (call, in) -> administration.store(Map.of("habilitado", Configuration.SMTPHABILITADO),
                Map.of("habilitado", false)));
        changes("ativarAgendaOnline(contraChave: String!): Configuracao",
                (call, in) -> administration.switchOnlineAgenda(login.administrator(call), true, in.get("contraChave")));
        changes("desativarAgendaOnline: Configuracao",
                (call, in) -> administration.switchOnlineAgenda(login.administrator(call), false, null));
    }

    private interface Change {
        void run(Call call, Map<String, Object> arguments) throws SQLException;
    }

    private void add(String root, String signature, boolean administrative, Action action) {
        GraphqlSchema.Field field = GraphqlSchema.Field.parse(new GraphqlTokens(signature));
        schema.add(root, field);
        rows.add(new Operation(root, field, administrative, action));
    }

    private void reads(String signature, Map<String, Configuration> keys) {
        add("Query", signature, true, (call, in) -> administration.read(keys));
    }

    /** Its arguments, or the fields of its only one, are what is stored. */
    private void stores(String signature, Map<String, Configuration> keys) {
        changes(signature, (call, in) -> administration.store(keys, keys.keySet().containsAll(in.keySet()) ? in : input(in)));
    }

    private void changes(String signature, Change change) {
        Object answer = done(GraphqlSchema.Field.parse(new GraphqlTokens(signature)));
        add("Mutation", signature, true, (call, in) -> {
            change.run(call, in);
            return answer;
        });
    }

    /** What an operation answers that has nothing to tell. */
    static Object done(GraphqlSchema.Field field) {
        return GraphqlSchema.isScalar(field.type().name()) ? (Object) true : Map.of("id", "1", "success", true);
    }

    private static Map<String, Object> input(Map<String, Object> arguments) {
        return Json.object(arguments.values().iterator().next());
    }

    GraphqlSchema schema() {
        return schema;
    }

    Operation get(String root, String name) {
        return rows.stream().filter(row -> row.root().equals(root) && row.field().name().equals(name)).findFirst().orElseThrow();
    }

    /** What this version, or this server on command, does not have; as root or root.field. */
    static Set<String> absent() {
        Set<String> absent = new HashSet<>(Commands.unknown());
        SINCE.forEach((name, since) -> {
            if (StandIn.version().compareTo(Version.parse(since)) < 0) {
                absent.add(name);
            }
        });
        return absent;
    }
}
