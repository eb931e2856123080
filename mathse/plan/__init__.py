"""What a run would take, before it does: `bill` counts it (`dry_run=true`), by `assumptions` that are settings."""
