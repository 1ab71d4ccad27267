#!/bin/sh
# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
# Installs the published FHIR clients that tests/clients runs, as its lock files have them: those from npm, and
# smart-fetch in an environment of its own. What cannot be installed is named; the tests that need it are skipped.
set -u
cd "$(dirname "$0")/../tests/clients"

lacking() {
    echo "$1 of tests/clients could not be installed; tests that need them are skipped" >&2
}

# What npm leaves in node_modules tells whether they are there.
installed=node_modules/.package-lock.json
if command -v npm >/dev/null 2>&1 && ! { [ -e $installed ] && [ $installed -nt package-lock.json ]; }; then
    npm ci --silent --ignore-scripts >/dev/null 2>&1 || lacking "the npm packages"
fi

if ! cmp -s smart-fetch.lock .venv/installed.lock; then
    bin=../../.venv/bin
    rm -rf .venv
    { $bin/uv venv --quiet --python $bin/python .venv &&
        $bin/uv pip install --quiet --python .venv/bin/python --require-hashes -r smart-fetch.lock &&
        cp smart-fetch.lock .venv/installed.lock; } >/dev/null 2>&1 || lacking "the packages of smart-fetch.lock"
fi
exit 0
