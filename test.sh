#!/bin/sh
# Sets up what is missing, then runs the tests. Arguments go to pytest: sh test.sh -m "not slow"
set -eu
cd "$(dirname "$0")"
./setup.sh --dev
environment=${VIRTUAL_ENV:-${CONDA_PREFIX:-$PWD/.venv}}
# one thread a process: OpenMP threads that wait for each other cost more than they give on a busy machine
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"
"$environment/bin/python" -m ruff check .
"$environment/bin/python" -m ruff format --check .
"$environment/bin/python" -m mypy
# the whole suite prints its coverage, which must not fall; a part of it would cover less
[ $# -gt 0 ] || set -- --cov=erc --cov-report=term --cov-fail-under=97
exec "$environment/bin/python" -m pytest "$@"
