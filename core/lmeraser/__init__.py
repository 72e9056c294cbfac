"""The paper: partition, prompts, cluster training, state store, global head, prediction, and the estimator `LMEraser`.

Must not import workspaces, audits or benchmarks.
"""
