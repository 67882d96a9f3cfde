"""What outlives a call: caches, schedules, guidance and the rollout that ties them together.

Serving, distillation and export all run this very code.
"""
