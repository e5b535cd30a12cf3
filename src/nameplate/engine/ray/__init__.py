"""The shards of a row stage as Ray tasks. The only room that knows Ray."""

import os
from importlib.util import find_spec

from nameplate.errors import EngineError

if find_spec("ray") is None:
    raise EngineError("engine ray", found="Ray is not installed", fix="pip install 'nameplate[ray]'")

# Ray prints what it has to say of dead workers to standard output, which is ours; it reads this when it is imported.
os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", ".")

from nameplate.engine.ray.engine import RayEngine

__all__ = ["RayEngine"]
