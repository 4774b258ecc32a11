"""The executor on a Ray cluster: who its workers are, and what each is given."""

import dataclasses
import logging
import pickle
from collections.abc import Iterable
from contextlib import closing
from importlib.util import find_spec

from whyport.batch.output.fence import new_fence
from whyport.batch.run.executors.executor import Executor, Outcomes
from whyport.batch.run.executors.pieces import pieces
from whyport.batch.run.worker import Order
from whyport.runtime.providers import CPU

logger = logging.getLogger(__name__)

# Known before the work begins, although Ray is imported only then: how it is started depends on its environment.
if find_spec("ray") is None:
    raise ModuleNotFoundError("No module named 'ray'", name="ray")


class OnRay(Executor):
    """Has orders carried out by actors, each in a process of its own, on any machines of a cluster."""

    def run(self, orders: Iterable[Order]) -> Outcomes:
        given = list(orders)
        if not given:
            return
        from whyport.batch.run.executors.ray_cluster import connected

        setup = self._worker.setup
        with connected(self._where.address):
            from whyport.batch.run.executors.ray_crew import Crew, Needs

            needs = Needs.of(setup.settings.threads, self._where.workers, on_card=setup.job.provider != CPU.name)
            logger.info("on Ray, workers: %d; of each, %s", needs.workers, needs)
            settings = dataclasses.replace(setup.settings, threads=needs.threads)
            small = pieces(given, needs.workers, settings.rows_of_an_order)
            fence = new_fence(self._worker.folder)
            content = pickle.dumps(dataclasses.replace(setup, settings=settings))
            try:
                with closing(Crew(content, fence, needs, self._monitor)) as crew:
                    yield from crew.carry_out(small)
            finally:
                fence.take_down()
