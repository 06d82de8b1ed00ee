# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes a document of Word a PDF by LibreOffice. Private to the collection."""

from __future__ import annotations

import os

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.system import files, process

PROGRAM = "soffice"
_TIMEOUT = 300
_LONGEST = 32 << 20


def available() -> bool:
    return process.which(PROGRAM) is not None


def convert(document: bytes) -> bytes:
    """Return the PDF. LibreOffice gets a profile and a directory of its own. Raises PecError when it makes none."""
    with files.private_directory() as directory:
        files.write_atomic(os.path.join(directory, "oficio.docx"), document)
        profile = f"-env:UserInstallation=file://{directory}/profile"
        argv = [PROGRAM, profile, "--headless", "--norestore", "--convert-to", "pdf:writer_pdf_Export", "--outdir", directory]
        ended = process.run(
            [*argv, os.path.join(directory, "oficio.docx")],
            timeout=_TIMEOUT,
            env={"HOME": directory, "SOURCE_DATE_EPOCH": "315532800"},
            cwd=directory,
        )
        made = os.path.join(directory, "oficio.pdf")
        if ended.returncode != 0 or not os.path.isfile(made):
            said = (ended.stderr or ended.stdout).strip()[-500:] or f"exit code {ended.returncode}"
            raise PecError(f"LibreOffice made no PDF of the letter: {said}; open the .docx with it, or set formats without pdf")
        return files.read_bytes(made, _LONGEST)
