#!/bin/sh
# Makes or completes the virtual environment DIRECTORY with exactly what requirements/dev.txt locks.
# PYTHON names the interpreter; without it the first that is new enough is taken.
set -eu

venv=$1
cd "$(dirname "$0")/.."

new_enough() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

find_python() {
    for name in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11}; do
        if new_enough "$name"; then
            echo "$name"
            return
        fi
    done
    return 1
}

if ! new_enough "$venv/bin/python"; then
    if ! python=$(find_python); then
        echo "Tidegate needs Python 3.11 or later, and ${PYTHON:-python3} is not." >&2
        echo "Debian, Ubuntu: apt-get install python3 python3-venv; macOS: brew install python" >&2
        exit 1
    fi
    if ! "$python" -c 'import ensurepip, venv' >/dev/null 2>&1; then
        version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
        echo "$python cannot make virtual environments: its venv module is missing." >&2
        echo "Debian, Ubuntu: apt-get install python3-venv (or python$version-venv);" >&2
        echo "elsewhere the package of Python $version that holds ensurepip." >&2
        exit 1
    fi
    "$python" -m venv --clear "$venv"
fi

echo "Installing what requirements/dev.txt locks into $venv"
pip="$venv/bin/python -m pip --disable-pip-version-check --quiet"
$pip install --require-hashes --requirement requirements/dev.txt
$pip install --no-deps --no-build-isolation --editable .
