"""The store: a step runs once per recipe, and the directory that holds what it left is named by the hash of that recipe.

- A recipe is the step's name and version, its settings, and the names of the artifacts it reads: a Merkle chain of JSON
  that people can read (`record.json`). Everything the caller gives a step is identity.
- What the store itself hands to a step (where to write, `runtime`: device, batch size) never is, nor are the fields that a
  settings class names in its `execution`: an endpoint, a limit, a budget.
- A step works in `<name>.partial`, which survives a kill so that long steps go on inside it. Files whose name begins with
  a dot are its scratch; they go once the record is written, which comes last; then the directory is renamed.
- A lock lets two processes that want one recipe compute it once. Those that the store starts to share one step (`devices`)
  stand behind one lock; the first of them alone writes what the step leaves.
- What has no stable identity (a function, a tensor, a path) cannot be part of a recipe.

`python -m mathse.store` looks after a store.
"""

from mathse.store.artifact import CALL, RECIPE, RECORD, Artifact, metrics_of
from mathse.store.recipe import canonical, find, means, name_of, recipe_of, restore
from mathse.store.run import Store, Watcher, call
from mathse.store.runtime import DOING, Doing, Rank, Runtime, ShareDone

__all__ = [
    "CALL",
    "DOING",
    "RECIPE",
    "RECORD",
    "Artifact",
    "Doing",
    "Rank",
    "Runtime",
    "ShareDone",
    "Store",
    "Watcher",
    "call",
    "canonical",
    "find",
    "means",
    "metrics_of",
    "name_of",
    "recipe_of",
    "restore",
]
