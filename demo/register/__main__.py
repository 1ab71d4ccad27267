# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""`python -m demo.register`: starts the register as a process of its own."""

import argparse

import uvicorn

from demo.register.app import Settings, create_app


def main() -> None:
    """Reads the arguments and serves."""
    parser = argparse.ArgumentParser(
        prog="python -m demo.register", description="A quality register that takes FHIR messages."
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument(
        "--database-url", required=True, help="the register's own database, e.g. postgresql://…/register"
    )
    parser.add_argument("--issuer", required=True, help="issuer of the tokens that are accepted")
    parser.add_argument("--jwks-url", required=True, help="where the issuer's keys are")
    parser.add_argument("--audience", default="ndi")
    parser.add_argument("--hsa-id", default="SE0000000055-REG")
    parser.add_argument(
        "--delay-ms", type=int, default=0, help="time a message takes, so that one can kill in the middle"
    )
    options = parser.parse_args()
    settings = Settings(
        options.database_url,
        options.issuer,
        options.jwks_url,
        options.audience,
        options.hsa_id,
        options.delay_ms / 1000,
    )
    uvicorn.run(create_app(settings), host=options.host, port=options.port, log_level="warning", access_log=False)


if __name__ == "__main__":
    main()
