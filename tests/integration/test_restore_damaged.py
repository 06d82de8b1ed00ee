# SPDX-License-Identifier: GPL-3.0-or-later
"""A database that is too damaged to be read is renamed as it is, and never dropped."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from postgres import Postgres
from restoring import DATABASE, Restoring


@pytest.fixture
def damaged(postgres: Postgres) -> Iterator[Restoring]:
    """A database whose catalogue cannot be found, and a dump made before."""
    restoring = Restoring(postgres)
    postgres.create(17, DATABASE)
    restoring.dump(17, "custom", "-Fc", client=17)
    oid = postgres.sql(17, "postgres", f"SELECT oid FROM pg_database WHERE datname = '{DATABASE}'")
    restoring.sh(f"rm /var/lib/postgresql/17/tests/base/{oid}/pg_filenode.map")
    yield restoring
    for name in postgres.databases(17):
        postgres.drop(17, name)
    restoring.sh("rm -rf /srv/dumps")


def test_a_database_that_cannot_be_read_is_replaced_when_told_to(damaged: Restoring) -> None:
    refused = damaged.restore("/srv/dumps/custom", 17)
    assert refused["_failed"]
    assert "pg_filenode.map" in refused["msg"] and "replace" in refused["msg"]
    assert damaged.restore("/srv/dumps/custom", 17, replace=True, keep_previous=False)["_failed"]
    done = damaged.restore("/srv/dumps/custom", 17, replace=True)
    assert not done["_failed"], done
    assert (
        damaged.postgres.sql(17, DATABASE, "SELECT ds_texto FROM tb_config_sistema WHERE co_config_sistema = 'VERSAOBANCODADOS'")
        == "5.4.37"
    )
    assert done["previous_database"] in damaged.postgres.databases(17)
