"""Steps: functions `step(out, *, …) -> metrics`, run once per recipe by the store. Each writes what it makes into `out`."""
