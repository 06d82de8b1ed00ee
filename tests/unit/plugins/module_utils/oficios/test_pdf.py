# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
from pathlib import Path

import pytest

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.oficios import pdf

CONVERTS = """#!/bin/sh
for word; do case $word in *profile) profile=$word;; esac; [ "$before" = --outdir ] && out=$word; before=$word; done
[ "$HOME" = "$out" ] && case $profile in -env:UserInstallation=file://$out/*) sed 's/^/%PDF /' "$word" >"$out/oficio.pdf";; esac
"""


def program(tmp_path: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "soffice").write_text(text, encoding="utf-8")
    (tmp_path / "soffice").chmod(0o755)
    monkeypatch.setattr(pdf.process, "search_path", lambda: os.pathsep.join([str(tmp_path), "/usr/bin", "/bin"]))


def test_a_document_is_converted_in_a_directory_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path, CONVERTS, monkeypatch)
    assert pdf.available()
    assert pdf.convert(b"letter") == b"%PDF letter"


@pytest.mark.parametrize("text", ["#!/bin/sh\necho no such filter >&2; exit 77\n", "#!/bin/sh\necho no such filter >&2\n"])
def test_a_failure(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path, text, monkeypatch)
    with pytest.raises(PecError, match="no such filter"):
        pdf.convert(b"letter")


def test_without_libreoffice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pdf.process, "search_path", lambda: str(tmp_path))
    assert not pdf.available()
