"""A stage that waits for a node that starts later.

`python -m benchmarks.cluster_rehearsal.late_node`
"""

import time
from concurrent.futures import ThreadPoolExecutor

import ray

from actors.pool_config import PoolConfig
from benchmarks.cluster_rehearsal.cluster import Pod, pods
from jobs.cluster.sizing import PoolWork, sized_pool
from jobs.cluster.start import start_ray
from pipeline.cluster_config import ClusterConfig
from pipeline.nodes import total
from pipeline.room import free_nodes

POD = Pod(gpus=2, cpus=4)
LATE_SECONDS = 3.0


def main() -> None:
    """Print the actors of a pool on a cluster that had no GPU when the stage started."""
    with pods(0, POD) as cluster, ThreadPoolExecutor() as threads:
        start_ray()
        before = total(free_nodes(), "GPU")
        work = PoolWork("sample", 9, uses_gpu=True)
        waiting = threads.submit(sized_pool, PoolConfig(), ClusterConfig(gpus=POD.gpus), work)
        time.sleep(LATE_SECONDS)
        cluster.add(POD)
        pool = waiting.result()
        ray.shutdown()
    print(f"{before:g} GPUs, then {pool.num_actors} actors of {pool.num_gpus:g} GPUs")


if __name__ == "__main__":
    main()
