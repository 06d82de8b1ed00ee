# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person has to do on a server where Ansible may not, in Portuguese. Private to the collection."""

from __future__ import annotations

from collections.abc import Mapping

from ansible_collections.esus.pec.plugins.module_utils import beliefs
from ansible_collections.esus.pec.plugins.module_utils.transfer.picture import LINUX, WINDOWS
from ansible_collections.esus.pec.plugins.module_utils.transfer.service import FROZEN, RETIRED, SERVING

_PEC = beliefs.WINDOWS_SERVICE
_DATABASE = beliefs.DATABASE_UNIT.partition(".")[0]
_HOME = beliefs.WINDOWS_HOME.replace("/", "\\")
_OPEN = "No servidor antigo, abra o Prompt de Comando como administrador (Iniciar, digite cmd, botão direito, Executar como administrador)."
_NAME = f'Se esse nome não existir, abra services.msc, procure o serviço do PEC (exibido como "{_PEC}") e use o nome das propriedades.'
_STEPS: Mapping[tuple[str, str], tuple[str, ...]] = {
    (WINDOWS, FROZEN): (
        "Avise os usuários e peça que saiam do PEC: a partir daqui nada do que for digitado no servidor antigo é levado para o novo.",
        _OPEN,
        f'Pare o PEC: net stop "{_PEC}"',
        _NAME,
        f'Não pare o serviço "{_DATABASE}": o banco de dados precisa continuar ligado durante a transferência.',
        "Feche também programas que usam o banco, como pgAdmin e relatórios.",
        "Não desligue nem reinicie o servidor. A transferência continua sozinha quando a porta do PEC estiver fechada.",
    ),
    (WINDOWS, SERVING): (
        _OPEN,
        f'Ligue o banco de dados, se estiver parado: net start "{_DATABASE}"',
        f'Ligue o PEC: net start "{_PEC}"',
        _NAME,
        f'Para que ele volte a ligar com o servidor: sc config "{_PEC}" start= auto',
        "Espere alguns minutos, abra o PEC no navegador e avise os usuários que podem voltar.",
    ),
    (WINDOWS, RETIRED): (
        _OPEN,
        f'Impeça que o PEC volte a ligar: sc config "{_PEC}" start= disabled',
        f'Pare o PEC, se estiver ligado: net stop "{_PEC}"',
        _NAME,
        f"Não desinstale o PEC e não apague nada em {_HOME}: é a única volta se algo faltar no servidor novo.",
        "Troque o atalho dos computadores pelo endereço novo.",
    ),
    (LINUX, FROZEN): (
        "Avise os usuários e peça que saiam do PEC: a partir daqui nada do que for digitado no servidor antigo é levado para o novo.",
        f"No servidor antigo, pare o PEC: sudo systemctl stop {beliefs.PEC_UNIT}",
        "Não pare o PostgreSQL: o banco de dados precisa continuar ligado durante a transferência.",
        "Feche também programas que usam o banco. A transferência continua sozinha quando a porta do PEC estiver fechada.",
    ),
    (LINUX, SERVING): (
        f"No servidor antigo, ligue o PEC: sudo systemctl enable --now {beliefs.PEC_UNIT}",
        "Espere alguns minutos, abra o PEC no navegador e avise os usuários que podem voltar.",
    ),
    (LINUX, RETIRED): (
        f"No servidor antigo, desligue o PEC de vez: sudo systemctl disable --now {beliefs.PEC_UNIT}",
        f"Não desinstale o PEC e não apague nada em {beliefs.HOMES[0]}: é a única volta se algo faltar no servidor novo.",
    ),
}


def steps(state: str, system: str) -> tuple[str, ...]:
    """Return the steps to a state, for a system."""
    return _STEPS[system, state]
