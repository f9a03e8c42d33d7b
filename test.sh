#!/bin/sh
# Sets up what is missing, then runs the tests. Arguments go to pytest: sh test.sh -m "not slow"
set -eu
cd "$(dirname "$0")"
./setup.sh --dev
environment=${VIRTUAL_ENV:-${CONDA_PREFIX:-$PWD/.venv}}
python=$environment/bin/python
# one thread a process: OpenMP threads that wait for each other cost more than they give on a busy machine
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"
"$python" -m ruff check .
"$python" -m ruff format --check .
"$python" -m mypy
# The whole suite prints its coverage, which must not fall, from Python 3.12 on: it costs a tenth of the time there, and more than
# half as long again before. A part of the suite would cover less.
if [ $# -eq 0 ] && "$python" -c 'import sys; sys.exit(sys.version_info < (3, 12))'; then
    export COVERAGE_CORE=sysmon
    set -- --cov=erc --cov-report=term --cov-fail-under=97
fi
exec "$python" -m pytest "$@"
