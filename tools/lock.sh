#!/bin/sh
# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
# Writes the lock files from pyproject.toml, with hashes and without addresses. Run after changing a dependency;
# `--upgrade` takes the newest versions.
set -eu
cd "$(dirname "$0")/.."
compile() {
    .venv/bin/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
        --no-emit-find-links --no-header "$@"
}
compile pyproject.toml -o requirements.lock "$@"
compile pyproject.toml --all-extras -c requirements.lock -o requirements-dev.lock "$@"
# A client of the tests with many dependencies that nothing else has: it gets an environment of its own.
echo 'smart-fetch==1.0.3' | compile - -o tests/clients/smart-fetch.lock "$@"
printf 'editables\nhatchling\nuv\n' | compile - -c requirements-dev.lock -o requirements-build.lock
# The peer that bench.kernel_peer measures needs an older FastAPI: an environment of its own too.
printf 'fhirstarter==4.2.0\nasyncpg\nuvicorn\nuvloop\nhttptools\n' | compile - -o bench/peer.lock "$@"
