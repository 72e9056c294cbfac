"""LMEraser Lab's engine: exact machine unlearning by per-cluster prompts on a frozen public backbone (arXiv 2404.11056)."""
