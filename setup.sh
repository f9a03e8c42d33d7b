#!/bin/sh
# Installs what the project needs into the active conda or virtual environment, else into .venv beside this file.
#
#   ./setup.sh                      what training needs
#   ./setup.sh --dev                and what the tests need
#   ./setup.sh --locked             exactly the files whose SHA-256 stands in requirements.lock (also with --dev; Python 3.11 to 3.13)
#   PYTHON=python3.12 ./setup.sh    with that Python (3.10 to 3.13)
#
# Run again at any time: it is done at once where nothing has changed.
set -eu
cd "$(dirname "$0")"

requirements=requirements
ending=txt
for argument in "$@"; do
    case "$argument" in
        --dev) requirements=requirements-dev ;;
        --locked) ending=lock ;;
        -h | --help) sed -n '2,9s/^# \{0,1\}//p' "$0"; exit 0 ;;
        *) echo "setup.sh takes --dev, --locked, both or nothing: got '$argument'." >&2; exit 2 ;;
    esac
done
requirements=$requirements.$ending

fail() {
    echo "setup.sh: $*" >&2
    exit 1
}

version_of() {
    "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null || true
}

is_supported() {
    case "$(version_of "$1")" in 3.10 | 3.11 | 3.12 | 3.13) return 0 ;; *) return 1 ;; esac
}

# --- which environment -------------------------------------------------------------------------------------------
if [ -n "${VIRTUAL_ENV-}" ]; then
    environment=$VIRTUAL_ENV
elif [ -n "${CONDA_PREFIX-}" ]; then
    environment=$CONDA_PREFIX
else
    environment=$PWD/.venv
fi

if [ "$environment" = "$PWD/.venv" ] && ! { [ -x .venv/bin/python ] && [ -f .venv/.created ]; }; then
    base=${PYTHON-}
    if [ -z "$base" ]; then
        for candidate in python3 python python3.12 python3.11 python3.13 python3.10; do
            if is_supported "$candidate"; then base=$candidate; break; fi
        done
        found=$(version_of python3)
        [ -n "$base" ] || fail "Python 3.10 to 3.13 is needed, found ${found:-none}. Install one of them, or name it: PYTHON=/path/to/python3.12 ./setup.sh"
    fi
    found=$(version_of "$base")
    is_supported "$base" || fail "Python 3.10 to 3.13 is needed, PYTHON=$base is ${found:-not a Python that runs}. Name another: PYTHON=python3.12 ./setup.sh"
    echo "Creating .venv with $base ($(version_of "$base"))"
    rm -rf .venv
    "$base" -m venv .venv || { rm -rf .venv; fail "the virtual environment could not be created (the disk is full, or the package python3-venv is missing; its message stands above)."; }
    .venv/bin/python -m pip install --disable-pip-version-check --quiet --upgrade pip || fail "pip could not be brought up to date; its message stands above."
    : > .venv/.created
elif [ -n "${PYTHON-}" ] && [ "$(version_of "$environment/bin/python")" != "$(version_of "$PYTHON")" ]; then
    fail "$environment has Python $(version_of "$environment/bin/python"), PYTHON=$PYTHON is another. Remove that environment, or leave PYTHON out."
fi

python=$environment/bin/python
[ -x "$python" ] || fail "$environment has no bin/python. Create the environment again, or deactivate it to get .venv."
is_supported "$python" || fail "Python 3.10 to 3.13 is needed, the environment $environment has $(version_of "$python"). Make another: conda create -n erc python=3.12, or deactivate it to get .venv."

# --- nothing to do? ----------------------------------------------------------------------------------------------
case "$ending$(version_of "$python")" in
    lock3.10) fail "the lock file is for Python 3.11 to 3.13, the environment $environment has 3.10. Leave --locked out, or make another environment." ;;
    lock*) how=--require-hashes ;;
    *) how="--constraint constraints.txt" ;;
esac
wanted=$(cat "requirements.$ending" "$requirements" constraints.txt | cksum)
stamp=$environment/.erc-setup-$(basename "$requirements" .txt)
if [ ! -f "$stamp" ] || [ "$(cat "$stamp")" != "$wanted" ]; then
    # --- install -------------------------------------------------------------------------------------------------
    if ! "$python" -c 'import importlib.metadata as m; m.version("torch")' 2>/dev/null; then
        free_mb=$(df -Pm "$environment" | awk 'NR == 2 { print $4 }')
        [ "$free_mb" -ge 9000 ] || fail "9 GB of free disk are needed to install PyTorch, $free_mb MB are free at $environment. Make room, or activate an environment on another disk."
    fi
    echo "Installing into $environment (PyTorch is about 3 GB to fetch; minutes)"
    rm -f "$stamp"
    # shellcheck disable=SC2086 # an option and its value
    "$python" -m pip install --disable-pip-version-check --quiet --requirement "$requirements" $how ||
        fail "pip could not install $requirements; its message stands above. Is the package index reachable, and the disk not full?"
    "$python" -c 'import torch, torchaudio, transformers' ||
        fail "the packages are installed but do not import; the message stands above. In a fresh environment this set works: deactivate, then ./setup.sh"
    echo "$wanted" > "$stamp"
fi

if [ "$environment" = "$PWD/.venv" ]; then
    echo "Ready. To activate: . .venv/bin/activate"
else
    echo "Ready, in $environment."
fi
