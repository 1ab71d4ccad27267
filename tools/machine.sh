#!/bin/sh
# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
# Sees to the programs that tests use besides Python: PostgreSQL (a server, to compare with the embedded one), Redis,
# Chromium and Node. As root on Debian or Ubuntu what is absent is installed; else one line names it.
set -u
missing=""
{ command -v chromium || command -v chromium-browser || command -v google-chrome; } >/dev/null 2>&1 || missing="$missing chromium"
{ command -v node && command -v npm; } >/dev/null 2>&1 || missing="$missing nodejs npm"
command -v redis-server >/dev/null 2>&1 || missing="$missing redis-server"
[ -n "${NDI_TEST_DATABASE_URL:-}" ] || command -v pg_ctlcluster >/dev/null 2>&1 || missing="$missing postgresql"

if [ -n "$missing" ]; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        echo "installing:$missing" >&2
        # shellcheck disable=SC2086
        { DEBIAN_FRONTEND=noninteractive apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y \
            --no-install-recommends $missing; } >/dev/null 2>&1 || echo "could not be installed:$missing; tests that need them are skipped" >&2
    else
        echo "absent:$missing; tests that need them are skipped (Debian: apt install$missing)" >&2
    fi
fi

# A server of our own account that stands still is started; one behind NDI_TEST_DATABASE_URL is not ours.
if [ -z "${NDI_TEST_DATABASE_URL:-}" ] && [ "$(id -u)" = 0 ] && command -v pg_ctlcluster >/dev/null 2>&1; then
    for version in $(ls /etc/postgresql 2>/dev/null); do
        pg_ctlcluster --skip-systemctl-redirect "$version" main status >/dev/null 2>&1 ||
            pg_ctlcluster --skip-systemctl-redirect "$version" main start >/dev/null 2>&1 || true
    done
fi
exit 0
