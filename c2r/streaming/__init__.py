"""What outlives a call: the K/V cache, noise schedules, guidance, and the rollout that uses them.

Serving, distillation and export all run this code.
"""
