# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook that writes the ofícios, run against localhost: no server of the inventory is contacted."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docx
import pytest
import yaml
from smtp_sink import Sink

ROOT = Path(__file__).resolve().parents[2]
WITHOUT_PDF = ["txt", "docx"]
BOTH = {
    "pec_oficios_requester_name": "João Carlos de Souza",
    "pec_oficios_requester_position": "Prefeito Municipal",
    "pec_oficios_responsible_name": "Maria Aparecida da Silva",
    "pec_oficios_responsible_email": "saude@municipio.gov.br",
    "pec_oficios_responsible_phone": "(71) 5555-0100",
    "pec_oficios_ipv4": "203.0.113.10",
    "pec_smtp_host": "127.0.0.1",
    "pec_smtp_sender": "ti@municipio.gov.br",
    "pec_https_mode": "certmgr",
    "pec_certificate_file": "municipio.pfx",
    "pec_install_jar_url": "https://arquivos.example/eSUS-AB-PEC-5.4.37-Linux64.jar",
}
BAHIA = {
    "pec_municipio": "Salvador",
    "pec_ibge_code": "2927408",
    "pec_oficios_uf": "BA",
    "pec_oficios_institution": 'Prefeitura Municipal do Salvador & Cia. "Saúde"',
    "pec_oficios_cnpj": "13927801000149",
    "pec_domain": "esus.salvador.ba.gov.br",
}
MATO_GROSSO_DO_SUL = {
    "pec_municipio": "Água Clara",
    "pec_ibge_code": "5000203",
    "pec_oficios_uf": "MS",
    "pec_oficios_institution": "Município de Água Clara",
    "pec_oficios_cnpj": "12.ABC.345/01DE-35",
    "pec_domain": "esus.aguaclara.ms.gov.br",
    "pec_oficios_domain_body": "Secretaria de Exemplo do Estado",
}
HOSTS = {"salvador.example.org": BAHIA, "agua-clara.example.org": MATO_GROSSO_DO_SUL}
FOLDERS = {"salvador.example.org": "2927408-salvador", "agua-clara.example.org": "5000203-agua-clara"}
LETTERS = ("oficio-dominio", "oficio-govbr", "oficio-prescricao-digital")


class Unsafe(str):
    """A text that Ansible takes for no template."""

    __slots__ = ()


yaml.SafeDumper.add_representer(Unsafe, lambda dumper, value: dumper.represent_scalar("!unsafe", str(value), style='"'))


def run(tmp_path: Path, hosts: dict[str, dict[str, Any]], *options: str, **variables: Any) -> tuple[int, str]:
    collection = tmp_path / "collections/ansible_collections/esus"
    if not collection.exists():
        collection.mkdir(parents=True)
        (collection / "pec").symlink_to(ROOT)
    inventory = tmp_path / "inventory.yml"
    inventory.write_text(yaml.safe_dump({"pec": {"hosts": hosts, "vars": BOTH}}, allow_unicode=True), encoding="utf-8")
    environment = {**os.environ, "ANSIBLE_NOCOLOR": "true", "ANSIBLE_HOME": str(tmp_path), "ANSIBLE_LOCALHOST_WARNING": "false"}
    environment["ANSIBLE_COLLECTIONS_PATH"] = str(tmp_path / "collections")
    given = json.dumps({"pec_oficios_directory": str(tmp_path / "oficios"), "pec_oficios_formats": WITHOUT_PDF, **variables})
    argv = [str(Path(sys.executable).parent / "ansible-playbook"), "esus.pec.oficios", "-i", str(inventory), "-e", given, *options]
    ended = subprocess.run(argv, capture_output=True, text=True, env=environment, timeout=300, check=False)
    return ended.returncode, ended.stdout + ended.stderr


def changes(output: str) -> dict[str, int]:
    return {host: int(number) for host, number in re.findall(r"^(\S+) +: ok=\d+ +changed=(\d+)", output, re.MULTILINE)}


def content(directory: Path) -> dict[str, bytes]:
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def test_the_letters_of_two_municipios(tmp_path: Path) -> None:
    directory = tmp_path / "oficios"
    code, output = run(tmp_path, HOSTS, "--check", "--diff")
    assert (code, directory.exists()) == (0, False), output
    assert set(changes(output)) == set(HOSTS) and all(changes(output).values()), output
    assert "+Solicitamos a criação do domínio esus.salvador.ba.gov.br" in output
    code, output = run(tmp_path, HOSTS, pec_oficios_date="2026-11-30")
    assert (code, all(changes(output).values())) == (0, True), output
    assert "confirmar antes de enviar" in output and "WARNING" not in output
    written = content(directory)
    assert set(written) == {f"{folder}/{name}.{kind}" for folder in FOLDERS.values() for name in LETTERS for kind in WITHOUT_PDF}
    for path in [directory, *directory.rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path
    for host, folder in FOLDERS.items():
        given = HOSTS[host]
        for name in LETTERS:
            text = written[f"{folder}/{name}.txt"].decode()
            shown = "\n".join(paragraph.text for paragraph in docx.Document(io.BytesIO(written[f"{folder}/{name}.docx"])).paragraphs)
            for each in (text, shown):
                assert f"{given['pec_municipio']}/{given['pec_oficios_uf']} (código IBGE {given['pec_ibge_code']})" in each
                assert "João Carlos de Souza" in each and not re.search(r"\[|\{|<", each)
            assert "30 de novembro de 2026." in shown
        assert given["pec_oficios_institution"] in written[f"{folder}/oficio-dominio.txt"].decode()
    assert "12.ABC.345/01DE-35" in written["5000203-agua-clara/oficio-dominio.txt"].decode()
    # Without a date, so that it would be another day's letter.
    code, output = run(tmp_path, HOSTS)
    assert (code, set(changes(output).values())) == (0, {0}), output
    assert content(directory) == written
    code, output = run(tmp_path, {**HOSTS, "salvador.example.org": {**BAHIA, "pec_oficios_requester_name": "Ana de Souza"}})
    assert (code, changes(output)["agua-clara.example.org"]) == (0, 0), output
    changed = {name for name, data in content(directory).items() if data != written[name]}
    assert changed == {name for name in written if name.startswith("2927408-salvador/")}


def test_everything_that_is_wrong_is_listed_before_anything_is_written(tmp_path: Path) -> None:
    wrong = {
        "salvador.example.org": {**BAHIA, "pec_oficios_cnpj": "13927801000148", "pec_oficios_ipv4": "10.0.0.5", "pec_ibge_code": "2927409"},
        "agua-clara.example.org": {**MATO_GROSSO_DO_SUL, "pec_oficios_institution": "[Razão Social da Prefeitura]", "pec_domain": ""},
        "lisboa.example.org": {**MATO_GROSSO_DO_SUL, "pec_oficios_domain_body": "", "pec_oficios_responsible_phone": ""},
    }
    code, output = run(tmp_path, {**wrong, "certo.example.org": BAHIA}, pec_https_mode="none", pec_smtp_host="")
    assert (code, (tmp_path / "oficios").exists()) == (2, False), output
    message = next(line for line in output.splitlines() if "Nothing was written" in line or "Correct this" in line)
    listed = output[output.index(message) :]
    for host, variable in [
        ("salvador", "pec_oficios_cnpj"),
        ("salvador", "pec_oficios_ipv4"),
        ("salvador", "pec_ibge_code"),
        ("agua-clara", "pec_oficios_institution"),
        ("agua-clara", "pec_oficios_domain"),
        ("agua-clara", "pec_oficios_url"),
        ("lisboa", "pec_oficios_domain_body"),
        ("lisboa", "pec_oficios_responsible_phone"),
        ("certo", "pec_oficios_smtp"),
    ]:
        assert re.search(rf"{host}\.example\.org: {variable} is ", listed), (host, variable, output)


def test_two_servers_of_one_municipio(tmp_path: Path) -> None:
    code, output = run(tmp_path, {"a.example.org": BAHIA, "b.example.org": BAHIA})
    assert (code, (tmp_path / "oficios").exists(), "a.example.org and b.example.org are" in output) == (2, False, True), output
    code, output = run(tmp_path, {"a.example.org": BAHIA, "b.example.org": BAHIA}, "--limit", "b.example.org")
    assert code == 0, output


HOSTILE = ["../../../tmp/x", "São\u0007Paulo", "{{ 7 * 7 }}", "{% for x in y %}", "<script>alert(1)</script>", "a\nb"]


def test_hostile_names(tmp_path: Path) -> None:
    hosts = {f"h{number}.example.org": {**BAHIA, "pec_municipio": Unsafe(name)} for number, name in enumerate(HOSTILE)}
    code, output = run(tmp_path, hosts, pec_oficios_formats=["txt"])
    assert (code, (tmp_path / "oficios").exists()) == (2, False), output
    assert set(re.findall(r"(h\d)\.example\.org: pec_municipio is wrong", output)) == {f"h{number}" for number in range(len(HOSTILE))}
    assert "'49'" not in output


def test_a_draft_where_the_premises_are_not_met(tmp_path: Path) -> None:
    letters = {"pec_oficios_letters": ["prescricao_digital"], "pec_oficios_premises": "mark"}
    hosts = {
        "salvador.example.org": {
            **BAHIA,
            "pec_certificate_file": "",
            "pec_install_jar_url": "https://a.example/eSUS-AB-PEC-5.2.5-Linux64.jar",
        }
    }
    mail = {"pec_oficios_mail_to": {"prescricao_digital": ["ti@example.org"]}}
    code, output = run(tmp_path, hosts, **letters, **mail, pec_oficios_mail_send=True)
    assert code == 0, output  # a draft is not sent: nothing listens at the port of the mail server
    folder = tmp_path / "oficios/2927408-salvador"
    text = (folder / "oficio-prescricao-digital.txt").read_text(encoding="utf-8")
    assert text.startswith("MINUTA: não enviar.") and "5.2.6" in text.splitlines()[0] and "certificado" in text.splitlines()[0]
    assert "integrado ao PEC: Não." in text
    assert docx.Document(str(folder / "oficio-prescricao-digital.docx")).paragraphs[0].text.startswith("MINUTA")


def letterhead(path: Path, body: str = "{{ corpo }}", foot: str = "Rua das Flores, 1") -> str:
    document = docx.Document()
    document.sections[0].header.paragraphs[0].text = "BRASÃO {{ instituicao }}"
    document.sections[0].footer.paragraphs[0].text = foot
    for text in ("{{ oficio }}", "{{ local_e_data }}", "{{ destinatario }}", "Assunto: {{ assunto }}", body, "{{ nome }}", "{{ cargo }}"):
        document.add_paragraph(text)
    document.save(str(path))
    return str(path)


def test_the_municipios_own_letterhead(tmp_path: Path) -> None:
    template = letterhead(tmp_path / "timbrado.docx")
    host = {"salvador.example.org": BAHIA}
    code, output = run(tmp_path, host, pec_oficios_template=template, pec_oficios_numbers={"dominio": "12/2026"})
    assert code == 0, output
    path = tmp_path / "oficios/2927408-salvador/oficio-dominio.docx"
    first = path.read_bytes()
    document = docx.Document(str(path))
    texts = [paragraph.text for paragraph in document.paragraphs]
    assert document.sections[0].header.paragraphs[0].text == f"BRASÃO {BAHIA['pec_oficios_institution']}"
    assert texts[0] == "Ofício nº 12/2026" and "Prezados(as)," in texts and "• IPv4: 203.0.113.10." in texts
    assert [entry.date_time for entry in zipfile.ZipFile(path).infolist()] == [(1980, 1, 1, 0, 0, 0)] * len(
        zipfile.ZipFile(path).namelist()
    )
    code, output = run(tmp_path, host, pec_oficios_template=template, pec_oficios_numbers={"dominio": "12/2026"})
    assert (code, set(changes(output).values()), path.read_bytes() == first) == (0, {0}, True), output
    code, output = run(tmp_path, host, pec_oficios_template=letterhead(tmp_path / "outro.docx", "{{ corpo }} {{ prefeito }}"))
    assert (code, "prefeito" in output, path.read_bytes() == first) == (2, True, True), output


@contextlib.contextmanager
def listening(sink: Sink) -> Iterator[int]:
    loop, ready, port = asyncio.new_event_loop(), threading.Event(), [0]

    async def serve() -> None:
        server = await sink.listen("plain")
        port[0] = server.sockets[0].getsockname()[1]
        ready.set()

    def work() -> None:
        loop.run_until_complete(serve())
        loop.run_forever()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    assert ready.wait(30)
    yield port[0]
    loop.call_soon_threadsafe(loop.stop)
    thread.join(30)


def test_letters_are_sent_once_and_only_when_asked(tmp_path: Path) -> None:
    sink = Sink()
    host = {"salvador.example.org": {**BAHIA, "pec_oficios_mail_to": {"dominio": ["dominio@example.org"]}, "pec_smtp_security": "none"}}
    with listening(sink) as port:
        code, output = run(tmp_path, host, pec_smtp_port=port)
        assert (code, sink.seen, "dominio@example.org" in output) == (0, [], True), output
        code, output = run(tmp_path, host, "--check", pec_smtp_port=port, pec_oficios_mail_send=True)
        assert (code, sink.seen) == (0, []), output
        for _time in (1, 2):
            code, output = run(tmp_path, host, pec_smtp_port=port, pec_oficios_mail_send=True)
            assert code == 0, output
        assert set(changes(output).values()) == {0}
        messages = [event for event in sink.seen if event.get("subject")]
        assert len(messages) == 1, sink.seen
        assert "dominio@example.org" in str(messages[0]) and "esus.salvador.ba.gov.br" in messages[0]["subject"]
        changed = {"salvador.example.org": {**host["salvador.example.org"], "pec_oficios_ipv4": "203.0.113.11"}}
        assert run(tmp_path, changed, pec_smtp_port=port, pec_oficios_mail_send=True)[0] == 0
        assert len([event for event in sink.seen if event.get("subject")]) == 2


@pytest.mark.skipif(shutil.which("soffice") is None, reason="LibreOffice is not installed")
def test_the_pdf(tmp_path: Path) -> None:
    options = {"pec_oficios_letters": ["dominio"], "pec_oficios_formats": ["pdf"]}
    code, output = run(tmp_path, {"salvador.example.org": BAHIA}, **options)
    assert code == 0, output
    path = tmp_path / "oficios/2927408-salvador/oficio-dominio.pdf"
    first = path.read_bytes()
    assert first.startswith(b"%PDF-") and stat.S_IMODE(path.stat().st_mode) == 0o600
    code, output = run(tmp_path, {"salvador.example.org": BAHIA}, **options)
    assert (code, set(changes(output).values()), path.read_bytes() == first) == (0, {0}, True), output
    if shutil.which("pdftotext"):
        text = subprocess.run(["pdftotext", "-layout", str(path), "-"], capture_output=True, text=True, check=True).stdout
        assert "Assunto: Solicitação de criação do domínio esus.salvador.ba.gov.br" in text
    path.unlink()
    code, output = run(tmp_path, {"salvador.example.org": BAHIA}, **options)
    assert (code, path.exists()) == (0, True), output
