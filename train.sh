#!/bin/sh
# The easy start: sets up what is missing, then trains one fold. Arguments go to train.py: sh train.sh target=soft
#
# On a terminal it asks for fold, device and number of processes (Enter takes the default); elsewhere it asks nothing.
# Without the corpora under data/ it trains experiment=demo on a synthetic corpus: minutes on a CPU.
set -eu
cd "$(dirname "$0")"
./setup.sh
environment=${VIRTUAL_ENV:-${CONDA_PREFIX:-$PWD/.venv}}
python=$environment/bin/python

ask() { # ask QUESTION DEFAULT ALLOWED: the answer in $answer
    while :; do
        printf '%s [%s]: ' "$1" "$2"
        read -r answer || answer=
        answer=${answer:-$2}
        if printf '%s\n' "$answer" | grep -Eqx "$3"; then return; fi
        echo "  please answer with one of: $3"
    done
}

if { [ -d data/KEMDy19 ] || [ -d data/KEMDy19_v1_3 ]; } && { [ -d data/KEMDy20_v1_1 ] || [ -d data/KEMDy20_v1_2 ]; }; then
    experiment=paper
    accelerator=auto
else
    echo "KEMDy19 and KEMDy20_v1_1 are not under data/: training experiment=demo on a synthetic corpus instead."
    experiment=demo
    accelerator=cpu
fi
fold=4
processes=1
if [ -t 0 ] && [ -t 1 ]; then
    ask "Validation fold, 0 to 4" "$fold" '[0-4]'
    fold=$answer
    ask "Device: auto, cpu, gpu" "$accelerator" 'auto|cpu|gpu'
    accelerator=$answer
    ask "Processes that read audio while the data set is built" "$processes" '[1-9][0-9]*'
    processes=$answer
fi
exec "$python" train.py "experiment=$experiment" "dataset.validation_fold=$fold" "trainer.accelerator=$accelerator" "dataset.num_proc=$processes" "$@"
