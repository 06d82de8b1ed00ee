# SPDX-License-Identifier: GPL-3.0-or-later
"""The kit's script for Linux, with places to fill in. Private to the collection."""

from __future__ import annotations

TEXT = r"""#!/bin/sh
# Exporta os dados do e-SUS PEC deste servidor. Uso, como root:
#   sh exportar-pec.sh                 sh exportar-pec.sh /pasta/e-SUS    se o PEC estiver em outra pasta
set -eu
umask 077
export LC_ALL=C PGCLIENTENCODING=UTF8
unset PGHOSTADDR PGSERVICE PGSERVICEFILE PGSYSCONFDIR PGPASSFILE PGOPTIONS PGSSLMODE
cd "$(dirname "$0")"
municipio=@MUNICIPALITY@
destino=@DESTINATION@
contato=@CONTACT@
pasta=

termina() {
  codigo=$?
  trap - EXIT
  [ -z "$pasta" ] || rm -rf "$pasta"
  [ "$codigo" -eq 0 ] || printf '\n  A EXPORTAÇÃO NÃO FOI FEITA. %s\n' "$contato" >&2
  exit "$codigo"
}
trap termina EXIT
trap 'exit 130' HUP INT TERM
falha() {
  printf '  %s\n' "$*" >&2
  exit 1
}

[ "$(id -u)" -eq 0 ] || falha 'Rode como root: sudo sh exportar-pec.sh'
printf '\n  Exportação do e-SUS PEC: %s\n\n' "$municipio"
pec=
for lugar in ${1+"$1"} @HOMES@; do
  [ -n "$pec" ] || [ ! -d "$lugar/@WEBSERVER@" ] || pec=$lugar
  [ "$#" -eq 0 ] || break
done
[ -n "$pec" ] || falha 'O e-SUS PEC não foi encontrado. Rode no servidor do PEC, ou informe a pasta: sh exportar-pec.sh /pasta/e-SUS'
printf '  PEC encontrado em:    %s\n' "$pec"
bin=
for lugar in "$pec"/@CLIENTS@; do
  [ -n "$bin" ] || [ ! -x "$lugar/pg_dump" ] || [ ! -x "$lugar/psql" ] || bin=$lugar/
done
[ -n "$bin" ] || command -v pg_dump >/dev/null || falha 'O programa pg_dump não foi encontrado neste servidor.'

credenciais=$pec/@CREDENTIALS@
[ -r "$credenciais" ] || falha "Falta o arquivo $credenciais."
campo() { tr -d '\r' <"$credenciais" | sed -n "$1" | head -n 1; }
lugar=$(campo 's#.*jdbc:postgresql://\([^/?[:space:]]*\)/\([^?[:space:]]*\).*#\1/\2#p')
PGUSER=$(campo 's/^[^[:alpha:]]*[Uu][Ss][Uu][^[:space:]:]*[[:space:]]*:[[:space:]]*//p')
PGPASSWORD=$(campo 's/^[^[:alpha:]]*[Ss][Ee][Nn][Hh][Aa][[:space:]]*:[[:space:]]*//p')
if [ -z "$lugar" ] || [ -z "$PGUSER" ] || [ -z "$PGPASSWORD" ]; then
  falha "O arquivo $credenciais não tem o formato conhecido."
fi
PGDATABASE=${lugar#*/}
PGPORT=@PORT@
PGHOST=${lugar%%/*}
case $PGHOST in
  *:*) PGPORT=${PGHOST##*:} PGHOST=${PGHOST%:*} ;;
esac
export PGHOST PGPORT PGDATABASE PGUSER PGPASSWORD

pasta=$(mktemp -d ./exportacao.XXXXXX)
consulta=$("${bin}psql" -X -w -A -t -c "@SIZE_SQL@") ||
  falha 'O banco de dados não respondeu ou recusou a senha (a mensagem está acima). O serviço dele está iniciado?'
tamanho=${consulta%|*}
livre=$(df -Pk . | awk 'NR == 2 { printf "%d", $4 * 1.024 / 1000 }')
printf '  Tamanho do banco:     %s MB (espaço livre aqui: %s MB)\n' "$tamanho" "$livre"
[ "$livre" -ge $((tamanho / 2)) ] || falha "Falta espaço neste disco. Rode em um disco com $tamanho MB livres."

nome=@SLUG@-${consulta#*|}
printf '  Copiando o banco. Pode demorar bastante.\n'
"${bin}pg_dump" -Fc -w -f "$pasta/$nome.dump" || falha 'A cópia do banco falhou (a mensagem está acima). Disco cheio?'
mkdir "$pasta/@CONFIGURATION@"
copia_pasta() { [ ! -d "$pec/$1" ] || cp -RP "$pec/$1" "$pasta/@CONFIGURATION@/$2"; }
@DIRECTORIES@
for lugar in @FILES@; do
  [ ! -f "$lugar" ] || cp -P "$lugar" "$pasta/@CONFIGURATION@/"
done
# A conta do PEC poderia apontar um atalho para um arquivo que só o root lê, ou deixar um que não termina.
find "$pasta" ! -type f ! -type d -exec printf '  Não copiado, por não ser um arquivo comum: %s\n' {} ';' -exec rm {} ';'
(cd "$pasta" && find "$nome.dump" @CONFIGURATION@ -type f -exec sha256sum {} + >SHA256SUMS.txt)

printf '  Juntando tudo em um arquivo.\n'
if command -v zip >/dev/null; then
  arquivo=$nome.zip
  (cd "$pasta" && zip -q -r -n .dump "$arquivo" SHA256SUMS.txt "$nome.dump" @CONFIGURATION@)
else
  arquivo=$nome.tar.gz
  tar -C "$pasta" -czf "$pasta/$arquivo" SHA256SUMS.txt "$nome.dump" @CONFIGURATION@
fi
mv "$pasta/$arquivo" .
sha256sum "$arquivo" >"$arquivo.sha256.txt"
cat <<FIM

  PRONTO. Envie este arquivo:
  $PWD/$arquivo
  SHA-256: $(cut -d ' ' -f 1 "$arquivo.sha256.txt")

  Para onde enviar: $destino
  NÃO envie por e-mail nem por aplicativo de mensagens: são dados de saúde (LGPD, art. 46).
  Depois que confirmarem o recebimento, apague o que foi criado aqui.

FIM
"""
