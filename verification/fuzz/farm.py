"""Where shards run: in this process, in worker processes, or on a Dask cluster.  A lost worker loses no shard."""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, CancelledError, Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from typing import Any

from golden.spec.errors import QgruError
from verification.fuzz.worker import begin
from verification.gpus import turns

WORKER_SECONDS = 60  # for the first worker of a cluster to come
RETRIES = 3  # of a problem whose worker is lost each time


class FarmError(QgruError):
    """Workers that cannot be had, or went away for good.  One sentence."""


class Lost(Exception):
    """A job whose worker was lost each time it was tried, also alone."""


@dataclass(frozen=True)
class Job:
    """A call that may be made again: function(*arguments).

    tag        what it is, for whoever gets the result
    halves     two jobs that do the same together, or None where there are none
    """

    tag: Any
    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    halves: Callable[[], tuple[Job, Job]] | None = None


@dataclass
class Farm:
    """Workers behind an executor that can be opened again.

    open     gives an executor
    end      shuts one down without waiting
    count    gives how many workers there are now; one job more is kept waiting. 0 runs the jobs in this process
    broken   exceptions that mean that a worker was lost, not that the job failed
    close    lets go of what the farm itself opened, when it is no longer needed
    """

    open: Callable[[], Executor]
    end: Callable[[Any], None]
    count: Callable[[], int]
    broken: tuple[type[BaseException], ...] = (BrokenProcessPool,)
    close: Callable[[], None] = lambda: None

    def run(self, take: Callable[[], Job | None]) -> Iterator[tuple[Job, Any]]:
        """(job, result) as they come.

        take     the next job, asked when there is room and again after every result; None when there is none now
        A job that costs its worker is run again alone; then it is cut in two, until it is one problem whose result is
        the exception Lost.
        Raises   what a job raises; FarmError when the workers are gone for good
        """
        if self.count() == 0:
            while (job := take()) is not None:
                yield job, job.function(*job.arguments)
            return
        pool = self.open()
        flying: dict[Future[Any], Job] = {}
        suspects = _Suspects()
        try:
            while True:
                lost, reopen = [], False
                while len(flying) <= (0 if suspects else self.count()):
                    job = suspects.next() if suspects else take()
                    if job is None:
                        break
                    try:
                        flying[pool.submit(job.function, *job.arguments)] = job
                    except self.broken:
                        lost.append(job)
                        reopen = True
                        break
                if not flying and not lost:
                    return
                alone = len(flying) == 1 and not lost
                done = wait(flying, return_when=FIRST_COMPLETED).done if flying else set()
                for future in sorted(done, key=lambda f: _order(flying[f])):
                    job = flying.pop(future)
                    try:
                        result = future.result()
                    except self.broken as error:
                        lost.append(job)
                        reopen |= isinstance(error, BrokenProcessPool)
                        continue
                    except CancelledError:
                        raise FarmError("the cluster dropped a shard, expected its scheduler to stay") from None
                    yield job, result
                if reopen:  # every job of a broken pool is lost
                    lost += flying.values()
                    flying = {}
                    self.end(pool)
                    pool = self.open()
                if alone and lost:
                    given_up = suspects.blame(lost[0])
                    if given_up is not None:
                        yield given_up, Lost("its worker was lost each time")
                else:
                    suspects.add(lost)
        finally:
            self.end(pool)


class _Suspects:
    """Jobs one of which costs a worker, run one at a time to see which."""

    def __init__(self) -> None:
        self._jobs: deque[Job] = deque()
        self._tried: dict[Any, int] = {}

    def __bool__(self) -> bool:
        return bool(self._jobs)

    def next(self) -> Job:
        """The next one to run alone."""
        return self._jobs.popleft()

    def add(self, jobs: list[Job]) -> None:
        """Jobs that were lost together."""
        self._jobs.extend(sorted(jobs, key=_order))

    def blame(self, job: Job) -> Job | None:
        """Take a job that was lost while it ran alone; gives it back when it is to be given up."""
        self._tried[job.tag] = self._tried.get(job.tag, 0) + 1
        if job.halves is not None:
            self._jobs.extendleft(reversed(job.halves()))
        elif self._tried[job.tag] < RETRIES:
            self._jobs.appendleft(job)
        else:
            return job
        return None


def _order(job: Job) -> Any:
    return job.tag


def local_farm(workers: int, gpus: tuple[str, ...] = ()) -> Farm:
    """Worker processes of this machine, which take turns at the GPUs where some are given; 0 is this process."""
    context, given = multiprocessing.get_context("spawn"), (turns() if gpus else None, gpus)
    pool = partial(ProcessPoolExecutor, workers, mp_context=context, initializer=begin, initargs=given)
    return Farm(pool, _shut, lambda: workers)


def _shut(pool: Executor) -> None:
    pool.shutdown(wait=False, cancel_futures=True)


def dask_farm(address: str, client: Any = None) -> Farm:
    """The workers of a Dask cluster.

    address  of its scheduler, such as tcp://10.0.0.1:8786
    client   a distributed.Client that is open already, or None
    Raises   FarmError when the scheduler does not answer or has no worker; ModuleNotFoundError without distributed
    """
    import distributed
    from distributed.comm import get_address_host_port

    own = client is None
    if own:
        try:
            get_address_host_port(address)  # a client that was given no address cannot be closed
            client = distributed.Client(address, timeout=10, set_as_default=False)
        except (OSError, ValueError, TypeError) as error:
            said = " ".join(str(error).split())[:200]
            raise FarmError(f"--scheduler {address} does not answer ({said}), expected a Dask scheduler there") from None
    try:
        client.wait_for_workers(1, timeout=WORKER_SECONDS)
    except TimeoutError:
        if own:
            client.close()
        raise FarmError(f"--scheduler {address} has no worker, expected one within {WORKER_SECONDS} seconds") from None

    def count() -> int:
        return max(1, sum(client.nthreads().values()))

    def open() -> Executor:
        return client.get_executor(pure=False, retries=RETRIES)

    done = client.close if own else (lambda: None)
    return Farm(open, lambda pool: pool.shutdown(wait=False), count, (distributed.KilledWorker,), done)
