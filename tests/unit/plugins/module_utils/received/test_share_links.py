# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the file of a share link is, and which links lead to none."""

from __future__ import annotations

import pytest

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.received import messages, share_links
from ansible_collections.esus.pec.plugins.module_utils.received.messages import NotReceivedError

ID = "1AbCdEfGhIjKlMnOpQrStUvWxYz_-0123"
DRIVE = f"https://drive.usercontent.google.com/download?id={ID}&export=download&confirm=t"
DROPBOX = "https://www.dropbox.com/scl/fi/abc/backup.zip"


@pytest.mark.parametrize(
    ("url", "addresses"),
    [
        (f"https://drive.google.com/file/d/{ID}/view?usp=sharing", [DRIVE]),
        (f"  https://drive.google.com/file/d/{ID}/view?usp=drive_link\n", [DRIVE]),
        (f"https://DRIVE.google.com./file/u/0/d/{ID}/edit", [DRIVE]),
        (f"https://drive.google.com/a/saude.ba.gov.br/file/d/{ID}/preview#x", [DRIVE]),
        (f"https://drive.google.com/open?id={ID}&authuser=0", [DRIVE]),
        (f"https://drive.google.com/uc?id={ID}&export=download", [DRIVE]),
        (f"https://docs.google.com/uc?export=download&id={ID}", [DRIVE]),
        (f"{DRIVE}&uuid=1", [DRIVE]),
        (f"https://drive.google.com/file/d/{ID}/view?resourcekey=0-Ab_c", [f"{DRIVE}&resourcekey=0-Ab_c"]),
        (f"{DROPBOX}?rlkey=k1&st=x&dl=0", [f"{DROPBOX}?rlkey=k1&st=x&dl=1"]),
        (f"{DROPBOX}?rlkey=k1&raw=1", [f"{DROPBOX}?rlkey=k1&dl=1"]),
        ("https://www.dropbox.com/s/abc/backup.zip", ["https://www.dropbox.com/s/abc/backup.zip?dl=1"]),
        ("https://dl.dropboxusercontent.com/s/abc/backup.zip", ["https://dl.dropboxusercontent.com/s/abc/backup.zip?dl=1"]),
        (
            "https://1drv.ms/u/s!AbC?e=x1",
            [
                "https://api.onedrive.com/v1.0/shares/u!aHR0cHM6Ly8xZHJ2Lm1zL3UvcyFBYkM_ZT14MQ/root/content",
                "https://1drv.ms/u/s!AbC?e=x1&download=1",
            ],
        ),
        (
            "https://onedrive.live.com/embed?resid=A1%21105&authkey=%21k",
            [
                "https://api.onedrive.com/v1.0/shares/"
                "u!aHR0cHM6Ly9vbmVkcml2ZS5saXZlLmNvbS9lbWJlZD9yZXNpZD1BMSUyMTEwNSZhdXRoa2V5PSUyMWs/root/content",
                "https://onedrive.live.com/download?resid=A1%21105&authkey=%21k",
            ],
        ),
        (
            "https://sms-my.sharepoint.com/:u:/g/personal/ti_sms/Eabc?e=k",
            ["https://sms-my.sharepoint.com/:u:/g/personal/ti_sms/Eabc?e=k&download=1"],
        ),
        (
            "https://nuvem.uf.gov.br/index.php/s/aBcDeFgHiJkLmNo",
            ["https://nuvem.uf.gov.br/index.php/s/aBcDeFgHiJkLmNo/download", "https://nuvem.uf.gov.br/index.php/s/aBcDeFgHiJkLmNo"],
        ),
        (
            "https://b.s3.sa-east-1.amazonaws.com/x/backup.sql?X-Amz-Signature=a%2Fb&X-Amz-Date=1",
            ["https://b.s3.sa-east-1.amazonaws.com/x/backup.sql?X-Amz-Signature=a%2Fb&X-Amz-Date=1"],
        ),
        ("https://saúde.example/água.zip", ["https://xn--sade-rra.example/%C3%A1gua.zip"]),
        ("https://[2001:db8::1]:8443/a", ["https://[2001:db8::1]:8443/a"]),
    ],
)
def test_the_addresses_of_a_file(url: str, addresses: list[str]) -> None:
    assert list(share_links.direct(url).addresses) == addresses


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("https://drive.google.com/drive/folders/segredo?usp=sharing", messages.FOLDER),
        ("https://drive.google.com/drive/u/0/folders/segredo", messages.FOLDER),
        ("https://drive.google.com/drive/my-drive#segredo", messages.FOLDER),
        ("https://drive.google.com/folderview?id=segredo", messages.FOLDER),
        ("https://docs.google.com/document/d/segredo/edit", messages.DOCUMENT),
        ("https://docs.google.com/a/x.gov.br/spreadsheets/d/segredo/edit", messages.DOCUMENT),
        ("https://drive.google.com/file/d/", messages.INCOMPLETE),
        ("https://drive.google.com/open?id=segredo%2F..%2Fx", messages.INCOMPLETE),
        ("https://www.dropbox.com/sh/segredo/x?dl=0", messages.FOLDER),
        ("https://www.dropbox.com/scl/fo/segredo/x?rlkey=1", messages.FOLDER),
        ("https://www.dropbox.com/scl/fi/segredo/x.zip?dl=0", messages.INCOMPLETE),
        ("https://1drv.ms/f/s!segredo", messages.FOLDER),
        ("https://x.sharepoint.com/:f:/g/segredo", messages.FOLDER),
        ("https://x-my.sharepoint.com/personal/a/_layouts/15/onedrive.aspx?id=segredo", messages.INCOMPLETE),
        ("http://nuvem.example/segredo.zip", messages.HTTP),
    ],
)
def test_a_link_that_the_sender_has_to_correct(url: str, message: str) -> None:
    with pytest.raises(NotReceivedError) as caught:
        share_links.direct(url)
    assert caught.value.facts == {"message_to_sender": message}
    assert str(caught.value).endswith(f"; forward to the sender: {message}")
    assert "segredo" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "segredo.zip",
        "/srv/segredo.zip",
        "ftp://a.br/segredo",
        "file:///etc/segredo",
        "https://",
        "https://[::1/segredo",
        "https://a.br:99999/segredo",
        "https://a.br/segredo\r\nHost: x",
        "https://a.br/a segredo",
        "https://user:segredo@a.br/x",
        f"https://{'a' * 70}.br/segredo",
    ],
)
def test_what_is_no_link(url: str) -> None:
    with pytest.raises(PecError) as caught:
        share_links.direct(url, allow_http=True)
    assert "segredo" not in str(caught.value)


def test_http_where_it_is_allowed() -> None:
    assert share_links.direct("http://10.0.0.5/a.zip", allow_http=True) == share_links.Link("10.0.0.5", ("http://10.0.0.5/a.zip",))
