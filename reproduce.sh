#!/bin/sh
# The paper's table: every row on every fold, unattended; start it again after any interruption. sh reproduce.sh --help
set -eu
ERC_CALLER=$PWD # a relative --out starts where the caller stands
export ERC_CALLER
cd "$(dirname "$0")"
./setup.sh
environment=${VIRTUAL_ENV:-${CONDA_PREFIX:-$PWD/.venv}}
exec "$environment/bin/python" -m erc.grid "$@"
