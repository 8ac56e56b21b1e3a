#!/bin/sh
# Resolves the dependencies of pyproject.toml into requirements/, for every supported Python and system.
# core.txt and build.txt take their versions from dev.txt, so that tests run what images ship.
set -eu

python="$PWD/$1/bin/python"
cd "$(dirname "$0")/.."

tool=$(mktemp -d)
trap 'rm -rf "$tool"' EXIT
"$python" -m pip --disable-pip-version-check --quiet install --target "$tool" uv==0.13.9

compile() {
    out=$1
    shift
    "$tool/bin/uv" pip compile --quiet --universal --generate-hashes --no-header --python-version 3.11 \
        --output-file "requirements/$out" "$@"
}

compile dev.txt pyproject.toml --extra demo --extra prices --group dev
compile core.txt pyproject.toml --constraint requirements/dev.txt
compile build.txt --group build --constraint requirements/dev.txt

if grep -nE '://|^-|file:|/(home|root|Users|tmp)/' requirements/*.txt; then
    echo "A host or a local path got into a lock; nothing of the kind may be committed." >&2
    exit 1
fi
