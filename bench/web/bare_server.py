"""Serves a bare application in a process of its own, as `byok web` serves the product."""

import argparse
import asyncio

import uvicorn
from fastapi import FastAPI


def serve(app: FastAPI, description: str) -> None:
    """Serve the application on the port in the command line, until a signal arrives."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--port", type=int, required=True)
    port = parser.parse_args().port
    server = uvicorn.Server(uvicorn.Config(app, "127.0.0.1", port, log_config=None, access_log=False))
    asyncio.run(server.serve())
