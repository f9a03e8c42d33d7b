#!/bin/sh
# The paper's table: every row on every fold, unattended; start it again after any interruption. sh reproduce.sh --help
set -eu
cd "$(dirname "$0")"
./setup.sh
environment=${VIRTUAL_ENV:-${CONDA_PREFIX:-$PWD/.venv}}
exec "$environment/bin/python" -m erc.grid "$@"
