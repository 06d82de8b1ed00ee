# SPDX-License-Identifier: GPL-3.0-or-later
"""The kit's script for Windows, with places to fill in. Private to the collection.

CMD only, since every Windows has it; and of CMD only what wine runs too, so that the script is tested: no "||", no FOR in FOR or in what
FOR calls, no delayed expansion. A value from a file or a person is only the variable of a FOR, or between quotes: CMD puts %NAME% into a
line before it looks for & and |. The text is plain ASCII, because the code page is not known.
"""

from __future__ import annotations

TEXT = r"""@echo off
rem Exporta os dados do e-SUS PEC deste computador. Uso: duplo clique, ou
rem   exportar-pec.cmd "D:\pasta\e-SUS"    se o PEC estiver em outra pasta
setlocal EnableExtensions DisableDelayedExpansion
for %%v in (PGHOSTADDR PGSERVICE PGSERVICEFILE PGSYSCONFDIR PGPASSFILE PGOPTIONS PGSSLMODE) do set "%%v="
for %%v in (PEC BIN PGHOST PGPORT PGDATABASE PGUSER PGPASSWORD URL PASTA MOMENTO PRIMEIRO FALHOU) do set "%%v="
set "PGCLIENTENCODING=UTF8"
set "PATH=%SystemRoot%\System32;%PATH%"
pushd "%~dp0"
if not exist "LEIA-ME.txt" goto :nao_extraido

echo.
echo   Exportacao do e-SUS PEC: @MUNICIPALITY@
echo.
if not "%~1"=="" call :tenta "%~1"
if not "%~1"=="" if not defined PEC goto :sem_pec_na_pasta
if not defined PEC for %%d in (%SystemDrive% C: D: E: F: G: H: I: J: K: L: M: N: O: P: Q: R: S: T: U: V: W: X: Y: Z:) do (
  for %%p in (@HOMES@) do if not defined PEC call :tenta "%%d%%~p"
)
if not defined PEC goto :sem_pec
echo   PEC encontrado em:    "%PEC%"
call :procura_pg_dump "%PEC%\@DATABASE@"
call :procura_pg_dump "%ProgramFiles%\PostgreSQL"
if not defined BIN goto :sem_pg_dump
if not exist "%PEC%\@CREDENTIALS@" goto :sem_credenciais
rem "type" tambem le UTF-16. Vale a primeira linha "usuario: valor"; "Usuario com acesso completo ..." tem mais palavras.
for /f "tokens=1-3 delims=: " %%a in ('type "%PEC%\@CREDENTIALS@"') do (
  set "CHAVE=%%a"
  call :classifica
  if defined E_USUARIO if "%%c"=="" if not defined PGUSER set "PGUSER=%%b"
)
for /f "tokens=1* delims=: " %%a in ('type "%PEC%\@CREDENTIALS@"') do (
  if /i "%%a"=="senha" if not defined PGPASSWORD set "PGPASSWORD=%%b"
)
for /f "tokens=1-3 delims=/?&;" %%a in ('type "%PEC%\@CREDENTIALS@"') do (
  set "CHAVE=%%a"
  call :classifica
  if defined E_URL if not defined URL set "PGDATABASE=%%c"
  if defined E_URL if not defined URL set "URL=%%b"
)
if not defined URL goto :credenciais_estranhas
if not defined PGUSER goto :credenciais_estranhas
if not defined PGPASSWORD goto :credenciais_estranhas
set "URL=%URL:"=%"
set "PGPORT=@PORT@"
for /f "tokens=1,2 delims=:" %%h in ("%URL%") do (
  set "PGHOST=%%h"
  if not "%%i"=="" set "PGPORT=%%i"
)
if not defined PGDATABASE goto :credenciais_estranhas

set "PASTA=exportacao-em-andamento"
if exist "%PASTA%\" rmdir /s /q "%PASTA%"
mkdir "%PASTA%"
if not exist "%PASTA%\" goto :sem_pasta
"%BIN%\psql.exe" -X -w -A -t -o "%PASTA%\tamanho.txt" -c "@SIZE_SQL@"
if not "%errorlevel%"=="0" goto :sem_banco
for /f "usebackq tokens=1,2 delims=|" %%s in ("%PASTA%\tamanho.txt") do (
  set "TAMANHO=%%s"
  set "MOMENTO=%%t"
)
del "%PASTA%\tamanho.txt"
if not defined MOMENTO goto :sem_banco
rem A ultima linha de "dir" traz o espaco livre em bytes; a conta e em milhoes, porque o CMD so conhece numeros pequenos.
for /f "tokens=3" %%f in ('dir /-c .') do set "LIVRE=%%f"
set "LIVRE=%LIVRE:~0,-6%"
if not defined LIVRE set "LIVRE=0"
echo   Tamanho do banco:     %TAMANHO% MB (espaco livre aqui: %LIVRE% MB)
set /a METADE=%TAMANHO% / 2
if %LIVRE% LSS %METADE% goto :sem_espaco

set "NOME=@SLUG@-%MOMENTO%"
echo   Copiando o banco. Pode demorar bastante; nao feche esta janela.
"%BIN%\pg_dump.exe" -Fc -w -f "%PASTA%\%NOME%.dump"
if not "%errorlevel%"=="0" goto :falhou_dump
echo   Copiando a configuracao.
mkdir "%PASTA%\@CONFIGURATION@"
@DIRECTORIES@
@FILES@
if defined FALHOU goto :falhou_copia
echo   Calculando a soma de verificacao.
set "SOMAS=%PASTA%\SHA256SUMS.txt"
call :soma "%PASTA%\%NOME%.dump"
if not exist "%SOMAS%" echo   O programa certutil nao calculou a soma; a exportacao segue sem ela.

rem So o tar do Windows faz zip; outro, como o do Git, pode estar no PATH.
if not exist "%SystemRoot%\System32\tar.exe" goto :sem_zip
echo   Juntando tudo em um arquivo.
if exist "%SOMAS%" set "PRIMEIRO=SHA256SUMS.txt"
"%SystemRoot%\System32\tar.exe" -a -c -f "%NOME%.parcial.zip" -C "%PASTA%" %PRIMEIRO% "%NOME%.dump" "@CONFIGURATION@"
if not "%errorlevel%"=="0" goto :falhou_zip
ren "%NOME%.parcial.zip" "%NOME%.zip"
if not "%errorlevel%"=="0" goto :falhou_zip
rmdir /s /q "%PASTA%"
set "PASTA="
set "SOMAS=%NOME%.zip.sha256.txt"
call :soma "%NOME%.zip"
echo.
echo   PRONTO. Envie este arquivo:
echo   "%CD%\%NOME%.zip"
if defined SOMA echo   SHA-256: %SOMA%
goto :fim

:sem_zip
ren "%PASTA%" "%NOME%"
if not "%errorlevel%"=="0" goto :falhou_copia
echo.
echo   PRONTO, mas este Windows nao tem o programa tar.exe. Clique com o botao
echo   direito na pasta abaixo, escolha "Enviar para", "Pasta compactada", e envie o zip:
echo   "%CD%\%NOME%"
:fim
echo.
echo   Para onde enviar: @DESTINATION@
echo   NAO envie por e-mail nem por aplicativo de mensagens: sao dados de saude (LGPD, art. 46).
echo   Depois que confirmarem o recebimento, apague o que foi criado aqui.
echo.
popd
pause
exit /b 0

:tenta
if exist "%~1\@WEBSERVER@\" set "PEC=%~1"
exit /b 0

:procura_pg_dump
for /f "delims=" %%d in ('dir /b /ad "%~1" 2^>nul') do (
  if not defined BIN if exist "%~1\%%d\bin\pg_dump.exe" set "BIN=%~1\%%d\bin"
)
exit /b 0

:classifica
set "E_USUARIO="
set "E_URL="
set "CHAVE=%CHAVE:"=%"
if /i "%CHAVE:~-3%"=="rio" set "E_USUARIO=1"
if /i "%CHAVE:~-16%"=="jdbc:postgresql:" set "E_URL=1"
exit /b 0

:copia_pasta
set "TEM="
for /f "delims=" %%x in ('dir /b /a "%PEC%\%~1" 2^>nul') do set "TEM=1"
if not defined TEM exit /b 0
xcopy "%PEC%\%~1" "%PASTA%\@CONFIGURATION@\%~2" /e /i /q /h /y >nul
if not "%errorlevel%"=="0" set "FALHOU=1"
exit /b 0

:copia_arquivos
if not exist "%PEC%\%~1" exit /b 0
copy /b /y "%PEC%\%~1" "%PASTA%\@CONFIGURATION@\" >nul
if not "%errorlevel%"=="0" set "FALHOU=1"
exit /b 0

:soma
set "SOMA="
certutil -hashfile "%~1" SHA256 >soma.parcial 2>nul
for /f "usebackq skip=1 delims=" %%h in ("soma.parcial") do if not defined SOMA set "SOMA=%%h"
del soma.parcial
if not defined SOMA exit /b 0
set "SOMA=%SOMA: =%"
if "%SOMA:~63%"=="" goto :soma_estranha
if not "%SOMA:~64%"=="" goto :soma_estranha
echo %SOMA%  %~nx1>>"%SOMAS%"
exit /b 0
:soma_estranha
set "SOMA="
exit /b 0

:nao_extraido
echo   Primeiro extraia o kit: clique com o botao direito no zip, "Extrair tudo", e rode de novo.
goto :erro
:sem_pec
echo   O e-SUS PEC nao foi encontrado neste computador. Rode no servidor do PEC, ou informe a pasta:
echo     exportar-pec.cmd "D:\pasta\e-SUS"
goto :erro
:sem_pec_na_pasta
echo   Esta pasta nao tem o e-SUS PEC: falta nela a pasta @WEBSERVER@.
goto :erro
:sem_pg_dump
echo   O programa pg_dump.exe nao foi encontrado na pasta do PEC. O banco fica em outro computador?
goto :erro
:sem_credenciais
echo   Falta o arquivo "%PEC%\@CREDENTIALS@", ou ele so pode ser lido por administradores.
echo   Clique com o botao direito em exportar-pec.cmd e escolha "Executar como administrador".
goto :erro
:credenciais_estranhas
echo   O arquivo "%PEC%\@CREDENTIALS@" nao tem o formato conhecido.
goto :erro
:sem_banco
echo   O banco de dados nao respondeu ou recusou a senha (a mensagem esta acima). O servico dele esta iniciado?
goto :erro
:sem_espaco
echo   Falta espaco neste disco. Copie a pasta do kit para um disco com %TAMANHO% MB livres, e rode de la.
goto :erro
:sem_pasta
echo   Nao foi possivel gravar nesta pasta. Copie o kit para uma pasta sua, e rode de la.
goto :erro
:falhou_dump
echo   A copia do banco falhou (a mensagem esta acima). Disco cheio? Nada foi gerado.
goto :erro
:falhou_copia
echo   A copia da configuracao falhou (a mensagem esta acima). Rode como administrador.
goto :erro
:falhou_zip
echo   Nao foi possivel juntar tudo em um zip (a mensagem esta acima). Disco cheio?
if exist "%NOME%.parcial.zip" del "%NOME%.parcial.zip"
goto :erro

:erro
echo.
echo   A EXPORTACAO NAO FOI FEITA. @CONTACT@
if defined PASTA if exist "%PASTA%\" rmdir /s /q "%PASTA%"
popd
pause
exit /b 1
"""
