#!/usr/bin/env bash
# Creates the virtual environment $1 with Python 3.11, found as python3.11 or as a python3 of that version.
set -euo pipefail

venv=$1
python=""
for candidate in python3.11 python3 python; do
    if [ "$("$candidate" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)" = 3.11 ]; then
        python=$candidate
        break
    fi
done
if [ -z "$python" ]; then
    echo "Python 3.11 is needed and was found neither as python3.11 nor as python3 ($(python3 --version 2>&1 || true))." >&2
    exit 1
fi
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    echo "$python cannot create virtual environments; on Debian and Ubuntu install the package python3.11-venv." >&2
    exit 1
fi
echo "Creating $venv with $("$python" --version) ..."
"$python" -m venv "$venv"
