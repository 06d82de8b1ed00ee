# SPDX-License-Identifier: GPL-3.0-or-later
"""The answers of a made-up município, complete and right."""

from __future__ import annotations

from typing import Any

ANSWERS: dict[str, Any] = {
    "municipality": "Água Clara",
    "uf": "MS",
    "ibge_code": "5000203",
    "institution": "Prefeitura Municipal de Água Clara",
    "cnpj": "13927801000149",
    "responsible_name": "Maria Aparecida d'Ávila",
    "responsible_position": "Secretária Municipal de Saúde",
    "responsible_cpf": "52998224725",
    "responsible_email": "saude_ti@aguaclara.ms.gov.br",
    "responsible_phone": "67 55550100",
    "requester_name": "João Carlos de Souza",
    "requester_position": "Prefeito Municipal",
    "domain": "esus.aguaclara.ms.gov.br",
    "ipv4": "203.0.113.10",
    "url": "https://esus.aguaclara.ms.gov.br",
    "domain_body": "Secretaria de Exemplo",
    "smtp": True,
    "certificate": True,
    "pec_version": "5.4.37",
}
