# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import samples

from ansible_collections.esus.pec.plugins.module_utils.dump import manifest
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.restore.choosing import choose
from ansible_collections.esus.pec.plugins.module_utils.restore.planning import Desired


def make(directory: Path, name: str, day: int, **changes: Any) -> None:
    (directory / name).write_bytes(b"PGDMP")
    manifest.write(str(directory / name), samples.manifest(name=name, ended=f"2026-11-{day:02}T03:05:00Z", **changes))


def chosen(place: Path, **options: Any) -> str:
    desired = Desired(**{"directory": str(place), "from_host": "pec", "from_municipality": "Água Clara", **options})
    path, found, unusable = choose(desired, "esus")
    assert unusable == []
    assert found == manifest.read(path + ".json")
    return Path(path).name


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """A directory that two municípios, three hosts and two databases share; the dump of this server's database is the oldest."""
    make(tmp_path, "ours.dump", 1)
    make(tmp_path, "old-version.dump", 2, pec_version="5.3.28", training=None, database="esus_old")
    make(tmp_path, "training.dump", 3, database="esus_treino")
    make(tmp_path, "old-server.dump", 4, host="pec-old")
    make(tmp_path, "same-host-name.dump", 5, municipality="Rio Azul")
    make(tmp_path, "neighbour.dump", 6, host="pec-rio-azul", municipality="Rio Azul")
    make(tmp_path, "unnamed.dump", 7, municipality="")
    make(tmp_path, "half.dump", 8)
    (tmp_path / "half.dump").write_bytes(b"")
    return tmp_path


@pytest.mark.parametrize(
    ("options", "name"),
    [
        pytest.param({}, "ours.dump", id="this server's own"),
        pytest.param({"from_municipality": "agua clara", "from_host": "PEC"}, "ours.dump", id="case and accents"),
        pytest.param({"from_host": "pec-old"}, "old-server.dump", id="a host by name"),
        pytest.param({"from_municipality": "Rio Azul"}, "same-host-name.dump", id="a município by name"),
        pytest.param({"from_host": "pec-rio-azul", "from_municipality": "Rio Azul"}, "neighbour.dump", id="both by name"),
        pytest.param({"from_host": "pec-old", "from_municipality": ""}, "old-server.dump", id="unknown, but only one município"),
        pytest.param({"where": {"database": "esus_treino"}}, "training.dump", id="another database"),
        pytest.param({"where": {"database": "esus_old", "pec_version": "5.3.28"}}, "old-version.dump", id="a version"),
        pytest.param({"where": {"server_version_num": "150018"}}, "ours.dump", id="a number"),
    ],
)
def test_the_newest_of_the_expected_server(shared: Path, options: dict[str, Any], name: str) -> None:
    assert chosen(shared, **options) == name


@pytest.mark.parametrize(
    ("options", "names"),
    [
        pytest.param(
            {"from_host": "pec-new"},
            ["host pec-new, municipality Água Clara, database esus (", "unnamed.dump: host pec, municipality unknown", "from_host"],
            id="a new host name",
        ),
        pytest.param({"from_municipality": "Serra Verde"}, ["municipality Rio Azul", "from_municipality"], id="no dump of this município"),
        pytest.param({"from_municipality": ""}, ["'Rio Azul', 'Água Clara'", "pec_municipio"], id="unknown, and several municípios"),
        pytest.param(
            {"where": {"pec_version": "9.9.9"}}, ["pec_version 9.9.9", "half.dump has 0 bytes", "and 3 more"], id="no such version"
        ),
        pytest.param({"where": {"versao": "1"}}, ["'versao'", "pec_version"], id="an unknown field"),
        pytest.param({"where": {"host": "pec"}}, ["'host'", "from_host"], id="a field that has its own option"),
        pytest.param({"directory": "/missing"}, ["/missing"], id="no directory"),
    ],
)
def test_nothing_is_chosen(shared: Path, options: dict[str, Any], names: list[str]) -> None:
    with pytest.raises(PecError) as caught:
        chosen(shared, **options)
    for name in names:
        assert name in str(caught.value)


def test_an_empty_directory(tmp_path: Path) -> None:
    with pytest.raises(PecError, match="it has no dump with a manifest"):
        chosen(tmp_path)


def test_a_path(shared: Path) -> None:
    assert chosen(shared, directory=None, path=f"{shared}/neighbour.dump") == "neighbour.dump", "planning judges where it is from"
    (shared / "alone.sql").write_text("--")
    assert choose(Desired(from_host="pec", path=f"{shared}/alone.sql"), "esus") == (f"{shared}/alone.sql", None, [])
    with pytest.raises(PecError, match=r"/none\.sql does not exist"):
        choose(Desired(from_host="pec", path="/none.sql"), "esus")
