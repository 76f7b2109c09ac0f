#!/bin/sh
# Runs a verb as a job, under the Python that runs Ray on this node: `sh start_job.sh VERB ...`.
#
# A job inherits the PATH of `ray start`. Where the environment of Ray was not active, `python` is
# another one, without Ray. Ray starts a job below one of its workers, and a worker below the
# raylet, whose command line names the Python of all workers.
set -eu

FORMS='s/^--python_worker_command="\([^"]*\)".*/\1/p
s/^--python_worker_command=\([^" ][^ ]*\).*/\1/p'
# The shell of Ray's job server, its worker, the shell of the worker, the raylet, and some to spare.
MOST_ANCESTORS=6

arguments_of() {
    if [ -r "/proc/$1/cmdline" ]; then
        tr '\0' '\n' <"/proc/$1/cmdline"
    else
        ps -o command= -p "$1" | sed 's/ --/\
--/g'
    fi
}

parent_of() {
    if [ -r "/proc/$1/status" ]; then
        sed -n 's/^PPid:[[:space:]]*//p' "/proc/$1/status"
    else
        ps -o ppid= -p "$1" | tr -d ' '
    fi
}

python_of_ray() {
    process=$PPID
    count=0
    while [ "$count" -lt "$MOST_ANCESTORS" ] && [ "${process:-0}" -gt 1 ]; do
        found=$(arguments_of "$process" | sed -n "$FORMS" | head -n 1)
        if [ -n "$found" ] && [ -x "$found" ]; then
            echo "$found"
            return
        fi
        process=$(parent_of "$process")
        count=$((count + 1))
    done
    command -v python || command -v python3
}

verb=$1
shift
python=$(python_of_ray)
exec "$python" -m "jobs.$verb" "$@"
