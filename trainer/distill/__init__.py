"""What the phases that make a causal few-step student share; `trainer.phases` has the phases."""
